"""Focal loss (Lin 2017, RetinaNet): cross-entropy that looks away from what is already right."""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from segmentation.losses.precision import widened


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    """``-(1 - p_t)^gamma log p_t``, averaged over pixels; p_t is the probability of the truth. torchvision's.

    Args:
        logits, target: (B, M, H, W); target in {0, 1}.
        gamma: 0 is cross-entropy, 2 the paper's choice. Between 0 and 1 the slope of a pixel that is right to
            the last digit has no value; use 0 or at least 1.
        alpha: weight of the inside, ``1 - alpha`` of the outside (the paper's 0.25); ``None``: all alike.
    """
    logits, target = widened(logits, target)
    weight = -1.0 if alpha is None else alpha
    loss: Tensor = sigmoid_focal_loss(logits, target, alpha=weight, gamma=gamma, reduction="mean")
    return loss
