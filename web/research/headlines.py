"""What a network's card is told by in the list of networks, with what holds for patients first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.datasets.registry import is_computed
from suite.findings import NAMES
from web.research.figure_groups import films_and_figure
from web.research.figure_words import SETS, words

PARTLY_COMPUTED = frozenset({"inserted-pneumothorax"})
"""Real films whose disease is computed."""

_MOST = 3
_FIRST = ("nih_auc",)
"""Told before all others where a card has it: it holds for patients, where the rest is of computed films."""
_NONE = frozenset({"loss", "dice_all_empty"})
"""A number in no unit, and what no network at all would score."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of the list, and the names of the card's figures that it is made of."""

    words: str
    value: float
    interval: tuple[float, float] | None
    keys: tuple[str, ...]


def headlines_of(metrics: Mapping[str, Any]) -> list[Headline]:
    """Means by data set where a card has areas by finding, not over all sets; else its first figures."""
    if means := set_means(metrics):
        return means[:_MOST]
    keys = [key for key in metrics if metrics[key].get("value") is not None and key not in _NONE]
    keys.sort(key=lambda key: key not in _FIRST)
    return [_of_figure(key, metrics[key]) for key in keys[:_MOST]]


def set_means(metrics: Mapping[str, Any]) -> list[Headline]:
    """The mean area under the curve over the findings of each data set, real films first.

    A card holds no interval of it, and none can be made from those of the findings.
    """
    areas: dict[str, list[str]] = {}
    for key, figure in metrics.items():
        films, name = films_and_figure(key)
        if films and name.removeprefix("auc_") in NAMES and figure.get("value") is not None:
            areas.setdefault(films, []).append(key)
    return [_mean(films, areas[films], metrics) for films in sorted(areas, key=_of_no_patients)]


def _of_no_patients(films: str) -> bool:
    return is_computed(films) or films in PARTLY_COMPUTED


def _mean(films: str, keys: list[str], metrics: Mapping[str, Any]) -> Headline:
    value = sum(float(metrics[key]["value"]) for key in keys) / len(keys)
    findings = "1 finding" if len(keys) == 1 else f"{len(keys)} findings"
    return Headline(f"AUC, mean of {findings}, {SETS.get(films, films)}", value, None, tuple(keys))


def _of_figure(key: str, figure: Mapping[str, Any]) -> Headline:
    return Headline(words(key), float(figure["value"]), figure.get("interval"), (key,))
