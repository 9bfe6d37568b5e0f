"""Soft Dice loss (Milletari 2016, with plain sums in the denominator), per film and plane."""

from __future__ import annotations

from torch import Tensor

from segmentation.losses.tversky import tversky_loss


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """``1 - (2 sum(p y) + s) / (sum p + sum y + s)``, averaged over films and planes.

    Shape:
        - **logits**, **target** - (B, M, H, W); target in {0, 1}
    """
    return tversky_loss(logits, target, 0.5, 0.5, smooth)
