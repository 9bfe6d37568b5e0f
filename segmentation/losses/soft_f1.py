"""Soft F1 loss of a classifier: one minus the F1 of a batch, with probabilities in place of decisions."""

from __future__ import annotations

import torch
from torch import Tensor

from segmentation.losses.precision import widened

SMALLEST = 1e-7


def soft_f1_loss(logits: Tensor, target: Tensor) -> Tensor:
    """``1 - 2 TP / (2 TP + FP + FN)`` of each class over the whole batch, averaged over classes.

    TP = sum(y p), FP = sum((1 - y) p), FN = sum(y (1 - p)). A class without a positive film in the batch
    gives 1 and no slope: draw batches that hold some.

    Shape:
        - **logits**, **target** - (B,) or (B, C); target in {0, 1}, NaN where unknown (left out)
    """
    logits, target = widened(logits, target)
    known = ~target.isnan()
    label = torch.where(known, target, 0.0)
    probability = torch.where(known, logits.sigmoid(), 0.0)
    hit = (label * probability).sum(0)
    # FP + FN + 2 TP = sum p + sum y
    return (1 - 2 * hit / (probability.sum(0) + label.sum(0)).clamp_min(SMALLEST)).mean()
