"""The mean of two networks' weights."""

from __future__ import annotations

import torch
from torch import nn


def averaged(model: nn.Module, other: nn.Module, share: float) -> nn.Module:
    """``model`` with ``share`` of the weights of ``other`` in its own, changed in place.

    Of networks of which one went on from the other the mean is a network too, often one that has kept more
    of what was known than it lost of what was learned (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models"). Whole numbers, such as counts of steps, stay those of ``model``.

    Args:
        model, other: of the same architecture.
        share: in [0, 1]; 0 leaves ``model`` as it is.
    """
    others = other.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(others[name].to(value), share)
    return model
