"""Augmentation: masks move with their films, films stay films, and nothing is ever mirrored."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from suite.training import augment

SIDE = 96
REPEATS = 40

TRANSFORMS: dict[str, v2.Transform] = {
    "heavy": augment.heavy(),
    "light": augment.light(),
    "levels": augment.LevelAdjustment(0.3, 3.0),
    "borders": augment.BlackBorders(0.3, p=1.0),
    "haze": augment.HazePatches(p=1.0),
    "noise": augment.FilmNoise(0.2, p=1.0),
    "contrast": augment.LocalContrast(p=1.0),
    "geometry": augment.geometry(15, 0.1, (0.8, 1.2), shear=8),
}
APPEARANCE = ("levels", "borders", "haze", "noise", "contrast")


def marked(corner: tuple[float, float], radius: int = 9) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """A black film with a bright disc at ``corner`` (shares of rows, columns), and the disc's mask."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    disc = ((y - corner[0] * SIDE) ** 2 + (x - corner[1] * SIDE) ** 2 < radius**2)[None]
    return tv_tensors.Image(disc.float()), tv_tensors.Mask(disc.to(torch.uint8))


def centre(plane: Tensor) -> tuple[float, float]:
    """(row, column) of a plane's mass (1, H, W), as shares of the side."""
    weights = plane.as_subclass(Tensor)[0].double()
    axis = torch.arange(SIDE, dtype=torch.float64)
    total = weights.sum()
    return float((weights.sum(1) @ axis) / total / SIDE), float((weights.sum(0) @ axis) / total / SIDE)


@pytest.mark.parametrize("corner", [(0.3, 0.3), (0.3, 0.7), (0.7, 0.45)])
def test_the_mask_moves_with_the_film(corner: tuple[float, float]) -> None:
    torch.manual_seed(1)
    transform = augment.geometry(15, 0.1, (0.8, 1.2), shear=8)
    moved = []
    for _ in range(REPEATS):
        film, mask = transform(*marked(corner))
        assert set(mask.unique().tolist()) <= {0, 1}
        inside = mask.bool()
        assert float(film[inside].mean()) > 0.9
        assert float(film[~inside].mean()) < 0.01
        at_film, at_mask = centre(film), centre(mask)
        assert at_film == pytest.approx(at_mask, abs=1.0 / SIDE)
        moved.append(max(abs(at_mask[0] - corner[0]), abs(at_mask[1] - corner[1])))
    assert max(moved) > 0.05


@pytest.mark.parametrize("name", TRANSFORMS)
def test_films_stay_in_zero_to_one_and_keep_their_shape(name: str) -> None:
    torch.manual_seed(2)
    for level in (0.0, 0.02, 0.5, 1.0):
        film = tv_tensors.Image((level + 0.3 * torch.randn(1, SIDE, SIDE)).clamp(0, 1))
        for _ in range(10):
            changed = TRANSFORMS[name](film)
            assert changed.shape == film.shape
            assert changed.dtype == torch.float32
            assert isinstance(changed, tv_tensors.Image)
            assert bool(changed.isfinite().all())
            assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0


@pytest.mark.parametrize("name", APPEARANCE)
def test_changes_of_appearance_leave_masks_alone(name: str) -> None:
    torch.manual_seed(3)
    film, mask = marked((0.4, 0.6))
    film = tv_tensors.Image((0.2 + 0.6 * film).as_subclass(Tensor))
    changed_at_all = False
    for _ in range(10):
        changed, same = TRANSFORMS[name]({"film": film, "mask": mask}).values()
        assert torch.equal(same, mask)
        changed_at_all |= not torch.equal(changed, film)
    assert changed_at_all


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_transform_changes_its_input(name: str) -> None:
    torch.manual_seed(4)
    film, mask = marked((0.4, 0.6))
    kept_film, kept_mask = film.clone(), mask.clone()
    for _ in range(5):
        TRANSFORMS[name]({"film": film, "mask": mask})
    assert torch.equal(film, kept_film)
    assert torch.equal(mask, kept_mask)


@pytest.mark.parametrize("name", ["heavy", "light", "geometry"])
def test_nothing_is_mirrored(name: str) -> None:
    """Three marks whose turning sense tells a picture from its mirror image: it never changes."""
    torch.manual_seed(5)
    marks = torch.cat([marked(corner, 6)[1] for corner in ((0.3, 0.35), (0.3, 0.65), (0.65, 0.35))])
    film = tv_tensors.Image(torch.rand(1, SIDE, SIDE))
    for _ in range(REPEATS):
        moved = TRANSFORMS[name]({"film": film, "mask": tv_tensors.Mask(marks)})["mask"]
        (ay, ax), (by, bx), (cy, cx) = (centre(plane[None]) for plane in moved)
        assert (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0.03
        assert ax < bx
        assert ay < cy


def test_level_adjustment_is_window_level_and_gamma() -> None:
    adjustment = augment.LevelAdjustment()
    film = tv_tensors.Image(torch.tensor([[[0.0, 0.1, 0.35, 0.6, 0.9]]]))
    changed = adjustment.transform(film, {"black": 0.1, "white": 0.6, "gamma": 2.0})
    assert changed.flatten().tolist() == pytest.approx([0.0, 0.0, 0.25, 1.0, 1.0])


def test_level_adjustment_draws_within_its_limits() -> None:
    torch.manual_seed(6)
    drawn = [augment.LevelAdjustment(0.15, 1.6).make_params([]) for _ in range(300)]
    assert all(-0.15 <= params["black"] <= 0.15 and 0.85 <= params["white"] <= 1.15 for params in drawn)
    assert all(1 / 1.6 <= params["gamma"] <= 1.6 for params in drawn)
    assert min(params["gamma"] for params in drawn) < 0.7
    assert max(params["gamma"] for params in drawn) > 1.5


def test_haze_only_brightens_and_borders_only_blacken() -> None:
    torch.manual_seed(7)
    film = tv_tensors.Image(torch.rand(1, SIDE, SIDE))
    for _ in range(10):
        assert bool((TRANSFORMS["haze"](film) >= film - 1e-6).all())
        bordered = TRANSFORMS["borders"](film)
        assert bool(((bordered == film) | (bordered == 0)).all())


def test_everything_is_drawn_from_torchs_generator() -> None:
    film = tv_tensors.Image(torch.rand(1, SIDE, SIDE))
    torch.manual_seed(8)
    first = augment.heavy()(film)
    torch.manual_seed(8)
    assert torch.equal(augment.heavy()(film), first)
    assert not torch.equal(augment.heavy()(film), first)
