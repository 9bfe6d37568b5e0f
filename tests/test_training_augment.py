"""Augmentation of batches: films stay films, each change does what it says, and nothing is ever mirrored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from suite.training.batch_augment import (
    Geometry,
    blur,
    borders,
    haze,
    heavy_appearance,
    level_adjustment,
    light_appearance,
    local_contrast,
    quantum_noise,
    warp,
)

SIDE = 96

APPEARANCE: dict[str, Callable[[Tensor], Tensor]] = {
    "heavy": heavy_appearance,
    "light": light_appearance,
    "levels": partial(level_adjustment, shift=0.3, gamma=3.0),
    "borders": partial(borders, share=0.3, p=1.0),
    "haze": partial(haze, p=1.0),
    "noise": partial(quantum_noise, sigma=0.2, p=1.0),
    "contrast": partial(local_contrast, p=1.0),
    "blur": partial(blur, p=1.0),
}


@pytest.mark.parametrize("name", APPEARANCE)
def test_films_stay_in_zero_to_one_and_are_changed_in_a_copy(name: str) -> None:
    torch.manual_seed(2)
    levels = torch.tensor([0.0, 0.02, 0.5, 1.0]).repeat(4).view(-1, 1, 1, 1)
    film = (levels + 0.3 * torch.randn(16, 1, SIDE, SIDE)).clamp(0, 1)
    kept = film.clone()
    changed = APPEARANCE[name](film)
    assert torch.equal(film, kept)
    assert changed.shape == film.shape
    assert changed.dtype == torch.float32
    assert not torch.equal(changed, film)
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0


def test_nothing_is_mirrored() -> None:
    """Three marks whose turning sense tells a picture from its mirror image: it never changes."""
    torch.manual_seed(5)
    axis = torch.arange(SIDE) / SIDE
    marks = [
        ((axis[:, None] - row) ** 2 + (axis - column) ** 2 < 0.06**2).float()
        for row, column in ((0.3, 0.35), (0.3, 0.65), (0.65, 0.35))
    ]
    planes = torch.stack(marks).expand(64, 3, SIDE, SIDE)
    geometry = Geometry(degrees=15, shift=0.1, scale=(0.8, 1.2), shear=8, elastic=0.02)
    moved = warp(planes, geometry.grid(planes))
    mass = moved.sum((-2, -1))
    rows, columns = (moved.sum(-1) @ axis) / mass, (moved.sum(-2) @ axis) / mass
    down, across = rows - rows[:, :1], columns - columns[:, :1]
    assert bool((across[:, 1] * down[:, 2] - down[:, 1] * across[:, 2] > 0.03).all())
    assert bool((across[:, 1] > 0).all())
    assert bool((down[:, 2] > 0).all())
    assert float((rows[:, 0] - 0.3).abs().max()) > 0.05


def test_levels_alone_move_grey_but_not_its_order() -> None:
    """Black point, white point and gamma are drawn within their limits: the ends show where they lie."""
    torch.manual_seed(6)
    ramp = torch.linspace(0, 1, 101).expand(300, 1, 1, 101)
    changed = level_adjustment(ramp, shift=0.15, gamma=1.6)
    assert bool((changed.diff() >= 0).all())
    blackened, whitened = (changed == 0).sum(-1).max(), (changed == 1).sum(-1).max()
    assert 14 <= int(blackened) <= 16
    assert 14 <= int(whitened) <= 16
    middle = level_adjustment(torch.full((300, 1, 1, 1), 0.5), shift=0.0, gamma=1.6).flatten()
    assert 0.5**1.6 <= float(middle.min()) < 0.36
    assert 0.62 < float(middle.max()) <= 0.5 ** (1 / 1.6)


def test_haze_only_brightens_and_borders_only_blacken() -> None:
    torch.manual_seed(7)
    film = torch.rand(32, 1, SIDE, SIDE)
    assert bool((haze(film, p=1.0) >= film - 1e-6).all())
    bordered = borders(film, p=1.0)
    assert bool(((bordered == film) | (bordered == 0)).all())
