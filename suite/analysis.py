"""One study in, one reading out: the stages run in order, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.calibration.in_force import put_in_force, read_site_calibrations
from suite.devices import is_out_of_gpu_memory, release_gpu_memory, resolve_device
from suite.errors import GraphError, InputError, NotShippedError, StageError, SuiteError
from suite.grid import Grid
from suite.intake import StudyFiles, read_study
from suite.reading import Reading
from suite.report.building import Draft, build
from suite.stages.artifacts import Check, GateResult
from suite.stages.contract import (
    SOURCES,
    Artifact,
    Downstream,
    Explained,
    Inputs,
    Stage,
    StageRun,
    check_outputs,
)
from suite.stages.graph import GATE, ordered, with_requirements
from suite.stages.memory import Done, Forgetful, StageMemory, stage_keys
from suite.stages.plugins import STAGES, build_stage, installed, load_stage
from suite.study import Study

_NO_FRONTAL = Check(
    "frontal_present",
    False,
    None,
    "The study has no frontal film; give the frontal film, and this one with --lateral.",
)

OnProgress = Callable[[str, str], None]
"""Called with (stage, "started" or "finished")."""


class Analyzer:
    """Loads the stages once and reads any number of studies with them.

    Args:
        stages: names of the stages wanted; what they build on comes by itself. ``None``: all that work but
            those that are there on request.
        device: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.
        calibration: folder of recalibrated model cards to read by; ``None``: the shipped ones.
        heatmaps: how heatmaps are made, for stages that know more than one way; ``None``: their own.

    Attributes:
        unavailable: a sentence for each installed stage that does not run.
        faults: those of them that somebody should mend; a network whose weights this release does not bring
            is none.

    Raises:
        InputError: a stage is not installed, or the device is not there.
        GraphError: the stages do not form a graph, or one asked for does not load.
        WeightsError: a recalibrated card is of other weights than are installed.
    """

    def __init__(
        self,
        stages: Sequence[str] | None = None,
        device: str = "auto",
        *,
        calibration: Path | None = None,
        heatmaps: str | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self._calibrations = {} if calibration is None else read_site_calibrations(calibration)
        self.unavailable: list[str] = []
        self.faults: list[str] = []
        self.stages = tuple(self._build(stages))
        self._heatmaps = heatmaps
        self._withdrawn: set[str] = set()
        for stage in self.stages:
            self._set_up(stage)
        variants = {name: each.sha256 for name, each in self._calibrations.items()}
        for stage in self.stages:
            if heatmaps is not None and isinstance(stage, Explained):
                variants[stage.name] = f"{variants.get(stage.name, '')} {heatmaps}"
        self.stage_keys = stage_keys(self.stages, variants)
        self._cpu_stages: dict[str, Stage] = {}

    def input_weights(self, stage: Stage) -> dict[str, str | None]:
        """sha256 of the weights of the stages that make what ``stage`` reads, by their names."""
        reads = stage.needs | stage.uses
        return {maker.name: maker.weights_sha256 for maker in self.stages if maker.makes & reads}

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages in running order."""
        return tuple(stage.name for stage in self.stages)

    def _build(self, wanted: Sequence[str] | None) -> list[Stage]:
        for name in wanted or ():
            if name not in installed(STAGES):
                raise InputError(
                    f"stage {name!r} is not installed; use one of {', '.join(installed(STAGES))}."
                )
        classes: dict[str, Any] = {}
        built: dict[str, Stage] = {}
        for name in installed(STAGES):
            try:
                classes[name] = load_stage(name)
            except GraphError as error:
                if wanted is not None and name in wanted:
                    raise
                self._leave_out(str(error))
        order = with_requirements(wanted, classes) if wanted is not None else self._runnable(classes)
        for name in order:
            try:
                built[name] = build_stage(name, classes[name], self.device)
            except SuiteError as error:
                if wanted is not None:
                    raise
                self._leave_out(f"{name}: {error}", fault=not isinstance(error, NotShippedError))
        self._leave_out_lacking(built)
        return list(built.values())

    def _runnable(self, classes: dict[str, Any]) -> tuple[str, ...]:
        """All stages but those on request, and those whose inputs nobody makes; these the report names."""
        for name in [name for name, stage in classes.items() if getattr(stage, "on_request", False)]:
            del classes[name]
        self._leave_out_lacking(classes)
        return ordered(classes)

    def _leave_out_lacking(self, stages: dict[str, Any]) -> None:
        """Drop the stages whose inputs no other of ``stages`` makes, then those that built on them."""
        while True:
            made = SOURCES.union(*(stage.makes for stage in stages.values()))
            lacking = [name for name, stage in stages.items() if not stage.needs <= made]
            if not lacking:
                return
            for name in lacking:
                missing = ", ".join(sorted(stages.pop(name).needs - made))
                self._leave_out(f"{name}: no stage that works here makes {missing}.")

    def _leave_out(self, line: str, *, fault: bool = True) -> None:
        self.unavailable.append(line)
        if fault:
            self.faults.append(line)

    def run(
        self,
        study: Study,
        *,
        override_gate: bool | Collection[str] = False,
        on_progress: OnProgress | None = None,
        memory: StageMemory | None = None,
    ) -> Reading:
        """Read one study.

        A film the gate refuses is not read further, unless ``override_gate`` is true, or names each check
        that it fails; the report says which were overridden. Results that ``memory`` knows are taken from
        there; the reading is the same either way.

        Raises:
            InputError: a name is none of the gate's checks.
            StageError: a stage failed; the message names it.
        """
        memory = memory or Forgetful()
        draft = Draft(study, override_gate, unavailable=tuple(self.unavailable))
        if study.frontal is None:
            draft.artifacts["gate"] = Artifact(GateResult((_NO_FRONTAL,)))
        waiting = list(self.stages) if study.frontal is not None or draft.may_be_read else []
        while waiting:
            name = memory.choose([stage.name for stage in waiting if not _is_held_up(stage, waiting)])
            stage = next(stage for stage in waiting if stage.name == name)
            waiting.remove(stage)
            available = {**_films(study), **draft.artifacts}
            if not stage.needs <= available.keys():
                continue
            self._advance(stage, available, draft, memory, on_progress)
            if name == GATE and not draft.may_be_read:
                break
        self._in_running_order(draft)
        return Reading(*build(draft))

    def run_stage(self, study: Study, name: str, memory: StageMemory) -> bool:
        """Run one stage alone and give its result to ``memory``; ``False`` if what it builds on is missing.

        Raises:
            StageError: the stage failed, or there is none of that name.
        """
        wanted = next((stage for stage in self.stages if stage.name == name), None)
        if wanted is None:
            raise StageError(
                f"stage {name} does not work here; start this worker with the stages of the others."
            )
        available = _films(study)
        for stage in self.stages:
            if stage.makes & (wanted.needs | wanted.uses):
                done = memory.recall(stage.name)
                if done is None:
                    return False
                available.update(done.outputs)
        if not wanted.needs <= available.keys():
            return False
        memory.keep(name, self._run(wanted, available, study.id))
        return True

    def _advance(
        self,
        stage: Stage,
        available: Inputs,
        draft: Draft,
        memory: StageMemory,
        on_progress: OnProgress | None,
    ) -> None:
        if on_progress is not None:
            on_progress(stage.name, "started")
        done = memory.recall(stage.name)
        if done is None:
            done = self._run(stage, available, draft.study.id)
            memory.keep(stage.name, done)
        draft.artifacts.update(done.outputs)
        draft.runs.append(done.run)
        if on_progress is not None:
            on_progress(stage.name, "finished")

    def _run(self, stage: Stage, available: Inputs, study_id: str) -> Done:
        """The stage on its device, or on the CPU when the GPU's memory is full; its calibration named."""
        done = self._run_somewhere(stage, available, study_id)
        calibration = self._calibrations.get(stage.name)
        if calibration is None or stage.name in self._withdrawn:
            return done
        return replace(done, run=replace(done.run, calibration=calibration.as_json()))

    def _run_somewhere(self, stage: Stage, available: Inputs, study_id: str) -> Done:
        try:
            return _run(stage, available, study_id)
        except _OutOfMemoryError as error:
            start = time.perf_counter()
            release_gpu_memory()
            done = _run(self._on_cpu(stage), available, study_id)
            fallback = f"{stage.device} was out of memory ({str(error)[:200]})"
            seconds = time.perf_counter() - start
            return replace(done, run=replace(done.run, fallback=fallback, seconds=seconds))

    def _set_up(self, stage: Stage) -> None:
        """Make a stage that was just built read as this analyzer was told to."""
        if self._heatmaps is not None and isinstance(stage, Explained):
            stage.explain_by(self._heatmaps)
        if stage.name in self._calibrations:
            put_in_force(stage, self._calibrations[stage.name])
        if isinstance(stage, Downstream) and not stage.made_with(self.input_weights(stage)):
            self._withdrawn.add(stage.name)

    def _on_cpu(self, stage: Stage) -> Stage:
        if stage.name not in self._cpu_stages:
            self._cpu_stages[stage.name] = build_stage(stage.name, type(stage), "cpu")
            self._set_up(self._cpu_stages[stage.name])
        return self._cpu_stages[stage.name]

    def _in_running_order(self, draft: Draft) -> None:
        """Reports do not depend on which of two independent stages was done first."""
        order = list(self.stage_names)
        draft.runs.sort(key=lambda run: order.index(run.name))
        made = [name for stage in self.stages for name in sorted(stage.makes) if name in draft.artifacts]
        draft.artifacts = {name: draft.artifacts[name] for name in dict.fromkeys([*made, *draft.artifacts])}


class _OutOfMemoryError(Exception):
    """A stage did not fit into the GPU's memory."""


def _films(study: Study) -> dict[str, Artifact]:
    return {name: Artifact(film, Grid.of(film.shape)) for name, film in study.views.items()}


def _is_held_up(stage: Stage, waiting: Sequence[Stage]) -> bool:
    """Whether a stage that has not run yet makes something this one builds on."""
    others = [other for other in waiting if other is not stage]
    if stage.name != GATE and any(other.name == GATE for other in others):
        return True
    return any((stage.needs | stage.uses) & other.makes for other in others)


def _run(stage: Stage, available: Inputs, study_id: str) -> Done:
    wanted = {name: artifact for name, artifact in available.items() if name in stage.needs | stage.uses}
    start = time.perf_counter()
    try:
        outputs = stage.run([wanted])
    except SuiteError:
        raise
    except Exception as error:  # a stage is a plug-in and may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if stage.device != "cpu" and is_out_of_gpu_memory(error):
            raise _OutOfMemoryError(reason) from error
        remedy = "leave it out with --stages" if stage.device == "cpu" else "run it again with --device cpu"
        raise StageError(
            f"stage {stage.name} failed on study {study_id} ({reason[:300]}); {remedy}."
        ) from error
    seconds = time.perf_counter() - start
    check_outputs(stage, [wanted], outputs)
    return Done(outputs[0], StageRun(stage.name, stage.weights_sha256, stage.device, seconds))


def analyze(
    study: Study | str | Path,
    *,
    lateral: str | Path | None = None,
    stages: Sequence[str] | None = None,
    device: str = "auto",
    override_gate: bool | Collection[str] = False,
    calibration: Path | None = None,
    heatmaps: str | None = None,
) -> Reading:
    """Read one study, given as a ``Study`` or as the path of its frontal film or folder.

    For many studies build one ``Analyzer`` and call its ``run``; this function loads the networks each time.

    Example::

        from suite import analyze
        reading = analyze("film.dcm")
        print(reading.report["triage"])
    """
    if not isinstance(study, Study):
        study = read_study(study, lateral=lateral)
    elif lateral is not None:
        files = StudyFiles(study.id, None, Path(lateral), lateral_source=str(lateral), paired_by_hand=True)
        study = replace(study, lateral=files.load().lateral)
    analyzer = Analyzer(stages, device, calibration=calibration, heatmaps=heatmaps)
    return analyzer.run(study, override_gate=override_gate)
