"""The order of the stages, worked out from what each needs and makes."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence

from suite.errors import GraphError
from suite.stages.contract import SOURCES, Stage

GATE = "gate"
"""The stage that runs before every other: nothing speaks about a film it has not let in."""


def ordered(stages: Mapping[str, type[Stage]]) -> tuple[str, ...]:
    """Names of the stages, each after those that make what it needs or uses; the gate first.

    Raises:
        GraphError: an input nobody makes, two makers of one artifact, or a circle.
    """
    makers = _makers(stages)
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for name, stage in stages.items():
        sorter.add(name)
        if name != GATE and GATE in stages:
            sorter.add(name, GATE)
        for artifact in sorted(stage.needs | stage.uses):
            if artifact in makers:
                sorter.add(name, makers[artifact])
            elif artifact in stage.needs and artifact not in SOURCES:
                raise GraphError(
                    f"stage {name} needs {artifact!r}, which no installed stage makes; "
                    f"install the stage that does, or leave {name} out."
                )
    try:
        return tuple(_stable(sorter))
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise GraphError(
            f"stages need each other in a circle ({circle}); one of them must give up an input."
        ) from None


def _stable(sorter: graphlib.TopologicalSorter[str]) -> Iterable[str]:
    """Topological order with ties by name, so that reports do not depend on the installation."""
    sorter.prepare()
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield from ready
        sorter.done(*ready)


def _makers(stages: Mapping[str, type[Stage]]) -> dict[str, str]:
    makers: dict[str, str] = {}
    for name, stage in stages.items():
        for artifact in stage.makes:
            if artifact in makers:
                raise _two_makers(makers[artifact], name, artifact)
            makers[artifact] = name
    return makers


def with_requirements(wanted: Sequence[str], stages: Mapping[str, type[Stage]]) -> tuple[str, ...]:
    """``wanted`` with all stages they build on, the gate included, in running order.

    Raises:
        GraphError: as for ``ordered``; also a wanted stage that is not there.
    """
    chosen: set[str] = set()
    waiting = [*wanted, *({GATE} & set(stages))]
    while waiting:
        name = waiting.pop()
        if name not in stages:
            raise GraphError(f"stage {name!r} is not available; use one of {', '.join(sorted(stages))}.")
        if name not in chosen:
            chosen.add(name)
            waiting += _required(name, wanted, stages)
    return ordered({name: stages[name] for name in sorted(chosen)})


def _required(name: str, wanted: Sequence[str], stages: Mapping[str, type[Stage]]) -> list[str]:
    """The makers of what a stage needs; where there are two, the one that was asked for."""
    required = []
    for artifact in sorted(stages[name].needs):
        makers = [maker for maker, stage in stages.items() if artifact in stage.makes]
        makers = [maker for maker in makers if maker in wanted] or makers
        if len(makers) > 1:
            raise _two_makers(makers[0], makers[1], artifact)
        required += makers
    return required


def _two_makers(first: str, second: str, artifact: str) -> GraphError:
    return GraphError(
        f"stages {first} and {second} both make {artifact!r}; name one of them as a stage to run."
    )
