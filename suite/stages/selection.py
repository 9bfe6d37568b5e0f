"""Which of the installed stages work here: those asked for, or all that can, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from suite.errors import GraphError, InputError, NotShippedError, SuiteError
from suite.stages.contract import SOURCES, Stage
from suite.stages.graph import GATE, ordered, with_requirements
from suite.stages.plugins import STAGES, build_stage, installed, load_stage


@dataclass(slots=True)
class Selection:
    """The stages that were built.

    Attributes:
        stages: in running order.
        unavailable: a sentence for each installed stage that does not run.
        faults: those of them that somebody should mend; a network whose weights this release does not bring
            is none.
    """

    stages: tuple[Stage, ...] = ()
    unavailable: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def leave_out(self, line: str, *, fault: bool = True) -> None:
        """Note why a stage does not run."""
        self.unavailable.append(line)
        if fault:
            self.faults.append(line)


def select_stages(wanted: Sequence[str] | None, device: str) -> Selection:
    """Build the stages ``wanted`` and what they build on; ``None``: all that work but those on request.

    Raises:
        InputError: a stage is not installed, or ``wanted`` is no list of names.
        GraphError: the stages do not form a graph, or one asked for does not load.
        SuiteError: one asked for cannot be built.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Sequence | None):
        raise InputError(f"stages are given as {wanted!r}; give a list of their names, such as ['lungs'].")
    for name in wanted or ():
        if name not in installed(STAGES):
            raise InputError(f"stage {name!r} is not installed; use one of {', '.join(installed(STAGES))}.")
    selection = Selection()
    classes = _load(wanted, selection)
    order = with_requirements(wanted, classes) if wanted is not None else _runnable(classes, selection)
    built: dict[str, Stage] = {}
    for name in order:
        try:
            built[name] = build_stage(name, classes[name], device)
        except SuiteError as error:
            if wanted is not None:
                raise
            selection.leave_out(f"{name}: {error}", fault=not isinstance(error, NotShippedError))
    working = _without_lacking(built, selection)
    selection.stages = tuple(working.values())
    return selection


def gate_checks() -> tuple[str, ...]:
    """Names of the checks that the installed gate's class declares; none where it declares none."""
    if GATE not in installed(STAGES):
        return ()
    try:
        return tuple(getattr(load_stage(GATE), "checks", ()))
    except GraphError:  # whoever builds the stages is told
        return ()


def _load(wanted: Sequence[str] | None, selection: Selection) -> dict[str, Any]:
    """Classes of the installed stages by their names; one that does not load is an error if it is wanted."""
    classes: dict[str, Any] = {}
    for name in installed(STAGES):
        try:
            classes[name] = load_stage(name)
        except GraphError as error:
            if wanted is not None and name in wanted:
                raise
            selection.leave_out(str(error))
    return classes


def _runnable(classes: Mapping[str, Any], selection: Selection) -> tuple[str, ...]:
    """All stages but those on request, and those whose inputs nobody makes; these the report names."""
    offered = {name: stage for name, stage in classes.items() if not getattr(stage, "on_request", False)}
    return ordered(_without_lacking(offered, selection))


def _without_lacking(stages: Mapping[str, Any], selection: Selection) -> dict[str, Any]:
    """Those whose inputs another of ``stages`` makes, or the study brings."""
    left = dict(stages)
    while True:
        made = SOURCES.union(*(stage.makes for stage in left.values()))
        lacking = [name for name, stage in left.items() if not stage.needs <= made]
        if not lacking:
            return left
        for name in lacking:
            missing = ", ".join(sorted(left.pop(name).needs - made))
            selection.leave_out(f"{name}: no stage that works here makes {missing}.")
