"""Losses of the diagnosis network: image labels with gaps, three classes, and maps supervised by truth."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import (
    adaptive_max_pool2d,
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    logsigmoid,
)

MAP_THRESHOLD = 0.25
"""Share of a cell of the mask that must be left after warping for it to count as the finding."""

LARGEST_MAP_WEIGHT = 200.0


def masked_bce(logits: Tensor, labels: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy over the known labels; unknown ones (NaN) have no gradient.

    Shape:
        - **logits**, **labels** - (B, 13); labels in [0, 1] or NaN
        - **positive_weight** - (13,), how much more a present finding counts
    """
    known = ~labels.isnan()
    loss = binary_cross_entropy_with_logits(
        logits, labels.nan_to_num(0.0), reduction="none", pos_weight=positive_weight
    )
    return (loss * known).sum() / known.sum().clamp_min(1)


def masked_gce(logits: Tensor, labels: Tensor, q: float, positive_weight: Tensor | None = None) -> Tensor:
    """Generalised cross-entropy (Zhang and Sabuncu 2018) of each head's two classes over the known labels.

    A class of probability p loses ``(1 - p ** q) / q``: cross-entropy as q goes to 0, the absolute error at
    1. The gradient is that of cross-entropy times ``p ** q``, so that a label the network finds impossible,
    which is a wrong one more often than others, hardly pulls at it. A label between 0 and 1 shares itself
    between both classes. Shapes are those of :func:`masked_bce`; q in (0, 1].
    """
    known = ~labels.isnan()
    present = labels.nan_to_num(0.0)
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = 1.0 if positive_weight is None else positive_weight
    loss = weight * present * _generalised(logsigmoid(precise), q)
    loss = loss + (1.0 - present) * _generalised(logsigmoid(-precise), q)
    return (loss * known).sum() / known.sum().clamp_min(1)


def _generalised(log_probability: Tensor, q: float) -> Tensor:
    """``(1 - p ** q) / q`` from log(p), exact for small q too."""
    return -torch.expm1(q * log_probability) / q


def smooth(labels: Tensor, smoothing: float) -> Tensor:
    """Labels (B, 13) drawn towards one half; those of reports are wrong now and then."""
    return labels * (1.0 - smoothing) + smoothing / 2


def multiclass_loss(
    logits: Tensor, third: Tensor, labels: Tensor, uncertain: Tensor, q: float = 0.0
) -> Tensor:
    """Cross-entropy over absent, present, uncertain with the logits 0, ``logits`` and ``third``.

    The sigmoid of ``logits`` stays the probability of "present" against "absent". All are (B, 13); labels
    that are neither known nor ``uncertain`` have no gradient. With ``q`` above 0 it is generalised as in
    :func:`masked_gce`.
    """
    known = ~labels.isnan() | uncertain
    classes = torch.where(uncertain, 2, (labels.nan_to_num(0.0) > 0.5).long())
    stacked = torch.stack((torch.zeros_like(logits), logits, third), dim=1)  # (B, 3, 13)
    if q:
        chosen = log_softmax(stacked.float(), dim=1).gather(1, classes[:, None])[:, 0]
        loss = _generalised(chosen, q)
    else:
        loss = cross_entropy(stacked, classes, reduction="none")
    return (loss * known).sum() / known.sum().clamp_min(1)


def class_weights(labels: Tensor, weighting: str) -> Tensor | None:
    """Weight of each finding's positives (13,) from the training labels (N, 13).

    ``balanced`` is the ratio of absent to present films, ``sqrt`` its root, both at most 20; ``none``: None.
    """
    if weighting == "none":
        return None
    present = (labels == 1.0).sum(0).clamp_min(1).float()
    ratio = (labels == 0.0).sum(0).float() / present
    return (ratio if weighting == "balanced" else ratio.sqrt()).clamp(1.0, 20.0)


def map_targets(masks: Tensor, shape: tuple[int, int]) -> Tensor:
    """Finding masks (B, 13, H, W) in [0, 1] on the grid of the maps: a cell is 1 where any part of it is."""
    return (adaptive_max_pool2d(masks, shape) > MAP_THRESHOLD).to(masks.dtype)


def map_loss(maps: Tensor, targets: Tensor, labels: Tensor, has_masks: Tensor, balance: float) -> Tensor:
    """Cross-entropy of every cell of the maps, for the films whose truth is known.

    A finding that is there and does not show (no cell of its mask is left) says nothing, and neither does
    an unknown label. Within a batch a finding's positive cells weigh ``(negatives / positives) **
    balance`` times as much as its negative ones, at most 200: one broken rib is a cell among a thousand.

    Shape:
        - **maps**, **targets** - (B, 13, h, w)
        - **labels** - (B, 13); **has_masks** - (B,) bool
    """
    shown = targets.flatten(-2).amax(-1) > 0  # (B, 13)
    known = has_masks[:, None] & ((labels == 0.0) | ((labels > 0.0) & shown))
    cells = known[..., None, None].to(maps.dtype)
    positive = (targets * cells).sum((0, 2, 3))
    negative = ((1.0 - targets) * cells).sum((0, 2, 3))
    weight = (negative / positive.clamp_min(1.0)).clamp(1.0, None).pow(balance).clamp_max(LARGEST_MAP_WEIGHT)
    weights = torch.where(targets > 0, weight[:, None, None], 1.0) * cells
    loss = binary_cross_entropy_with_logits(maps, targets, reduction="none") * weights
    each = loss.sum((0, 2, 3)) / weights.sum((0, 2, 3)).clamp_min(1.0)
    taught = weights.sum((0, 2, 3)) > 0
    return each.sum() / taught.sum().clamp_min(1)
