"""Overlap of masks, with the empty rule of the pneumothorax challenge."""

from __future__ import annotations

import numpy as np

from suite.study import Mask


def dice(predicted: Mask, truth: Mask) -> float:
    """Dice of two masks (H, W), any non-zero value counting as inside; 1 when both are empty."""
    first, second = predicted > 0, truth > 0
    total = int(first.sum()) + int(second.sum())
    if total == 0:
        return 1.0
    return 2.0 * int(np.logical_and(first, second).sum()) / total
