"""Tversky loss (Salehi 2017): Dice with a price of its own for false alarms and for misses.

segmentation-models-pytorch's region losses are not used: they pool a batch before they divide, so that a
small finding drowns beside a large one, and they count nothing where a plane has no true pixel, so that false
alarms on healthy films are free. For one film with something on it the two agree, and a test compares them.
"""

from __future__ import annotations

from torch import Tensor

from segmentation.losses.precision import widened


def tversky_index(
    logits: Tensor, target: Tensor, false_alarm: float, miss: float, smooth: float = 1.0
) -> Tensor:
    """``(2 TP + s) / (2 TP + 2 a FP + 2 b FN + s)`` of each film and plane, (B, M), in (0, 1].

    TP = sum(p y), FP = sum(p (1 - y)), FN = sum((1 - p) y). a = b = 1/2 is Dice, a = b = 1 Jaccard.

    Args:
        logits, target: (B, M, H, W); target in {0, 1}.
        false_alarm, miss: a and b, Salehi's alpha and beta.
        smooth: s in pixels; it makes an empty prediction right where nothing is to be found.
    """
    logits, target = widened(logits, target)
    probability = logits.sigmoid()
    hit = (probability * target).sum((-2, -1))
    alarms = probability.sum((-2, -1)) - hit
    misses = target.sum((-2, -1)) - hit
    return (2 * hit + smooth) / (2 * hit + 2 * false_alarm * alarms + 2 * miss * misses + smooth)


def tversky_loss(
    logits: Tensor, target: Tensor, false_alarm: float = 0.3, miss: float = 0.7, smooth: float = 1.0
) -> Tensor:
    """``1 - tversky_index``, averaged over films and planes; defaults: the paper's best for lesions."""
    return (1 - tversky_index(logits, target, false_alarm, miss, smooth)).mean()
