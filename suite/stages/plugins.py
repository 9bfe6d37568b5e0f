"""Stages, recipes and studies found by entry points: listed without importing any, a broken one named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from suite.errors import GraphError, InputError, RecipeError

STAGES = "suite.stages"
RECIPES = "suite.recipes"
STUDIES = "suite.studies"
CALIBRATORS = "suite.calibrators"


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
        GraphError: it is installed but does not import.
    """
    points = installed(STAGES)
    if name not in points:
        raise InputError(f"stage {name!r} is not installed; use one of {', '.join(points) or '(none)'}.")
    return load_plugin(points[name])


def load_recipe(name: str) -> Any:
    """The task class that trains the network called ``name``.

    Raises:
        RecipeError: no such recipe is installed.
        GraphError: it is installed but does not import.
    """
    points = installed(RECIPES)
    if name not in points:
        raise RecipeError(f"recipe {name!r} is not installed; use one of {', '.join(points) or '(none)'}.")
    return load_plugin(points[name])


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
    except Exception as error:  # a foreign module may fail to import in any way
        raise GraphError(
            f"plug-in {point.name} ({point.value}) does not load: {error}; reinstall its package."
        ) from error
