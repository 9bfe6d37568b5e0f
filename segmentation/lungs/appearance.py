"""What publishing does to a film: lettering, arrows, leads, frames, flat contrast, odd shapes.

The lung network must hold on films cut out of papers. Films are float32 (B, 1, H, W) in [0, 1] and stay on
their matrix; every film has parameters of its own, drawn from the device's default generator.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from suite.training.batch_augment import (
    Geometry,
    blur,
    chance,
    exposed,
    haze,
    level_adjustment,
    local_contrast,
    quantum_noise,
    uniform,
)

GEOMETRY = Geometry(degrees=15, shift=0.12, scale=(0.65, 1.3), shear=6, elastic=0.012, elastic_cells=6)
"""Wider than between two films of a hospital: whole bodies, crops close to the lungs, tilted scans."""

STRETCH = 1.2
"""Largest change of a film's width against its height."""

COMPLETE = 0.25
"""Share of the films that keep their grey values: most films of a hospital look like this."""


def placed(like: Tensor) -> Tensor:
    """Where each pixel of films comes from, (B, H, W, 2) for ``warp``: ``GEOMETRY`` and a stretch."""
    across = STRETCH ** uniform(like, -1.0, 1.0)
    factors = torch.cat((across, 1 / across), dim=-1)  # (B, 1, 1, 2)
    return GEOMETRY.grid(like) * factors.sqrt()


def published(film: Tensor) -> tuple[Tensor, Tensor]:
    """Films as other machines, other processing and other people's papers show them.

    Returns:
        the films, and (B, 1, H, W) where they are still to be seen: 1, and 0 beneath collimators and frames,
        where an outline ends as it does at the edge of a film.
    """
    changed = haze(film, p=0.3)
    changed = local_contrast(changed, share=0.7, p=0.5)
    changed = level_adjustment(changed, shift=0.2, gamma=1.9)
    changed = grain(resampled(blur(changed)))
    changed = leads(changed)
    changed = flat(changed)
    seen = exposed(changed, share=0.15, p=0.25)
    changed, free = frames(lettering(changed * seen))
    untouched = chance(film, COMPLETE)
    return (
        untouched * film + (1 - untouched) * changed,
        untouched + (1 - untouched) * seen * free,
    )


def grain(film: Tensor) -> Tensor:
    """Fine mottle, and coarse mottle as compression leaves it."""
    coarse = torch.randn_like(film[..., ::4, ::4])
    coarse = interpolate(coarse, size=film.shape[-2:], mode="bilinear", align_corners=False)
    strength = uniform(film, 0.0, 0.04) * chance(film, 0.25)
    return (quantum_noise(film, sigma=0.04) + strength * coarse).clamp(0.0, 1.0)


def resampled(film: Tensor, p: float = 0.25) -> Tensor:
    """Half the pixels, and back: a thumbnail enlarged."""
    small = interpolate(avg_pool2d(film, 2), size=film.shape[-2:], mode="bilinear", align_corners=False)
    coarse = chance(film, p)
    return coarse * small + (1 - coarse) * film


def flat(film: Tensor, p: float = 0.35) -> Tensor:
    """Contrast lost in print: greys between a lifted black and a lowered white."""
    black, range_ = uniform(film, 0.0, 0.5), uniform(film, 0.3, 0.9)
    grey = chance(film, p)
    return grey * (black + (1 - black) * range_ * film) + (1 - grey) * film


def leads(film: Tensor, p: float = 0.3, most: int = 2) -> Tensor:
    """Wires, lines and electrodes over the chest: thin winding curves and small rings, bright."""
    rows, columns = _axes(film)
    active = chance(film, p)
    for _ in range(most):
        along, across = _turned(rows, columns, uniform(film, 0.0, torch.pi))
        winding = uniform(film, -0.4, 0.4) + uniform(film, 0.0, 0.15) * torch.sin(
            uniform(film, 2.0, 9.0) * along + uniform(film, 0.0, 6.3)
        )
        line = (across - winding).abs() < uniform(film, 0.003, 0.012)
        away = torch.hypot(rows - uniform(film, -0.6, 0.6), columns - uniform(film, -0.6, 0.6))
        ring = (away - uniform(film, 0.02, 0.06)).abs() < uniform(film, 0.008, 0.02)
        for shape in (line, ring):
            opacity = active * chance(film, 0.6) * uniform(film, 0.2, 0.9) * shape
            film = film + (1 - film) * opacity
    return film


def lettering(film: Tensor, p: float = 0.4, most: int = 3) -> Tensor:
    """Words, letters L and R, arrows and labels, black or white, with and without a box behind them."""
    rows, columns = _axes(film)
    strokes = (torch.rand_like(film[..., ::3, ::3]) < 0.5).to(film.dtype)
    strokes = interpolate(strokes, size=film.shape[-2:], mode="nearest")
    active = chance(film, p)
    for _ in range(most):
        down, across = rows - uniform(film, -1.0, 1.0), columns - uniform(film, -1.0, 1.0)
        word = (down.abs() < uniform(film, 0.015, 0.06)) & (across.abs() < uniform(film, 0.02, 0.3))
        boxed = chance(film, 0.3)
        ink, paper = chance(film, 0.8), chance(film, 0.5)
        film = _over(film, paper, active * boxed * chance(film, 0.7) * word)
        film = _over(film, ink, active * chance(film, 0.7) * word * strokes)
        along, beside = _turned(down, across, uniform(film, 0.0, torch.pi))
        arrow = (beside.abs() < 0.012) & (along.abs() < uniform(film, 0.03, 0.1))
        film = _over(film, ink, active * chance(film, 0.3) * arrow)
    return film


def frames(film: Tensor, p: float = 0.3) -> tuple[Tensor, Tensor]:
    """What lies beside a film on a page or a scanner: bands and tilted edges, black, white or grey.

    Returns:
        the films, and (B, 1, H, W) what of them is free of bands: 1, else 0.
    """
    rows, columns = _axes(film)
    active, free = chance(film, p), torch.ones_like(film)
    for axis in (rows, -rows, columns, -columns):
        across = columns if axis is rows else rows
        edge = axis * torch.ones_like(across) + uniform(film, -0.15, 0.15) * chance(film, 0.5) * across
        shown = active * chance(film, 0.4)
        grey = torch.where(chance(film, 0.4) > 0, uniform(film, 0.0, 1.0), chance(film, 0.5))
        band = shown * (edge > uniform(film, 0.72, 1.1))
        film, free = _over(film, grey, band), free * (1 - band)
    return film, free


def _over(film: Tensor, grey: Tensor, opacity: Tensor) -> Tensor:
    return film + opacity * (grey - film)


def _axes(film: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (1, 1, H, 1) and columns (1, 1, 1, W) from -1 to 1."""
    rows = torch.linspace(-1, 1, film.shape[-2], device=film.device).view(1, 1, -1, 1)
    columns = torch.linspace(-1, 1, film.shape[-1], device=film.device).view(1, 1, 1, -1)
    return rows, columns


def _turned(rows: Tensor, columns: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Along and across a direction of ``angle`` radians."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return columns * cosine + rows * sine, rows * cosine - columns * sine
