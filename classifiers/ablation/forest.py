"""The picture of an ablation: areas with their intervals, and what the comparisons say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classifiers.ablation.areas import Area
from classifiers.ablation.differences import Difference
from classifiers.ablation.statistics import ALL, ROWS, Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^v<>PXp"
"""Of networks in the forest plot, one each for all that an ablation may have."""


def forest_plot(statistics: Statistics) -> Figure:
    """Areas by finding and network; beside them the comparisons, of fracture and of the mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _plot_areas(left, statistics.areas)
    _plot_differences(right, statistics.differences)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _plot_areas(axes: Axes, areas: Mapping[str, Mapping[str, Area]]) -> None:
    """A row a finding, in it a point a network; networks differ by marker too, for who sees no colours."""
    shown = [row for row in ROWS if any(not math.isnan(own[row].figure.value) for own in areas.values())]
    for place, (name, own) in enumerate(areas.items()):
        offset = 0.7 * (place / max(1, len(areas) - 1) - 0.5)
        figures = [own[row].figure for row in shown]
        axes.errorbar(
            [each.value for each in figures],
            [row + offset for row in range(len(shown))],
            xerr=_reach(figures),
            fmt=MARKERS[place % len(MARKERS)],
            markersize=4,
            linewidth=1,
            label=name,
        )
    axes.axvline(0.5, color="0.7", linewidth=1)
    axes.set_yticks(range(len(shown)), [row.replace("_", " ") for row in shown])
    axes.invert_yaxis()
    axes.set(xlabel="area under the ROC curve")


def _plot_differences(axes: Axes, differences: Sequence[Difference]) -> None:
    """A row a comparison, in black: colours are those of networks."""
    pairs = list(dict.fromkeys((d.first, d.second) for d in differences))
    for place, (finding, marker, filling) in enumerate(((ALL, "s", "black"), ("fracture", "D", "white"))):
        own = [d for d in differences if d.finding == finding]
        at = [pairs.index((d.first, d.second)) + 0.3 * (place - 0.5) for d in own]
        axes.errorbar(
            [d.value for d in own],
            at,
            xerr=_reach(own),
            fmt=marker,
            color="black",
            markerfacecolor=filling,
            markersize=4,
            linewidth=1,
            label=finding,
        )
    axes.axvline(0.0, color="0.7", linewidth=1)
    axes.set_yticks(range(len(pairs)), [f"{first}\n- {second}" for first, second in pairs], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="difference of areas")
    # above the axes: an interval may reach into any of their corners
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _reach(figures: Sequence[Any]) -> list[list[float]]:
    """Distances of the interval's ends, never below zero."""
    return [
        [max(0.0, own.value - own.low) for own in figures],
        [max(0.0, own.high - own.value) for own in figures],
    ]
