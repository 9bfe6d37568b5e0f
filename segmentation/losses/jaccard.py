"""Soft Jaccard (IoU) loss (Rahman and Wang 2016), per film and plane."""

from __future__ import annotations

from torch import Tensor

from segmentation.losses.tversky import tversky_loss


def jaccard_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """``1 - (sum(p y) + s/2) / (sum p + sum y - sum(p y) + s/2)``, averaged over films and planes.

    With the same s, Jaccard = Dice / (2 - Dice) for each film and plane.

    Shape:
        - **logits**, **target** - (B, M, H, W); target in {0, 1}
    """
    return tversky_loss(logits, target, 1.0, 1.0, smooth)
