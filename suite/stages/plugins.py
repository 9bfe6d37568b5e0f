"""Stages, recipes and studies found by entry points: listed without importing any, a broken one named."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from suite.errors import GraphError, InputError, RecipeError, StageError, SuiteError

STAGES = "suite.stages"
RECIPES = "suite.recipes"
STUDIES = "suite.studies"
CALIBRATORS = "suite.calibrators"

_DECLARED = {"name": str, "needs": Set, "uses": Set, "makes": Set}
"""What a stage's class says of itself before it is built."""


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """Entry points of ``group`` by name; nothing is imported.

    Raises:
        GraphError: two packages offer the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in found and found[point.name].value != point.value:
            raise GraphError(
                f"{group} {point.name!r} is offered by both {found[point.name].value} and {point.value}; "
                "uninstall one of the two packages."
            )
        found[point.name] = point
    return dict(sorted(found.items()))


def load_stage(name: str) -> Any:
    """The stage class called ``name``.

    Raises:
        InputError: no such stage is installed.
        GraphError: it is installed but does not import, or is no stage.
    """
    points = installed(STAGES)
    if name not in points:
        raise InputError(f"stage {name!r} is not installed; use one of {', '.join(points) or '(none)'}.")
    made = load_plugin(points[name])
    wrong = [key for key, kind in _DECLARED.items() if not isinstance(getattr(made, key, None), kind)]
    if wrong:
        raise GraphError(
            f"plug-in {name} ({points[name].value}) is no stage: its class does not say its "
            f"{', '.join(wrong)} as it should; mend its package or uninstall it."
        )
    if made.name != name:
        raise GraphError(
            f"plug-in {name} ({points[name].value}) is installed under another name than its own, "
            f"{made.name!r}; mend its package or uninstall it."
        )
    return made


def build_stage(name: str, made: Any, device: str) -> Any:
    """The stage that the class ``made`` builds for ``device``.

    Raises:
        SuiteError: as it says itself.
        StageError: it cannot be built, in whatever way that fails.
    """
    try:
        return made(device)
    except SuiteError:
        raise
    except (Exception, SystemExit) as error:  # a stage is a plug-in and may fail in any way
        raise StageError(
            f"stage {name} cannot be built ({_reason(error)}); mend or uninstall the package it comes from."
        ) from error


def load_recipe(name: str) -> Any:
    """The task class that trains the network called ``name``.

    Raises:
        RecipeError: no such recipe is installed.
        GraphError: it is installed but does not import, or is no task.
    """
    points = installed(RECIPES)
    if name not in points:
        raise RecipeError(f"recipe {name!r} is not installed; use one of {', '.join(points) or '(none)'}.")
    made = load_plugin(points[name])
    from suite.training.task import Task  # brings torch

    if not (isinstance(made, type) and issubclass(made, Task)):
        raise GraphError(
            f"plug-in {name} ({points[name].value}) is no recipe: it is no suite.training.task.Task; "
            "mend its package or uninstall it."
        )
    return made


def load_study(name: str) -> Any:
    """The class of the study called ``name``, which trains several networks to compare them.

    Raises:
        InputError: no such study is installed.
        GraphError: it is installed but does not import.
    """
    points = installed(STUDIES)
    if name not in points:
        raise InputError(f"study {name!r} is not installed; use one of {', '.join(points) or '(none)'}.")
    return load_plugin(points[name])


def load_plugin(point: EntryPoint) -> Any:
    """What an entry point names.

    Raises:
        GraphError: its module does not import.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # a foreign module may fail to import in any way, or leave
        raise GraphError(
            f"plug-in {point.name} ({point.value}) does not load: {_reason(error)}; reinstall its package."
        ) from error


def _reason(error: BaseException) -> str:
    """What went wrong, in a line; its kind too where the message alone says little: ``SystemExit: 3``."""
    words = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    return " ".join(words.split())[:300]
