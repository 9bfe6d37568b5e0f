"""What the three tissue networks share: the convolution block, and how a film becomes their input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from suite.errors import RecipeError

BATCH_NORM_EPSILON = 1e-3
"""Keras' default, with which XNet and SegNet-Basic were released; PyTorch's own is 1e-5."""

FLAT = 1e-6
"""A film that departs no further from its mean is of one grey; its rounding errors are not stretched."""


class ConvBlock(nn.Sequential):
    """Convolution with bias, batch normalisation, ReLU; the matrix keeps its size.

    Shape:
        - **input** - (B, channels, H, W)
        - **output** - (B, out_channels, H, W)
    """

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON),
            nn.ReLU(inplace=True),
        )


def pooled(x: Tensor) -> Tensor:
    """2 x 2 maximum: (B, C, H, W) to (B, C, H / 2, W / 2)."""
    return max_pool2d(x, 2)


def enlarged(x: Tensor) -> Tensor:
    """Nearest neighbours: (B, C, H, W) to (B, C, 2H, 2W)."""
    return interpolate(x, scale_factor=2.0, mode="nearest")


def centred(film: Tensor) -> Tensor:
    """Films (B, C, H, W) without their mean and within [-1, 1], as XNet's paper prepares them.

    A film of one grey becomes zeros, but for rounding.
    """
    film = film - film.mean(dim=(-2, -1), keepdim=True)
    largest = film.abs().amax(dim=(-2, -1), keepdim=True)
    return film / torch.where(largest > FLAT, largest, torch.ones_like(largest))


def checked_filters(filters: Sequence[int], count: int, kernel: int) -> tuple[int, ...]:
    """``filters`` as a tuple.

    Raises:
        RecipeError: not ``count`` positive numbers, or an even kernel.
    """
    if len(filters) != count or min(filters, default=0) < 1:
        raise RecipeError(
            f"filters {list(filters)} are not {count} positive numbers; give one for each level."
        )
    if kernel < 1 or kernel % 2 == 0:
        raise RecipeError(f"kernel {kernel} is not odd and positive; use 3 or 5.")
    return tuple(filters)


def counted_as_keras(network: nn.Module) -> int:
    """Parameters as Keras counts them, which is how the published totals were made.

    The running mean and variance of batch normalisation are in it; PyTorch keeps them as buffers.
    """
    running = sum(
        value.numel() for name, value in network.named_buffers() if name.endswith(("_mean", "_var"))
    )
    return running + sum(parameter.numel() for parameter in network.parameters())
