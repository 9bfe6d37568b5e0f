"""From a map of evidence to one number: the mean, or a soft maximum that one small spot can raise."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "lse"]

SHARPNESS = 4.0
"""Between a mean (0) and a maximum (infinity); at 4 one cell of 1,024 that is 3 above the rest counts."""


def log_sum_exp(maps: Tensor, sharpness: float = SHARPNESS) -> Tensor:
    """log(mean(exp(r m))) / r of maps (..., h, w): at least their mean, at most their maximum.

    Pinheiro & Collobert 2015. A finding of a few pixels vanishes in a mean over a thousand.
    """
    flat = maps.float().flatten(-2) * sharpness
    return (torch.logsumexp(flat, dim=-1) - math.log(flat.shape[-1])) / sharpness


class MapPooling(nn.Module):
    """A branch's maps (B, classes, h, w) as its logits (B, classes).

    ``mean`` has no parameters and makes the logit the map's average (Zhou 2016). ``lse`` scales and shifts
    the soft maximum by two numbers a class, because the maximum over many empty cells is not 0.
    """

    def __init__(self, pooling: Pooling, classes: int) -> None:
        super().__init__()
        self.pooling = pooling
        if pooling == "lse":
            self.scale = nn.Parameter(torch.ones(classes))
            self.shift = nn.Parameter(torch.zeros(classes))

    def forward(self, maps: Tensor) -> Tensor:
        if self.pooling == "mean":
            return maps.mean((-2, -1))
        return log_sum_exp(maps) * self.scale + self.shift
