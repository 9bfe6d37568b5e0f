"""Augmentation of the One-Case paper (table 4.1), with its left-right flip, and Cutout, a batch at a time.

The flip is right here and in few other places of the suite: neither network tells the sides apart, the stage
does that from the lungs. Films are float32 (B, 1, H, W) in [0, 1].
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid

from suite.training.batch_augment import (
    Geometry,
    chance,
    level_adjustment,
    local_contrast,
    quantum_noise,
    uniform,
)

Appearance = Literal["paper", "wide"]

TURN = Geometry(degrees=10, shift=0.0, scale=(1.0, 1.0))
ZOOM = (1.0, 1.1)
WARP = 0.2
"""fastai's symmetric warp: the largest change of scale from the middle to an edge."""

OFTEN = 0.75
"""Probability of each of the paper's changes but the flip."""

PATCHES = 4
PATCH_AREA = (0.005, 0.03)
"""Share of the film that one of Cutout's patches takes."""


def placed(like: Tensor) -> Tensor:
    """Where each pixel of films ``like`` comes from, (B, H, W, 2): flip, perspective, rotation and zoom."""
    theta = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=like.device).expand(len(like), 2, 3)
    plain = affine_grid(theta, list(like.shape), align_corners=False)
    turned = torch.where(chance(like, OFTEN) > 0, TURN.grid(like), plain)
    zoomed = torch.where(chance(like, OFTEN) > 0, turned / uniform(like, *ZOOM), turned)
    tilt = torch.cat([uniform(like, -WARP, WARP) for _ in range(2)], dim=-1) * chance(like, OFTEN)
    tilted = zoomed / (1 + (zoomed * tilt).sum(-1, keepdim=True)).clamp_min(0.2)
    side = 1 - 2 * chance(like, 0.5)
    return tilted * torch.cat((side, torch.ones_like(side)), dim=-1)


def lighting(
    film: Tensor,
    brightness: tuple[float, float] = (0.4, 0.6),
    contrast: tuple[float, float] = (0.8, 1.25),
    p: float = OFTEN,
) -> Tensor:
    """fastai's brightness and contrast: in logits, where a film stays inside (0, 1).

    Args:
        brightness: the grey that 0.5 becomes, drawn from this range.
        contrast: factor on the logit, drawn log-uniformly from this range.
        p: probability of each of the two.
    """
    shift = torch.logit(uniform(film, *brightness)) * chance(film, p)
    slope = torch.exp(uniform(film, *map(math.log, contrast)) * chance(film, p))
    return torch.sigmoid(torch.logit(film, eps=1e-3) * slope + shift)


def cutout(film: Tensor) -> Tensor:
    """Up to four black patches, each by chance (DeVries and Taylor 2017)."""
    rows = torch.linspace(0, 1, film.shape[-2], device=film.device).view(1, 1, -1, 1)
    columns = torch.linspace(0, 1, film.shape[-1], device=film.device).view(1, 1, 1, -1)
    for _ in range(PATCHES):
        area, ratio = uniform(film, *PATCH_AREA), 2.0 ** uniform(film, -1.0, 1.0)
        height, width = torch.sqrt(area / ratio), torch.sqrt(area * ratio)
        top, left = uniform(film, 0.0, 1.0) * (1 - height), uniform(film, 0.0, 1.0) * (1 - width)
        inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
        film = film * (1 - inside * chance(film, 0.5))
    return film


def shown(film: Tensor, appearance: Appearance = "wide", *, late: bool = False) -> Tensor:
    """Grey values as the paper changes them; ``wide`` adds what differs between machines, ``late`` Cutout."""
    film = lighting(film)
    if appearance == "wide":
        film = quantum_noise(level_adjustment(local_contrast(film), shift=0.1, gamma=1.4), sigma=0.02)
    return cutout(film) if late else film
