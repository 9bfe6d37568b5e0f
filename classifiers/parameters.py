"""AdamW without weight decay on biases and normalisation (He et al. 2018, bag of tricks)."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import AdamW


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: matrices and kernels with decay, vectors without."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def adamw(network: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW on ``decay_groups``, in one kernel where the network is on a GPU."""
    fused = next(network.parameters()).device.type == "cuda"
    return AdamW(decay_groups(network, weight_decay), lr=learning_rate, fused=fused)
