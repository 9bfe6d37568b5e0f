"""Films on the training device, and augmentation of whole batches there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from suite.datasets.manifest import Record
from suite.errors import DatasetError
from suite.training import batch_augment
from suite.training.bank import FULL_SCALE, Bank
from suite.training.batch_augment import Geometry, warp


def _records(count: int) -> list[Record]:
    return [Record(str(index), str(index), Path(f"{index}.png")) for index in range(count)]


def _read(record: Record) -> dict[str, np.ndarray]:
    value = int(record.id) / 10
    return {
        "film": np.full((1, 4, 6), value, np.float32),
        "mask": np.full((2, 4, 6), int(record.id), np.uint8),
        "labels": np.array([value, np.nan], np.float32),
    }


def test_a_bank_gathers_what_was_read_in_the_records_order() -> None:
    bank = Bank.decode(_records(5), _read, threads=3)
    batch = bank.gather(torch.tensor([4, 1]))
    assert len(bank) == 5
    assert batch["film"].shape == (2, 1, 4, 6)
    assert batch["film"][0].unique().item() == pytest.approx(0.4, abs=1 / FULL_SCALE)
    assert batch["mask"].dtype == torch.float32
    assert batch["mask"][1].unique().item() == 1.0
    assert batch["labels"][1, 0].item() == pytest.approx(0.1)
    assert batch["labels"][0, 1].isnan()


def test_items_of_a_bank_are_indices() -> None:
    bank = Bank.decode(_records(3), _read)
    assert int(bank[2]["index"]) == 2
    with pytest.raises(IndexError):
        bank[3]


def test_records_of_different_shapes_do_not_share_a_bank() -> None:
    def read(record: Record) -> dict[str, np.ndarray]:
        return {"film": np.zeros((1, 4, 4 + int(record.id)), np.float32)}

    with pytest.raises(DatasetError, match=r"^1: its planes"):
        Bank.decode(_records(2), read)


def test_a_bank_refuses_types_it_would_have_to_guess_about() -> None:
    with pytest.raises(DatasetError, match="float64"):
        Bank.decode(_records(1), lambda record: {"film": np.zeros((1, 2, 2))})


def test_what_cannot_be_read_is_reported_from_the_pool() -> None:
    def read(record: Record) -> dict[str, np.ndarray]:
        raise DatasetError(f"{record.frontal}: cannot be read.")

    with pytest.raises(DatasetError, match=r"0\.png"):
        Bank.decode(_records(2), read)


def test_geometry_without_freedom_is_the_identity() -> None:
    film = torch.rand(2, 1, 32, 32)
    still = Geometry(degrees=0, shift=0, scale=(1.0, 1.0))
    assert torch.allclose(warp(film, still.grid(film)), film, atol=1e-5)


def test_magnification_by_two_spreads_the_middle_over_the_film() -> None:
    film = torch.zeros(1, 1, 64, 64)
    film[..., 16:48, 16:48] = 1.0
    double = Geometry(degrees=0, shift=0, scale=(2.0, 2.0))
    assert warp(film, double.grid(film)).mean().item() == pytest.approx(1.0, abs=0.04)


def test_films_of_one_batch_move_differently_and_masks_move_with_them() -> None:
    torch.manual_seed(0)
    film = torch.zeros(4, 1, 64, 64)
    film[..., 20:44, 20:44] = 1.0
    grid = Geometry(degrees=15, shift=0.1, shear=5, elastic=0.03).grid(film)
    moved, mask = warp(film, grid), warp(film, grid, nearest=True)
    assert not torch.equal(moved[0], moved[1])
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert ((moved > 0.5) == (mask > 0.5)).float().mean().item() > 0.99


@pytest.mark.parametrize("change", [batch_augment.light_appearance, batch_augment.heavy_appearance])
def test_appearance_changes_stay_films_and_repeat_with_the_seed(change: object) -> None:
    film = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    first = change(film)  # type: ignore[operator]
    torch.manual_seed(5)
    assert torch.equal(first, change(film))  # type: ignore[operator]
    assert first.shape == film.shape
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert not torch.equal(first, film)


def test_each_film_of_a_batch_gets_its_own_levels() -> None:
    torch.manual_seed(0)
    film = torch.full((8, 1, 16, 16), 0.5)
    assert len(batch_augment.level_adjustment(film).mean((1, 2, 3)).unique()) == 8


def test_borders_blacken_edges_only() -> None:
    torch.manual_seed(0)
    film = batch_augment.borders(torch.ones(16, 1, 100, 100), share=0.1, p=1.0)
    assert film[..., 10:90, 10:90].min() == 1.0
    assert film.min() == 0.0
