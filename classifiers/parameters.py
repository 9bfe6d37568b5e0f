"""Parameter groups: no weight decay on biases and normalisation (He et al. 2018, bag of tricks)."""

from __future__ import annotations

from typing import Any

from torch import nn


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: matrices and kernels with decay, vectors without."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
