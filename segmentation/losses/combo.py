"""Combo loss of the pneumothorax challenge's winner: cross-entropy, Dice and focal loss, weighted.

The winning entry of the SIIM-ACR challenge 2019 used weights (3, 1, 4), (1, 1, 1) and (2, 1, 2) for its three
networks.
"""

from __future__ import annotations

from torch import Tensor

from segmentation.losses.bce import bce_loss
from segmentation.losses.dice import dice_loss
from segmentation.losses.focal import focal_loss


def combo_loss(
    logits: Tensor,
    target: Tensor,
    weights: tuple[float, float, float] = (3.0, 1.0, 4.0),
    gamma: float = 2.0,
    smooth: float = 1.0,
) -> Tensor:
    """``weights[0] bce + weights[1] dice + weights[2] focal``: the sum, not the mean.

    Args:
        logits, target: (B, M, H, W); target in {0, 1}.
        weights: of cross-entropy, Dice and focal loss.
        gamma: of the focal loss.
        smooth: of the Dice loss, in pixels.
    """
    bce, dice, focal = weights
    return (
        bce * bce_loss(logits, target)
        + dice * dice_loss(logits, target, smooth)
        + focal * focal_loss(logits, target, gamma)
    )
