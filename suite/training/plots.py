"""Plots that go beside a table: ROC curves, and how a figure spreads over films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS, LINES = 10, ("-", "--", ":")
"""Curves that colour alone tells apart, and the lines that tell further ones."""

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Labels (1, 0, NaN) and scores of the same films."""


def plot_roc(curves: Mapping[str, Curve], path: Path) -> None:
    """ROC curves of all entries that have both kinds of films."""
    roc_figure(curves).savefig(path, dpi=110)


def roc_figure(curves: Mapping[str, Curve]) -> Figure:
    """The picture of ``plot_roc``; past ten curves colours come again, with another line."""
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    place = 0
    for name, (labels, scores) in curves.items():
        known = ~np.isnan(labels)
        if len(np.unique(labels[known])) < 2:
            continue
        false_alarms, hits, _ = roc_curve(labels[known], scores[known])
        label = f"{name.replace('_', ' ')} (n = {int(known.sum())})"
        line = LINES[place // COLOURS % len(LINES)]
        axes.plot(false_alarms, hits, line, color=f"C{place % COLOURS}", label=label, linewidth=1.5)
        place += 1
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    if place:
        figure.legend(loc="outside right upper", fontsize=8)  # a curve may lie in any corner of the axes
    return figure


def plot_spread(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str], path: Path
) -> None:
    """One strip a column: every film a dot, the median a line.

    Args:
        columns: of ``rows``; with the words below each strip where they are not its own name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 + 1.3 * len(columns), 4), layout="constrained")
    axes = figure.add_subplot()
    for place, column in enumerate(columns):
        values = np.array([row[column] for row in rows if column in row], dtype=np.float64)
        spread = np.linspace(-0.18, 0.18, len(values))
        axes.plot(place + spread, values, ".", color="tab:blue", alpha=0.6, markersize=5)
        if not np.isnan(values).all():
            axes.plot([place - 0.25, place + 0.25], [np.nanmedian(values)] * 2, color="black")
    labels = columns.values() if isinstance(columns, Mapping) else columns
    axes.set_xticks(range(len(columns)), list(labels))
    axes.set_title("a dot is a film, a line the median", fontsize=8)
    figure.savefig(path, dpi=110)
