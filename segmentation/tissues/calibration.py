"""Is the network as sure as it is right? Confidence against precision by class, and calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np

from segmentation.tissues.network import CLASSES
from segmentation.tissues.pixels import BINS, Counts, Numbers, PixelCounts

GROUPS = 16
"""Bins of the reliability diagram, equally wide."""

_CENTRES = (np.arange(BINS) + 0.5) / BINS


def reliability(confidence: Counts, correct: Counts) -> tuple[Numbers, Numbers, Counts]:
    """Mean confidence, share that is right and number of pixels in each of ``GROUPS`` bins; NaN in empty
    ones.

    Args:
        confidence: (BINS,) pixels by the probability of the class they were given.
        correct: (BINS,) those of them that are right.
    """
    counts = confidence.reshape(GROUPS, -1).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sure = (confidence * _CENTRES).reshape(GROUPS, -1).sum(axis=-1) / counts
        right = correct.reshape(GROUPS, -1).sum(axis=-1) / counts
    return sure, right, counts


def expected_calibration_error(total: PixelCounts) -> float:
    """Guo et al.'s ECE (2017) of the calls of all classes together: the mean distance, weighted by pixels."""
    sure, right, counts = reliability(total.confidence.sum(axis=0), total.correct.sum(axis=0))
    return float((np.abs(np.nan_to_num(sure - right)) * counts).sum() / max(counts.sum(), 1))


def by_class(total: PixelCounts) -> dict[str, dict[str, Any]]:
    """Mean confidence and precision of the pixels called each class: the paper's table 2 and figure 4."""
    table = {}
    for index, name in enumerate(CLASSES):
        confidence, correct = total.confidence[index], total.correct[index]
        count = int(confidence.sum())
        table[name] = {
            "confidence": round(float((confidence * _CENTRES).sum() / count), 4) if count else None,
            "precision": round(float(correct.sum() / count), 4) if count else None,
        }
    return table
