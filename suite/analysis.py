"""One study in, one reading out: the stages run in order, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from suite.calibration.in_force import put_in_force, read_site_calibrations
from suite.devices import release_gpu_memory, resolve_device
from suite.errors import StageError
from suite.grid import Grid
from suite.intake import StudyFiles, read_study
from suite.reading import Reading
from suite.report.building import build
from suite.report.unfinished import Draft
from suite.stages.artifacts import Check, GateResult
from suite.stages.contract import Artifact, Downstream, Explained, Inputs, Stage
from suite.stages.graph import GATE
from suite.stages.memory import Done, Forgetful, StageMemory, stage_keys
from suite.stages.override import FRONTAL_PRESENT, check_override, known_checks
from suite.stages.plugins import build_stage
from suite.stages.running import StageOutOfMemoryError, is_held_up, run_checked
from suite.stages.selection import select_stages
from suite.study import Study

_NO_FRONTAL = Check(
    FRONTAL_PRESENT,
    False,
    None,
    "The study has no frontal film; give the frontal film, and this one as the lateral (--lateral).",
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
        selection = select_stages(stages, self.device)
        self.stages = selection.stages
        self.unavailable, self.faults = selection.unavailable, selection.faults
        self._heatmaps, self._checks = heatmaps, known_checks()
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
        check_override(override_gate, self._checks)
        draft = Draft(study, override_gate, unavailable=tuple(self.unavailable), declared=self._checks)
        if study.frontal is None:
            draft.artifacts["gate"] = Artifact(GateResult((_NO_FRONTAL,)))
        waiting = list(self.stages) if study.frontal is not None or draft.may_be_read else []
        while waiting:
            name = memory.choose([stage.name for stage in waiting if not is_held_up(stage, waiting)])
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
            return run_checked(stage, available, study_id)
        except StageOutOfMemoryError as error:
            start = time.perf_counter()
            release_gpu_memory()
            done = run_checked(self._on_cpu(stage), available, study_id)
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


def _films(study: Study) -> dict[str, Artifact]:
    return {name: Artifact(film, Grid.of(film.shape)) for name, film in study.views.items()}


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
    check_override(override_gate, known_checks())  # before the film is read and the networks are loaded
    if not isinstance(study, Study):
        study = read_study(study, lateral=lateral)
    elif lateral is not None:
        files = StudyFiles(study.id, None, Path(lateral), lateral_source=str(lateral), paired_by_hand=True)
        study = replace(study, lateral=files.load().lateral)
    analyzer = Analyzer(stages, device, calibration=calibration, heatmaps=heatmaps)
    return analyzer.run(study, override_gate=override_gate)
