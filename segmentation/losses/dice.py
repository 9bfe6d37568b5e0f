"""Soft Dice loss (Milletari 2016), per film and plane."""

from __future__ import annotations

from torch import Tensor


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """``1 - (2 sum(p y) + s) / (sum p + sum y + s)``, averaged over films and planes.

    Shape:
        - **logits**, **target** - (B, M, H, W); target in {0, 1}
    """
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-2, -1))
    total = probability.sum((-2, -1)) + target.sum((-2, -1))
    return (1.0 - (2.0 * overlap + smooth) / (total + smooth)).mean()
