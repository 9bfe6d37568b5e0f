"""One study in, one reading out: the stages run in order, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.errors import GraphError, InputError, StageError, SuiteError
from suite.grid import Grid
from suite.intake import StudyFiles, read_study
from suite.reading import Reading
from suite.report.building import Draft, build
from suite.stages.artifacts import Check, GateResult
from suite.stages.contract import SOURCES, Artifact, Stage, StageRun, check_outputs
from suite.stages.graph import GATE, ordered, with_requirements
from suite.stages.plugins import STAGES, installed, load_stage
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
        stages: names of the stages wanted; what they build on comes by itself. ``None``: all that work.
        device: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.

    Raises:
        InputError: a stage is not installed, or the device is not there.
        GraphError: the stages do not form a graph, or one asked for does not load.
    """

    def __init__(self, stages: Sequence[str] | None = None, device: str = "auto") -> None:
        self.device = resolve_device(device)
        self.unavailable: list[str] = []
        self.stages = tuple(self._build(stages))

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
                self.unavailable.append(str(error))
        order = with_requirements(wanted, classes) if wanted is not None else self._runnable(classes)
        for name in order:
            try:
                built[name] = classes[name](self.device)
            except SuiteError as error:
                if wanted is not None:
                    raise
                self.unavailable.append(f"{name}: {error}")
        self._leave_out_lacking(built)
        return list(built.values())

    def _runnable(self, classes: dict[str, Any]) -> tuple[str, ...]:
        """All stages but those whose inputs nobody makes; what is left out is named in the report."""
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
                self.unavailable.append(f"{name}: no stage that works here makes {missing}.")

    def run(
        self, study: Study, *, override_gate: bool = False, on_progress: OnProgress | None = None
    ) -> Reading:
        """Read one study.

        A film the gate refuses is not read further, unless ``override_gate``.

        Raises:
            StageError: a stage failed; the message names it.
        """
        draft = Draft(study, overridden=override_gate, unavailable=tuple(self.unavailable))
        inputs = {name: Artifact(film, Grid.of(film.shape)) for name, film in study.views.items()}
        if study.frontal is None:
            draft.artifacts["gate"] = Artifact(GateResult((_NO_FRONTAL,)))
        refused = study.frontal is None and not override_gate
        for stage in () if refused else self.stages:
            if not stage.needs <= (inputs.keys() | draft.artifacts.keys()):
                continue
            if on_progress is not None:
                on_progress(stage.name, "started")
            draft.runs.append(_run(stage, {**inputs, **draft.artifacts}, draft))
            if on_progress is not None:
                on_progress(stage.name, "finished")
            if stage.name == GATE and not draft.artifacts["gate"].value.accepted and not override_gate:
                break
        return Reading(*build(draft))


def _run(stage: Stage, available: Mapping[str, Artifact], draft: Draft) -> StageRun:
    wanted = {name: artifact for name, artifact in available.items() if name in stage.needs | stage.uses}
    start = time.perf_counter()
    try:
        outputs = stage.run([wanted])
    except SuiteError:
        raise
    except Exception as error:  # a stage is a plug-in and may fail in any way
        remedy = "leave it out with --stages" if stage.device == "cpu" else "run it again with --device cpu"
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StageError(
            f"stage {stage.name} failed on study {draft.study.id} ({reason[:300]}); {remedy}."
        ) from error
    seconds = time.perf_counter() - start
    check_outputs(stage, [wanted], outputs)
    draft.artifacts.update(outputs[0])
    return StageRun(stage.name, stage.weights_sha256, stage.device, seconds)


def resolve_device(device: str) -> str:
    """``auto`` as ``cuda`` or ``cpu``.

    Raises:
        InputError: CUDA was asked for and is not there, or the name is unknown.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {device!r} is unknown; use auto, cpu or cuda.")
    if device == "cpu":
        return device
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device cuda is not available here; use --device cpu.")
    return "cuda" if available else "cpu"


def analyze(
    study: Study | str | Path,
    *,
    lateral: str | Path | None = None,
    stages: Sequence[str] | None = None,
    device: str = "auto",
    override_gate: bool = False,
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
    return Analyzer(stages, device).run(study, override_gate=override_gate)
