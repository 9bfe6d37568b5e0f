"""A film's pixels counted: what was taken for what, and how surely. Every figure is made of these counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segmentation.tissues.network import CLASSES
from suite.study import FloatImage, Mask

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]

BINS = 256
"""Steps in which probabilities are told apart: an area under the curve is off by less than 1e-4."""


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Counts of one film, or of many in a first dimension N.

    Attributes:
        confusion: (..., 3, 3) pixels by true class (rows) and called class (columns).
        histograms: (..., 3, 2, BINS) pixels by class, whether they truly are of it (0 no, 1 yes), and the
            probability the network gave that class.
        confidence: (..., 3, BINS) pixels called each class, by the probability of that call.
        correct: (..., 3, BINS) those of them that are right.
    """

    confusion: Counts
    histograms: Counts
    confidence: Counts
    correct: Counts

    @classmethod
    def of(cls, probabilities: FloatImage, truth: Mask) -> Self:
        """Counts of one film.

        Args:
            probabilities: (3, H, W), adding up to 1.
            truth: (H, W), 0 open beam, 1 soft tissue, 2 bone.
        """
        classes = len(CLASSES)
        planes = probabilities.reshape(classes, -1)
        true = truth.ravel().astype(np.int64)
        call = planes.argmax(axis=0)
        steps = np.clip((planes * BINS).astype(np.int64), 0, BINS - 1)
        own = steps[call, np.arange(call.size)]
        place = call * BINS + own
        histograms = [
            np.bincount((true == index) * BINS + steps[index], minlength=2 * BINS).reshape(2, BINS)
            for index in range(classes)
        ]
        return cls(
            confusion_of(true, call),
            np.stack(histograms),
            np.bincount(place, minlength=classes * BINS).reshape(classes, BINS),
            np.bincount(place[call == true], minlength=classes * BINS).reshape(classes, BINS),
        )

    @classmethod
    def stack(cls, films: Sequence[Self]) -> Self:
        """Counts of several films in one, the films in the first dimension."""
        fields = ("confusion", "histograms", "confidence", "correct")
        return cls(*(np.stack([getattr(film, name) for film in films]) for name in fields))

    def total(self, rows: NDArray[np.intp] | None = None) -> PixelCounts:
        """The films ``rows`` (all, unless stated; one may come twice) taken together."""
        return self.totals()(np.arange(len(self.confusion)) if rows is None else rows)

    def totals(self) -> Callable[[NDArray[np.intp]], PixelCounts]:
        """``total`` for many draws of rows: counts are added as floats, exactly, which is faster by far."""
        fields = (self.confusion, self.histograms, self.confidence, self.correct)
        shapes = [field.shape[1:] for field in fields]
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        films = len(self.confusion)
        table = np.concatenate([field.reshape(films, -1) for field in fields], axis=1).astype(np.float64)

        def total(rows: NDArray[np.intp]) -> PixelCounts:
            summed = np.bincount(rows, minlength=films).astype(np.float64) @ table
            parts = np.split(np.rint(summed).astype(np.int64), ends)
            return PixelCounts(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))

        return total


def confusion_of(truth: Mask | Counts, called: Mask | Counts) -> Counts:
    """Pixels by true class (rows) and called class (columns), (3, 3), of two maps (H, W)."""
    classes = len(CLASSES)
    places = truth.ravel().astype(np.int64) * classes + called.ravel()
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def shares(confusion: Counts) -> dict[str, Numbers]:
    """Precision, recall and F1 of each class (3,) from a confusion matrix (3, 3); NaN where nothing was
    called or is.

    What XNet's paper prints as "accuracy" of a class is its precision.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    called, true = confusion.sum(axis=-2), confusion.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"precision": hits / called, "recall": hits / true, "f1": 2 * hits / (called + true)}


def areas_under_curve(histograms: Counts) -> Numbers:
    """Area under the ROC curve of each class (3,) from its histograms (3, 2, BINS); ties count one half."""
    others, own = histograms[..., 0, :].astype(np.float64), histograms[..., 1, :].astype(np.float64)
    below = np.cumsum(others, axis=-1) - others
    pairs = (own * (below + 0.5 * others)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(pairs / (own.sum(axis=-1) * others.sum(axis=-1)))


def weighted(values: Numbers, confusion: Counts) -> float:
    """Mean of per-class values (3,) weighted by the classes' true pixels; a class without any is left out."""
    weights = confusion.sum(axis=-1).astype(np.float64)
    there = weights > 0
    return float((np.nan_to_num(values[there]) * weights[there]).sum() / weights[there].sum())
