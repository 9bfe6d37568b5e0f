"""The benchmark of fracture detectors: its table, its inputs, and that it goes on where it stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import bone_fractures
from benchmarks.bone_fractures import collected, table
from benchmarks.breaks.banks import decoded, network_layers
from benchmarks.breaks.kinds import remember
from benchmarks.breaks.map_detector import BATCH, Batches, Budget, Detector
from gan.suppression import LARGEST_BONE
from suite.datasets import phantom
from suite.errors import InputError
from suite.phantom.cohort import CohortSettings, write_cohort
from suite.stages.weights import shipped_card
from suite.training.bank import FULL_SCALE, Bank
from tests import untrained_weights

LABELS = np.repeat([0.0, 1.0], 20)
PATIENTS = [f"p{row}" for row in range(40)]
FILM, LAYER = ("film", "film"), ("true layer", "true layer")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    settings = CohortSettings(seed=8, size=128, lateral=False, prevalence={"fracture": 0.5})
    write_cohort(settings, 12, folder)
    return folder


def cells(text: str, row: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[2 + row].strip("|").split("|")]


def test_the_table_has_the_mean_over_seeds_and_the_difference_to_the_film() -> None:
    perfect, opposite = LABELS + 0.01 * np.arange(40), -LABELS
    text = table({FILM: [perfect, opposite], LAYER: [perfect, perfect]}, LABELS, PATIENTS)
    assert cells(text, 0)[2:] == ["2", "0.5 (0.5 - 0.5)", "-"]
    assert cells(text, 1)[2:4] == ["2", "1 (1 - 1)"]
    assert cells(text, 1)[4] == "0.5 (0 - 1)", "the film's seeds lie at 1 and 0, and are drawn too"
    assert "40 test studies, a fracture shows on 20" in text


def test_one_seed_has_no_difference_and_that_is_said() -> None:
    perfect, opposite = LABELS + 0.01 * np.arange(40), -LABELS
    text = table({FILM: [opposite, opposite], LAYER: [perfect]}, LABELS, PATIENTS)
    assert cells(text, 1)[2:] == ["1", "1 (1 - 1)", "-"]
    luck = "does not hold the luck of training"
    assert luck in text.splitlines()[-1]
    assert luck not in table({FILM: [opposite] * 2, LAYER: [perfect] * 2}, LABELS, PATIENTS)


def test_an_interval_narrows_with_seeds_but_not_to_nothing() -> None:
    rng = np.random.default_rng(0)
    seeds = [LABELS + rng.normal(0, 1.5, 40) for _ in range(9)]

    def width(count: int) -> float:
        low, high = (
            cells(table({FILM: seeds[:count]}, LABELS, PATIENTS), 0)[3].split("(")[1][:-1].split(" - ")
        )
        return float(high) - float(low)

    assert 0.02 < width(9) < width(1)


class Half(nn.Module):
    """A network whose layer is half of the film; it must be shown films of 256."""

    def forward(self, film: Tensor, convention: Tensor) -> Tensor:
        assert film.shape[-2:] == (256, 256)
        assert convention.tolist() == [1] * len(film)
        return film / 2


def test_the_networks_layer_is_made_at_the_networks_own_size() -> None:
    films = torch.full((3, 1, 128, 128), round(0.2 * FULL_SCALE), dtype=torch.int16)
    layers = network_layers(films, Half(), convention=1, size=128, own=256)
    assert layers.shape == films.shape
    np.testing.assert_allclose(layers.numpy() / FULL_SCALE, 0.1 / LARGEST_BONE, atol=1e-3)


def test_true_layer_and_hardware_show_the_same_bones(cohort: Path) -> None:
    records = [record for record in phantom.read(cohort).records if "low" in record.targets][:3]
    bank = decoded(records, 128)
    planes = bank.gather(torch.arange(3))
    for name in ("film", "true", "hardware", "breaks"):
        assert planes[name].shape == (3, 1, 128, 128)
    for true, hardware in zip(planes["true"], planes["hardware"], strict=True):
        seen = np.corrcoef(true.flatten().numpy(), hardware.flatten().numpy())[0, 1]
        assert seen > 0.5


def test_finished_detectors_are_not_trained_again(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a narrow bone network: what it draws does not matter here."""
    card = untrained_weights.bone(tmp_path / "weights", recipe={"learn_from": "phantom"})
    words = ["x", "--phantom", str(cohort), "--weights", str(card.weights_path), "--out", str(tmp_path)]
    words += ["--size", "128", "--epochs", "1", "--device", "cpu", "--kinds", "film,film + network's layer"]
    monkeypatch.setattr(sys, "argv", [*words, "--seeds", "1"])
    bone_fractures.main()
    first = json.loads(Detector("film", 0).path(tmp_path).read_text())
    trained: list[Detector] = []
    learn = bone_fractures.learn

    def counted(bank: object, detector: Detector, *rest: object) -> nn.Module:
        trained.append(detector)
        return learn(bank, detector, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(bone_fractures, "learn", counted)
    monkeypatch.setattr(sys, "argv", [*words, "--seeds", "2"])
    bone_fractures.main()
    assert [(one.kind, one.seed) for one in trained] == [("film", 1), ("film + network's layer", 1)]
    assert json.loads(Detector("film", 0).path(tmp_path).read_text()) == first
    assert cells((tmp_path / "fractures.md").read_text(), 0)[2] == "2"
    assert len(collected(tmp_path, trained)[FILM]) == 1


def given(cohort: Path, out: Path, *more: str) -> list[str]:
    weights = str(shipped_card("gan", "bone").weights_path)
    words = ["x", "--phantom", str(cohort), "--weights", weights, "--out", str(out), "--device", "cpu"]
    return [*words, *more]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--size", "128", "--patch", "160"), "--patch 160 is no side of squares of films of 128; give 0"),
        (("--size", "128", "--patch", "48"), "--patch 48 is no side"),
        (("--size", "128", "--patch", "16"), "--patch 16 is no side"),
        (("--size", "128", "--patch", "-32"), "--patch -32 is no side"),
        (("--size", "100"), "--size 100 is no side"),
        (("--size", "0"), "--size 0 is no side"),
        (("--epochs", "0"), "--epochs 0 trains nothing"),
        (("--seeds", "0"), "--seeds 0 trains nothing"),
        (("--kinds", "sound"), "--kinds names 'sound'"),
        (("--weights", "nowhere.safetensors"), "nowhere.json: is no readable model card"),
    ],
)
def test_bad_options_get_one_sentence_and_leave_nothing(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], words: str
) -> None:
    monkeypatch.setattr(bone_fractures, "learn", lambda *_: pytest.fail("a detector was trained"))
    monkeypatch.setattr(sys, "argv", given(cohort, tmp_path / "out", *more))
    with pytest.raises(SystemExit, match=words) as ended:
        bone_fractures.main()
    assert "\n" not in str(ended.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("patch", [0, 32, 128])
def test_sides_that_the_network_takes_are_taken(patch: int) -> None:
    bone_fractures.check_numbers(128, Budget(1, patch), 1)


def test_scores_of_a_cohort_with_other_fractures_are_not_taken_for_this_ones(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cohorts have the same ids; no detector is trained, the network's answer is made up."""
    other = tmp_path / "other"
    write_cohort(CohortSettings(seed=8, size=128, lateral=False, prevalence={"fracture": 0.9}), 12, other)
    ids = [[record.id for record in phantom.read(folder)] for folder in (cohort, other)]
    assert ids[0] == ids[1]
    monkeypatch.setattr(bone_fractures, "banks_of", lambda *_: {"train": Bank({}), "test": Bank({})})
    monkeypatch.setattr(bone_fractures, "learn", lambda *_: nn.Identity())
    tested = phantom.read(cohort).split(0)
    count = len(tested["validation"]) + len(tested["test"])
    monkeypatch.setattr(bone_fractures, "scores", lambda *_: np.arange(count, dtype=np.float64))
    for folder in (cohort, cohort, other):
        monkeypatch.setattr(sys, "argv", given(folder, tmp_path / "out", "--size", "128", "--kinds", "film"))
        if folder == other:
            with pytest.raises(SystemExit, match="holds detectors of another cohort"):
                bone_fractures.main()
        else:
            bone_fractures.main()


def test_half_of_the_squares_lie_around_a_break_and_all_planes_are_cut_alike() -> None:
    breaks = torch.zeros((4, 1, 64, 64), dtype=torch.uint8)
    breaks[2, 0, 40, 10] = 255
    film = (torch.arange(4 * 64 * 64).view(4, 1, 64, 64) * 2).to(torch.int16)
    torch.manual_seed(0)
    batch = Batches(Bank({"film": film, "breaks": breaks}), 16).drawn()
    assert batch["film"].shape == batch["breaks"].shape == (BATCH, 1, 16, 16)
    assert bool((batch["breaks"].flatten(1).amax(1)[::2] > 0).all())
    broken = (batch["film"] * FULL_SCALE).round()[batch["breaks"] > 0]
    assert torch.equal(broken, torch.full_like(broken, float(film[2, 0, 40, 10])))


def test_a_folder_with_other_detectors_is_refused(tmp_path: Path) -> None:
    file, held = tmp_path / "fractures.json", "detectors of another size"
    remember(file, {"size": 128}, held)
    remember(file, {"size": 128}, held)
    with pytest.raises(InputError, match="holds detectors of another size; name another folder"):
        remember(file, {"size": 256}, held)
