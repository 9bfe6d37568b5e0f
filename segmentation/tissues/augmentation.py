"""What XNet's authors did to their films, a batch at a time where the batch lies."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from suite.training.batch_augment import (
    Geometry,
    chance,
    level_adjustment,
    local_contrast,
    quantum_noise,
    uniform,
)

PIXELS = 200
"""Side of the films the published displacements are meant for."""

ALPHA = (50.0, 200.0)
"""Smallest and largest strength of the elastic deformation, in pixels of a film of 200 x 200.

At sigma pixels every displacement has the standard deviation ``alpha / (sigma * sqrt(12 pi))``: the released
script's alpha of 50 to 60 is half a pixel of 200, too little to see, so that this goes on to two pixels.
"""

SIGMA = 16.0
"""Of the Gaussian that smooths the displacements, in the same pixels."""

CROP = (0.1, 0.4)
"""What is cut away of height and of width."""

AFFINE = Geometry(degrees=15, shift=0.01, scale=(1.0, 1.0), shear=2)


def displacement(like: Tensor, alpha: Tensor, sigma: float = SIGMA) -> Tensor:
    """Simard's elastic deformation (2003): uniform noise in [-1, 1], smoothed by a Gaussian, times ``alpha``.

    Args:
        like: films (B, C, H, W).
        alpha: (B, 1, 1, 1), and ``sigma``: in pixels of a film of 200 x 200; they grow with the larger side.

    Returns:
        by how many pixels each place looks right and down, (B, 2, H, W).
    """
    batch, _, rows, columns = like.shape
    scale = max(rows, columns) / PIXELS
    noise = torch.rand((2 * batch, 1, rows, columns), device=like.device) * 2 - 1
    radius = min(max(1, round(3 * sigma * scale)), rows - 1, columns - 1)
    places = torch.arange(-radius, radius + 1, device=like.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / (sigma * scale)) ** 2)
    weights = weights / weights.sum()
    field = conv2d(pad(noise, (radius, radius, 0, 0), mode="reflect"), weights.view(1, 1, 1, -1))
    field = conv2d(pad(field, (0, 0, radius, radius), mode="reflect"), weights.view(1, 1, -1, 1))
    # the noise has one draw a pixel, so that a finer film smooths away more of it
    return field.view(batch, 2, rows, columns) * alpha * scale**2


def cropped(grid: Tensor, like: Tensor, p: float = 0.5) -> Tensor:
    """``grid`` (B, H, W, 2) on a part of what it showed: up to 0.4 of either side cut away, by chance."""
    drawn = chance(like, p)
    cuts = torch.cat([uniform(like, *CROP) for _ in range(2)], dim=-1) * drawn  # (B, 1, 1, 2)
    places = torch.cat([uniform(like, -1.0, 1.0) for _ in range(2)], dim=-1)
    return grid * (1 - cuts) + cuts * places


def mirrored(grid: Tensor, like: Tensor) -> Tensor:
    """``grid`` turned over in each direction by chance.

    Tissue has no side, so that here, unlike almost anywhere else in the suite, films are mirrored too.
    """
    return grid * torch.cat([1 - 2 * chance(like, 0.5) for _ in range(2)], dim=-1)


def elastic(grid: Tensor, like: Tensor, p: float = 0.5) -> Tensor:
    """``grid`` with an elastic deformation, by chance."""
    moved = displacement(like, uniform(like, *ALPHA) * chance(like, p))
    steps = torch.tensor([2 / like.shape[-1], 2 / like.shape[-2]], device=like.device)
    return grid + moved.permute(0, 2, 3, 1) * steps


def placed(like: Tensor) -> Tensor:
    """Where each pixel of films ``like`` (B, C, H, W) comes from, (B, H, W, 2): all of it as published."""
    return mirrored(cropped(elastic(AFFINE.grid(like), like), like), like)


def processed(film: Tensor) -> Tensor:
    """Our own step: other window, gamma, processing and mottle.

    The authors' films came from one maker's detectors, those of others do not.
    """
    film = level_adjustment(local_contrast(film, share=0.5, p=0.3), shift=0.1, gamma=1.6)
    return quantum_noise(film, sigma=0.02, p=0.3)
