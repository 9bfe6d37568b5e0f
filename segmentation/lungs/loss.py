"""Cross-entropy and Dice on visible and whole lungs, where some films know the visible part only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from segmentation.losses.dice import dice_loss
from segmentation.losses.precision import widened


def lung_loss(logits: Tensor, planes: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy + Dice of known planes; of a whole lung that is not known, what the visible one says.

    Every pixel of a visible field belongs to the whole lung of its side and not to that of the other: there a
    film that was outlined by SCR's rule teaches whole lungs too.

    Shape:
        - **logits**, **planes** - (B, M, H, W), the first M of ``segmentation.lungs.network.PLANES``
        - **known** - (B, M), 1 where the plane's outline is known
    """
    wide, truth = widened(logits, planes)
    seen = truth[:, :2].amax(dim=1, keepdim=True)  # (B, 1, H, W)
    weight = torch.maximum(known[:, :, None, None].to(wide), seen)
    each = binary_cross_entropy_with_logits(wide, truth, weight, reduction="none")
    entropy = each.sum() / weight.expand_as(each).sum().clamp_min(1.0)
    chosen = known > 0
    return entropy + dice_loss(wide[chosen][:, None], truth[chosen][:, None])
