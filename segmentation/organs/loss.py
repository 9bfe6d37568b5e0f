"""The two forms' losses: cross-entropy and Dice, on one class a pixel or on planes that may overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from segmentation.losses.dice import dice_loss
from segmentation.organs.outlines import Outputs, exclusive_classes


def organ_loss(logits: Tensor, planes: Tensor, outputs: Outputs) -> Tensor:
    """Cross-entropy + Dice of logits (B, P, H, W) against organ planes (B, 5, H, W) in {0, 1}."""
    if outputs == "multilabel":
        return binary_cross_entropy_with_logits(logits, planes) + dice_loss(logits, planes)
    classes = exclusive_classes(planes)
    return cross_entropy(logits, classes) + pixel_dice_loss(logits, classes)


def pixel_dice_loss(logits: Tensor, classes: Tensor, smooth: float = 1.0) -> Tensor:
    """The report's Dice: of each pixel over its classes, ``1 - (2 p_y + s) / (1 + sum p^2 + s)``, averaged.

    Shape:
        - **logits** - (B, P, H, W)
        - **classes** - (B, H, W) in 0 .. P - 1
    """
    shares = logits.softmax(1)
    truth = one_hot(classes, logits.shape[1]).movedim(-1, 1).to(shares.dtype)
    overlap = (shares * truth).sum(1)
    total = 1.0 + torch.square(shares).sum(1)
    return (1.0 - (2.0 * overlap + smooth) / (total + smooth)).mean()
