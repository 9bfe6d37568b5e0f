"""Training of the tissue networks in small: split, drawing of films, deformation, and the card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation.tissues.augmentation import (
    cropped,
    displacement,
    elastic,
    mirrored,
    placed,
    processed,
)
from segmentation.tissues.parts import at_most, part_of, split_by_part
from segmentation.tissues.training import TissuesTask
from suite.datasets import phantom
from suite.datasets.manifest import Manifest, Record
from suite.errors import RecipeError, SuiteError
from suite.training import command
from suite.training.batch_augment import Geometry, warp
from tests.made_datasets import painted
from tests.made_films import write_png

TINY = (
    "batch_size=5",
    "width=0.03125",
    "size=32",
    "epochs=2",
    "images_per_part=5",
    "validate_every=1",
    "precision=32-true",
)


def films(**counts: int) -> Manifest:
    """So many films of each part, one a patient."""
    return Manifest(
        "films",
        tuple(
            Record(f"{part}{n}", f"{part}-{n}", Path("x.png"), attributes={"part": part})
            for part, count in counts.items()
            for n in range(count)
        ),
    )


def drawn(manifest: Manifest, seed: int = 0) -> dict[str, Counter[str]]:
    split = split_by_part(manifest, seed)
    return {
        name: Counter(part_of(record) for record in split[name]) for name in ("train", "validation", "test")
    }


def test_every_part_is_learned_from_chosen_by_and_tested_on() -> None:
    found = drawn(films(hand=3, knee=10, foot=40))
    assert found["validation"] == {"hand": 1, "knee": 1, "foot": 4}
    assert found["test"] == {"hand": 1, "knee": 2, "foot": 8}
    assert found["train"] == {"hand": 1, "knee": 7, "foot": 28}


def test_a_single_film_of_a_part_is_tested_on_only() -> None:
    found = drawn(films(hand=1, knee=2, foot=5))
    assert found["test"]["hand"] == 1
    assert found["train"]["hand"] == found["validation"]["hand"] == 0
    assert (found["train"]["knee"], found["test"]["knee"]) == (1, 1)


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_files() -> None:
    manifest = films(hand=20, knee=20)
    backwards = Manifest("films", manifest.records[::-1])
    ids = lambda split: {record.id for record in split["test"]}  # noqa: E731
    assert ids(split_by_part(manifest)) == ids(split_by_part(backwards))
    assert ids(split_by_part(manifest)) != ids(split_by_part(manifest, seed=1))


def test_a_patient_with_two_parts_stays_in_one() -> None:
    records = [
        Record(f"{part}{n}", f"p{n}", Path("x.png"), attributes={"part": part})
        for part in ("foot", "hand")
        for n in range(30)
    ]
    split = split_by_part(Manifest("films", tuple(records)))  # Split refuses a patient in two parts
    assert len(split["train"]) + len(split["validation"]) + len(split["test"]) == 60


def test_a_common_part_does_not_outweigh_the_others() -> None:
    manifest = films(chest=40, hand=3)
    kept = at_most(manifest, 5)
    assert Counter(part_of(record) for record in kept) == {"chest": 5, "hand": 3}
    backwards = at_most(Manifest("films", manifest.records[::-1]), 5)
    assert {record.id for record in kept} == {record.id for record in backwards}
    assert at_most(manifest, 0) is manifest


# deformation


def pair(count: int = 6, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Discs as films (B, 1, side, side), and the same as masks."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disc = ((y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 4) ** 2).float()
    return disc.expand(count, 1, side, side).clone(), disc.expand(count, 1, side, side).clone()


def identity(like: torch.Tensor) -> torch.Tensor:
    return Geometry(degrees=0, shift=0, scale=(1.0, 1.0)).grid(like)


@pytest.mark.parametrize(
    ("side", "alpha", "sigma"), [(200, 55.0, 16.0), (200, 200.0, 8.0), (100, 100.0, 10.0)]
)
def test_displacements_have_simards_standard_deviation(side: int, alpha: float, sigma: float) -> None:
    """Uniform noise has the variance 1/3, a Gaussian of sigma pixels divides it by 4 pi sigma squared."""
    torch.manual_seed(0)
    edge = side // 4
    strength = torch.full((100, 1, 1, 1), alpha)
    fields = displacement(torch.zeros(100, 1, side, side), strength, sigma)[..., edge:-edge, edge:-edge]
    share = fields.std() / side
    assert float(share) == pytest.approx(alpha / (sigma * math.sqrt(12 * math.pi)) / 200, rel=0.12)


@pytest.mark.parametrize("change", [elastic, cropped, mirrored])
def test_film_and_mask_are_deformed_together(change: Callable[..., torch.Tensor]) -> None:
    torch.manual_seed(3)
    film, mask = pair()
    film[..., :20] *= 0.5  # so that mirroring shows
    grid = change(identity(film), film)
    moved, carried = warp(film, grid), warp(mask, grid, nearest=True)
    assert not torch.allclose(moved, film, atol=0.02)
    assert set(carried.unique().tolist()) == {0.0, 1.0}
    # nearest and bilinear agree on where a film of zeros and ones is not zero, but on the edge
    assert ((moved > 0.25) != (carried > 0.5)).float().mean() < 0.03


def test_what_is_not_drawn_changes_nothing() -> None:
    film, _ = pair()
    grid = identity(film)
    for change in (elastic, cropped):
        assert torch.equal(change(grid, film, p=0.0), grid)


def test_a_crop_shows_a_part_between_six_and_nine_tenths_of_each_side() -> None:
    torch.manual_seed(0)
    film = torch.zeros(200, 1, 8, 8)
    seen = cropped(identity(film), film, p=1.0)
    spans = (seen.amax((1, 2)) - seen.amin((1, 2))) / 1.75  # centres of 8 pixels span 7 / 8 of [-1, 1]
    assert 0.6 <= float(spans.min()) < 0.65
    assert 0.85 < float(spans.max()) <= 0.9 + 1e-6
    assert float(seen.abs().max()) <= 1.0


def test_an_augmented_film_keeps_its_range_and_its_tissues() -> None:
    torch.manual_seed(1)
    film, mask = pair(12)
    grid = placed(film)
    shown = processed(warp(film, grid))
    assert 0.0 <= float(shown.min()) <= float(shown.max()) <= 1.0
    assert set(warp(2 * mask, grid, nearest=True).unique().tolist()) == {0.0, 2.0}


# truth


def test_metal_counts_as_bone(tmp_path: Path) -> None:
    write_png(tmp_path / "tissue.png", np.array([[0, 1, 2, 3]], np.uint8))
    record = Record("knee", "knee", tmp_path / "frontal.png", targets={"tissue": tmp_path / "tissue.png"})
    assert phantom.tissue_classes(record).tolist() == [[0, 1, 2, 2]]


# the recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted(tmp_path_factory.mktemp("painted"), count=12)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SegNet-Basic, then XNet compared with it."""
    out = {name: tmp_path_factory.mktemp(name) for name in ("segnet", "xnet")}
    sources = {"painted-masks": folder}
    command.train("tissues", sources, [*TINY, "network=segnet"], out["segnet"], device="cpu")
    rival = f"segnet_weights={out['segnet'] / 'tissues.safetensors'}"
    command.train("tissues", sources, [*TINY, rival], out["xnet"], device="cpu")
    return out


def test_the_card_holds_figures_calibration_thresholds_and_comparison(trained: dict[str, Path]) -> None:
    from suite.stages.weights import read_card

    card = read_card(trained["xnet"] / "tissues.json").content
    assert card["architecture"] == {"network": "xnet", "filters": [2, 4, 8, 16], "kernel": 3}
    assert card["input"] == {"size": 32, "channels": 1}
    assert {"f1", "auc_bone", "precision_bone", "recall_bone", "ece", "f1_hand", "f1_knee"} <= set(
        card["metrics"]
    )
    assert card["metrics"]["f1"]["n"] == 2
    assert sum(map(sum, card["confusion"]["true_in_rows"])) == 2 * 64 * 56
    assert set(card["soft_tissue"]["thresholds"]) == {"hand", "knee"}
    assert set(card["calibration"]) == {"open_beam", "soft_tissue", "bone"}
    rival = card["comparison"]["segnet"]
    ours, theirs = card["metrics"]["f1"]["value"], rival["figures"]["f1"]["value"]
    assert rival["xnet_minus_it"]["f1"]["value"] == pytest.approx(ours - theirs, abs=2e-5)
    assert read_card(trained["segnet"] / "tissues.json").sha256 == rival["sha256"]
    assert card["recipe"]["segnet_weights"] == "tissues.safetensors"  # no folder of this machine
    for name in (
        "confusion.png",
        "pixel_roc.png",
        "reliability.png",
        "spread.png",
        "worst.png",
        "films.csv",
        "datasets.json",
    ):
        assert (trained["xnet"] / name).is_file()


def test_evaluate_repeats_the_cards_figures(trained: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    from suite.stages.weights import read_card

    weights = trained["xnet"] / "tissues.safetensors"
    found = command.evaluate("tissues", weights, {"painted-masks": folder}, [], tmp_path)
    assert found.as_json() == read_card(trained["xnet"] / "tissues.json").content["metrics"]


def test_kernels_alone_are_penalised_with_twice_lambda(folder: Path) -> None:
    task = command.prepare("tissues", {"painted-masks": folder}, [*TINY, "weight_decay=5e-4"])
    assert isinstance(task, TissuesTask)
    task.build()
    kernels, rest = task.optimizers()["model"].param_groups
    assert (kernels["weight_decay"], rest["weight_decay"]) == (1e-3, 0.0)
    assert {parameter.ndim for parameter in kernels["params"]} == {4}
    assert {parameter.ndim for parameter in rest["params"]} == {1}
    assert len(kernels["params"]) == 15


@pytest.mark.parametrize(
    ("settings", "filters"),
    [
        (["width=1"], [64, 128, 256, 512]),
        (["width=0.5", "network=unet"], [32, 64, 128, 256, 512]),
        (["filters=3,5,7,9", "width=1"], [3, 5, 7, 9]),
    ],
)
def test_width_and_filters_set_the_channels(folder: Path, settings: list[str], filters: list[int]) -> None:
    task = command.prepare("tissues", {"painted-masks": folder}, settings)
    assert task.architecture()["filters"] == filters


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["filters=3,,5"], "recipe key 'filters' has the value '3,,5'"),
        (["filters=3,5"], "filters [3, 5] are not 4 positive numbers"),
        (["kernel=4"], "kernel 4 is not odd"),
        (["size=100"], "recipe key 'size' has the value '100'"),
        (["filter=8"], "recipe key 'filter' is unknown"),
    ],
)
def test_recipes_that_cannot_be_are_refused(folder: Path, settings: list[str], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        command.prepare("tissues", {"painted-masks": folder}, settings)
    assert words in str(caught.value)


def test_a_rival_that_is_not_there_is_noticed_before_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="segnet_weights: there is no file"):
        command.prepare(
            "tissues", {"painted-masks": folder}, [f"segnet_weights={tmp_path / 'x.safetensors'}"]
        )


def test_too_few_patients_are_refused_in_words(tmp_path: Path) -> None:
    folder = painted(tmp_path / "few", count=2)
    with pytest.raises(
        SuiteError, match="finds no train film in painted-masks; give at least three patients"
    ):
        command.train("tissues", {"painted-masks": folder}, TINY, tmp_path / "out", device="cpu")
