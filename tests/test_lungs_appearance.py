"""How films look to the lung recipe while it learns, and what it learns from films without outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segmentation.lungs import training
from segmentation.lungs.agreement import agreement_loss, ramp, told
from segmentation.lungs.appearance import COMPLETE, placed, published
from suite.training import command, loop
from suite.training.batch_augment import Geometry, warp
from tests import made_datasets

TINY = ("size=64", "width=0.0625", "epochs=1", "batch_size=2", "films_per_epoch=8", "precision=32-true")


def test_published_films_stay_films_and_repeat_with_the_seed() -> None:
    film = torch.rand(24, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    first, seen = published(film)
    torch.manual_seed(5)
    again = published(film)
    assert torch.equal(first, again[0])
    assert torch.equal(seen, again[1])
    assert 0.0 <= float(first.min()) <= float(first.max()) <= 1.0
    same = (first == film).flatten(1).all(1)
    assert 0 < int(same.sum()) < 2.5 * COMPLETE * len(film)


def test_what_frames_and_collimators_cover_is_not_outlined() -> None:
    """A film and its negative differ wherever they are seen, and nowhere else."""
    film = torch.rand(64, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    first, seen = published(film)
    torch.manual_seed(5)
    differs = (published(1 - film)[0] - first).abs() > 1e-6
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < float((seen == 0).float().mean()) < 0.2
    assert float(differs[seen > 0].float().mean()) > 0.9  # but for clipped greys and lettering
    assert not bool(differs[seen == 0].any())


def test_an_outline_ends_where_a_film_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jsrt = made_datasets.jsrt(tmp_path / "jsrt", count=12)
    learned: list[Tensor] = []

    def covered(film: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.ones_like(film)
        seen[..., 32:] = 0
        return film * seen, seen

    def loss(logits: Tensor, planes: Tensor, known: Tensor) -> Tensor:
        learned.append(planes)
        return logits.sum()

    monkeypatch.setattr(training, "published", covered)
    monkeypatch.setattr(training, "lung_loss", loss)
    task = command.prepare("lungs", {"jsrt": jsrt}, TINY)
    loop.fit(task, tmp_path / "out", device="cpu")
    planes = torch.cat(learned)
    assert bool(planes[..., :32].any())
    assert not bool(planes[..., 32:].any())


def test_lungs_are_never_exchanged() -> None:
    torch.manual_seed(0)
    lungs = torch.zeros(32, 2, 64, 64)
    lungs[:, 0, 12:50, 12:26] = lungs[:, 1, 12:50, 38:52] = 1.0
    moved = warp(lungs, placed(lungs), nearest=True)
    columns = torch.arange(64.0)
    right, left = ((moved[:, side].sum(1) * columns).sum(1) / moved[:, side].sum((1, 2)) for side in (0, 1))
    assert bool((right < left).all())


# films without outlines


def test_only_what_was_surely_said_of_a_plain_film_is_learned_from() -> None:
    still = Geometry(degrees=0, shift=0, scale=(1.0, 1.0))
    said = torch.full((1, 1, 4, 4), 0.5)
    said[..., 0], said[..., 3] = 0.99, 0.01
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss = agreement_loss(logits, said, still.grid(said))
    assert float(loss.detach()) == pytest.approx(np.log(2))
    loss.backward()
    assert logits.grad is not None
    slope = logits.grad[0, 0, 0]
    assert slope[0] < 0 < slope[3]
    assert slope[1] == slope[2] == 0


def test_what_lies_outside_a_film_is_not_learned_from() -> None:
    away = Geometry(degrees=0, shift=0, scale=(0.5, 0.5))  # the film fills the middle quarter
    said = torch.full((1, 1, 8, 8), 0.99)
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[..., 2:6, 2:6] = 9.0
    assert float(agreement_loss(logits, said, away.grid(said))) < 1e-3


def test_what_a_frame_covers_is_not_learned_from() -> None:
    still = Geometry(degrees=0, shift=0, scale=(1.0, 1.0))
    said, logits = torch.full((1, 1, 4, 4), 0.99), torch.full((1, 1, 4, 4), 9.0)
    seen = torch.ones(1, 1, 4, 4)
    logits[..., 0], seen[..., 0] = -9.0, 0.0
    grid = still.grid(said)
    assert float(agreement_loss(logits, said, grid, seen)) < 1e-3 < float(agreement_loss(logits, said, grid))


def test_agreement_counts_when_the_network_knows_lungs() -> None:
    assert [ramp(progress) for progress in (0.0, 0.2, 0.3, 0.4, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_network_goes_on_learning_after_it_was_asked() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1)).train()
    before = network[0].running_mean.clone()  # type: ignore[union-attr, operator]
    probability = told(network, torch.rand(2, 1, 4, 4) + 3)
    assert network.training
    assert not probability.requires_grad
    assert torch.equal(network[0].running_mean, before)  # type: ignore[arg-type]
