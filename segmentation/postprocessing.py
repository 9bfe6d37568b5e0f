"""From probabilities to outlines a reader would draw: no islands, no holes, one piece an organ."""

from __future__ import annotations

import cv2
import numpy as np

from suite.study import FloatImage, Mask


def largest_piece(mask: Mask) -> Mask:
    """The largest 8-connected piece of a mask (H, W) in {0, 1}, its holes filled."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 1:
        return mask
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return without_holes((labels == largest).astype(np.uint8))


def without_islands(mask: Mask, min_area: int) -> Mask:
    """A mask (H, W) in {0, 1} without its 8-connected pieces of fewer than ``min_area`` pixels."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = statistics[:, cv2.CC_STAT_AREA] >= min_area
    kept[0] = False  # the background
    return np.asarray(kept[labels], np.uint8)


def without_holes(mask: Mask, max_area: int | None = None) -> Mask:
    """A mask (H, W) in {0, 1} with every background piece that does not reach the border filled.

    Background pieces are 4-connected, as a diagonal line of the mask closes a hole. Those of more than
    ``max_area`` pixels stay open where it is given.

    A flood from outside instead of SciPy's ``binary_fill_holes``, which takes 20 ms on a film of 1024 x 1024
    where this takes one.
    """
    outside = np.pad(mask, 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    filled = (outside[1:-1, 1:-1] != 2).astype(np.uint8)
    if max_area is None:
        return filled
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(filled & (mask == 0), connectivity=4)
    open_ = statistics[:, cv2.CC_STAT_AREA] > max_area
    open_[0] = False
    return np.asarray(filled & ~open_[labels], np.uint8)


def lungs_from_probabilities(right: FloatImage, left: FloatImage, threshold: float = 0.5) -> Mask:
    """Right and left lung probabilities (H, W) as one mask: 0 background, 128 right, 255 left.

    Where both claim a pixel, the more probable side has it; of each side the largest piece is kept.
    """
    right_wins = right >= left
    right_mask = largest_piece(((right > threshold) & right_wins).astype(np.uint8))
    left_mask = largest_piece(((left > threshold) & ~right_wins).astype(np.uint8))
    return np.where(left_mask > 0, 255, np.where(right_mask > 0, 128, 0)).astype(np.uint8)
