"""Pictures beside the figures: confusion matrix, ROC of the pixels, reliability diagram."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segmentation.tissues.calibration import reliability
from segmentation.tissues.network import CLASSES
from segmentation.tissues.pixels import PixelCounts, areas_under_curve

COLOURS = ("tab:purple", "tab:green", "goldenrod")
"""Open beam, soft tissue and bone in the colours of the paper's figure 3."""

_NAMES = tuple(name.replace("_", " ") for name in CLASSES)


def plot_confusion(total: PixelCounts, path: Path) -> None:
    """Confusion matrix, each row of true pixels adding up to 1."""
    from matplotlib.figure import Figure

    rows = total.confusion / np.maximum(total.confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(rows, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*rows.shape):
        share = rows[row, column]
        axes.text(column, row, f"{share:.3f}", ha="center", va="center", color="w" if share > 0.5 else "k")
    axes.set_xticks(range(len(_NAMES)), _NAMES)
    axes.set_yticks(range(len(_NAMES)), _NAMES)
    axes.set(xlabel="called", ylabel="true")
    figure.savefig(path, dpi=110)


def plot_pixel_roc(total: PixelCounts, path: Path) -> None:
    """ROC curve of each class against the other two, pixel by pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, histogram, area, colour in zip(
        _NAMES, total.histograms, areas_under_curve(total.histograms), COLOURS, strict=True
    ):
        alarms, hits = (np.append(0, kind[::-1].cumsum() / max(kind.sum(), 1)) for kind in histogram)
        axes.plot(alarms, hits, color=colour, label=f"{name}, area {area:.3f}")
    axes.set(
        xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal"
    )
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def plot_reliability(total: PixelCounts, path: Path) -> None:
    """Share that is right against mean confidence, of each class's calls and of all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), layout="constrained")
    axes, below = figure.subplots(2, height_ratios=(4, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    kinds = [*zip(_NAMES, total.confidence, total.correct, COLOURS, strict=True)]
    kinds.append(("all", total.confidence.sum(axis=0), total.correct.sum(axis=0), "black"))
    for name, confidence, correct, colour in kinds:
        sure, right, counts = reliability(confidence, correct)
        there = counts > 0
        axes.plot(sure[there], right[there], "o-", color=colour, label=name, markersize=3)
    axes.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    below.bar(
        (np.arange(len(counts)) + 0.5) / len(counts), counts / max(counts.sum(), 1), width=1 / len(counts)
    )
    below.set(xlabel="confidence", ylabel="pixels")
    figure.savefig(path, dpi=110)
