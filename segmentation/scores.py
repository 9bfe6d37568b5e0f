"""Scores of masks: overlap with the empty rule of the pneumothorax challenge, and distances of outlines.

Masks are (H, W); any non-zero value is inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from suite.study import Mask
from suite.training.evaluation import Figure
from suite.training.intervals import bootstrap, mean_figure


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels in both masks, in the prediction alone, in the truth alone; ``sum(films, Overlap())`` pools.

    ``dice`` and ``iou`` are 1 when both masks are empty. ``precision`` and ``recall`` are NaN when there is
    nothing to divide by: nothing was claimed, or nothing was there.
    """

    hits: int = 0
    alarms: int = 0
    misses: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.hits + other.hits, self.alarms + other.alarms, self.misses + other.misses)

    @property
    def dice(self) -> float:
        total = 2 * self.hits + self.alarms + self.misses
        return 2 * self.hits / total if total else 1.0

    @property
    def iou(self) -> float:
        union = self.hits + self.alarms + self.misses
        return self.hits / union if union else 1.0

    @property
    def precision(self) -> float:
        claimed = self.hits + self.alarms
        return self.hits / claimed if claimed else math.nan

    @property
    def recall(self) -> float:
        true = self.hits + self.misses
        return self.hits / true if true else math.nan

    @property
    def positive(self) -> bool:
        """Whether the truth has anything in it."""
        return self.hits + self.misses > 0


def overlap(predicted: Mask, truth: Mask) -> Overlap:
    """How two masks (H, W) of one film lie on each other.

    Raises:
        ValueError: they are of different shape.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks of {predicted.shape} and {truth.shape} pixels cannot be compared")
    first, second = predicted > 0, truth > 0
    both = int(np.count_nonzero(first & second))
    return Overlap(both, int(np.count_nonzero(first)) - both, int(np.count_nonzero(second)) - both)


def dice(predicted: Mask, truth: Mask) -> float:
    """Dice of two masks (H, W); 1 when both are empty."""
    return overlap(predicted, truth).dice


def iou(predicted: Mask, truth: Mask) -> float:
    """Intersection over union (Jaccard) of two masks (H, W); 1 when both are empty."""
    return overlap(predicted, truth).iou


@dataclass(frozen=True, slots=True)
class OutlineDistances:
    """How far two outlines lie apart: millimetres at the detector, or pixels where the spacing is unknown.

    Attributes:
        hd95: 95th-percentile Hausdorff distance: the larger of the two directed 95th percentiles.
        assd: average symmetric surface distance: mean over the points of both outlines.
        unit: ``"mm"`` or ``"px"``.
    """

    hd95: float
    assd: float
    unit: str


def outline_distances(
    predicted: Mask, truth: Mask, spacing: tuple[float, float] | None = None
) -> OutlineDistances:
    """Distances between the outlines of two masks (H, W), from pixel centre to pixel centre.

    The outline is every pixel of a mask with one of its four neighbours, or the film's edge, outside. Both
    masks empty: 0. One empty: the film's diagonal, the largest distance there can be, so that a film where
    nothing was found weighs in a mean instead of vanishing from it.

    Args:
        predicted, truth: masks of one film.
        spacing: (row, column) in mm at the detector; ``None``: the result is in pixels.

    Raises:
        ValueError: the masks are of different shape.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks of {predicted.shape} and {truth.shape} pixels cannot be compared")
    unit = "px" if spacing is None else "mm"
    scale = np.array(spacing or (1.0, 1.0))
    first, second = _outline(predicted) * scale, _outline(truth) * scale
    if not len(first) or not len(second):
        worst = float(np.hypot(*(np.array(truth.shape) * scale))) if len(first) or len(second) else 0.0
        return OutlineDistances(worst, worst, unit)
    there = KDTree(second).query(first)[0]
    back = KDTree(first).query(second)[0]
    hd95 = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
    return OutlineDistances(hd95, float(np.concatenate((there, back)).mean()), unit)


def _outline(mask: Mask) -> NDArray[np.intp]:
    """(row, column) of the outline's pixels, (N, 2)."""
    inside = (mask > 0).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    core = np.asarray(cv2.erode(inside, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0))
    return np.argwhere(inside > core)


def mask_figures(
    overlaps: Sequence[Overlap], patients: Sequence[str], rng: np.random.Generator, prefix: str = ""
) -> dict[str, Figure]:
    """What is said of masks that are often empty, with 95 % intervals from a bootstrap over patients.

    Returns:
        figures by name: ``dice`` - mean per film with the empty rule; ``dice_positives`` - mean over films
        whose truth is not empty; ``dice_pooled``, ``iou_pooled`` - all pixels of all films as one mask;
        ``dice_all_empty`` - what a prediction of nothing at all would score for ``dice``, the share of films
        with an empty truth.
    """
    counts = np.array([(each.hits, each.alarms, each.misses) for each in overlaps]).reshape(-1, 3)
    per_film = np.array([each.dice for each in overlaps], dtype=np.float64)
    positive = np.array([each.positive for each in overlaps], dtype=bool)

    def pooled(rows: NDArray[np.intp]) -> Overlap:
        return Overlap(*(int(count) for count in counts[rows].sum(axis=0)))

    figures = {
        "dice": mean_figure(per_film, patients, rng),
        "dice_positives": mean_figure(np.where(positive, per_film, np.nan), patients, rng),
        "dice_pooled": bootstrap(lambda rows: pooled(rows).dice, patients, rng),
        "iou_pooled": bootstrap(lambda rows: pooled(rows).iou, patients, rng),
        "dice_all_empty": mean_figure((~positive).astype(np.float64), patients, rng),
    }
    return {f"{prefix}{name}": figure for name, figure in figures.items()}
