"""Sums over a film need more digits than half precision has: 256 x 256 ones end at 256 in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor


def widened(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one floating type of at least 32 bits."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(wide), target.to(wide)
