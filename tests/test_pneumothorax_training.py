"""The cascade's training in small: gate, positives only, baseline, and the figures that compare them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation.pneumothorax import fusion
from segmentation.pneumothorax import gate as gate_training
from segmentation.pneumothorax.augmentation import Appearance
from segmentation.pneumothorax.cascade import gate_places
from segmentation.pneumothorax.comparison import WAYS, figures, figures_by_dataset
from segmentation.pneumothorax.gate_scores import gallery, operating_point
from segmentation.pneumothorax.network import PneumothoraxGate
from segmentation.pneumothorax.reading import System
from segmentation.pneumothorax.training import MaskTask
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError
from suite.findings import CODES
from suite.training import command
from suite.training.gallery import worst
from suite.training.loop import fit
from tests import made_datasets
from tests.made_siim import siim
from web.research.figure_words import known_words

POSITIVE = tuple(number % 3 == 0 for number in range(60))
QUICK = ("size=64", "width=0.125", "precision=32-true", "epochs=2", "batch_size=4", "limit=16")
GATE = (*QUICK, "backbone=resnet18")
MASK = (*QUICK, "encoder=resnet18", "decoder=8,8,8,8,8", "learning_rate=0.01")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return siim(tmp_path_factory.mktemp("siim"), POSITIVE)


@pytest.fixture(scope="module")
def nih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["No Finding", "Pneumothorax", "Mass", "Effusion|Pneumothorax"] * 2
    return made_datasets.nih(tmp_path_factory.mktemp("nih"), words)


@pytest.fixture(scope="module")
def gate(films: Path, nih: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gate")
    command.train("pneumothorax-gate", {"siim": films, "nih": nih}, GATE, out, device="cpu")
    return out / "pneumothorax-gate.safetensors"


@pytest.fixture(scope="module")
def baseline(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("baseline")
    command.train("pneumothorax-mask", {"siim": films}, (*MASK, "learn_from=all"), out, device="cpu")
    return out / "pneumothorax-mask.safetensors"


def test_the_gate_says_how_it_decides_and_how_it_does_on_real_films(gate: Path, films: Path) -> None:
    card = json.loads(gate.with_suffix(".json").read_text())
    split = open_dataset("siim", films).split(0)
    positives = sum(record.labels[CODES.index("pneumothorax")] for record in split["validation"])
    assert card["operating_point"]["rule"] == (
        f"highest F1 on {len(split['validation'])} validation films, {int(positives)} of them positive"
    )
    assert 0 <= card["operating_point"]["threshold"] <= 1
    assert set(card["metrics"]) == {
        *("auc", "sensitivity", "specificity", "f1"),
        *("nih_auc", "nih_sensitivity", "nih_specificity"),
    }
    assert card["metrics"]["auc"]["n"] == len(split["test"])
    assert card["metrics"]["nih_auc"]["n"] == 8
    assert card["learned_from"] == ["siim"]
    with (gate.parent / "films.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["dataset"] for row in rows] == ["siim"] * len(split["test"]) + ["nih"] * 8


def test_the_gate_has_figures_by_data_set_and_its_worst_films_drawn(gate: Path) -> None:
    metrics = json.loads(gate.with_suffix(".json").read_text())["metrics"]
    across = json.loads((gate.parent / "datasets.json").read_text())
    assert across["learned_from"] == ["siim"]
    assert set(across["measured_on"]) == {"siim", "nih"}
    names = ("auc", "sensitivity", "specificity", "f1")
    assert across["measured_on"]["siim"] == {name: metrics[name] for name in names}
    for name in names[:3]:
        assert across["measured_on"]["nih"][name]["value"] == metrics[f"nih_{name}"]["value"]
    assert (gate.parent / "worst.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("localised", [False, True])
def test_the_worst_films_of_a_gate_are_those_furthest_from_the_truth(films: Path, localised: bool) -> None:
    records = open_dataset("siim", films).records[:3]
    model = PneumothoraxGate("resnet18", 0.125, localised).eval()
    truth = [record.labels[CODES.index("pneumothorax")] for record in records]
    told = (0.9, 0.6, 0.1)
    rows = [
        {"dataset": dataset, "pneumothorax": value, "gate": output}
        for dataset, value, output in zip(("siim", "siim", "nih"), truth, told, strict=True)
    ]
    assert truth == [1.0, 0.0, 0.0]
    found = gallery(model, 64, records, rows)
    assert [each.id for each in worst(found)] == [f"siim {records[1].id}", *(each.id for each in found[::2])]
    assert [each.score for each in found] == pytest.approx([0.9, 0.4, 0.9])
    first, _, real = (each.load() for each in found)
    assert first.film.shape == first.truth.shape == first.predicted.shape
    assert first.truth.any()
    assert not real.truth.any()  # of the real films nobody has outlined the gas
    assert localised or not first.predicted.any()


def test_a_gate_that_is_sure_of_a_place_shows_it_there() -> None:
    class Sure(torch.nn.Module):
        localised = True

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, film: torch.Tensor, places: bool) -> tuple[torch.Tensor, torch.Tensor]:
            map_ = torch.full((1, 1, 4, 4), -9.0)
            map_[..., 0, 3] = 9.0
            return torch.zeros(1), map_

    seen = gate_places(Sure(), np.zeros((128, 96), np.float32), 64)
    assert seen.shape == (128, 96)
    rows, columns = np.nonzero(seen)
    assert rows.max() < 40
    assert columns.min() > 60


def test_the_cascade_is_measured_beside_its_baseline(
    gate: Path, baseline: Path, films: Path, tmp_path: Path
) -> None:
    settings = (*MASK, f"gate_weights={gate}", f"baseline_weights={baseline}")
    card = command.train("pneumothorax-mask", {"siim": films}, settings, tmp_path, device="cpu").content
    metrics = card["metrics"]
    for system in ("one_case", "baseline"):
        for way in ("argmax", "threshold", "tta", "triplet"):
            for figure in ("dice", "dice_positives", "dice_pooled", "iou_pooled"):
                assert f"{system}_{way}_{figure}" in metrics
                assert system == "baseline" or known_words(f"{system}_{way}_{figure}") is not None
        assert f"{system}_auc" in metrics
    test = open_dataset("siim", films).split(0)["test"]
    empty = np.mean([record.labels[CODES.index("pneumothorax")] == 0 for record in test])
    assert metrics["dice_all_empty"]["value"] == pytest.approx(empty, abs=1e-5)
    gain = metrics["one_case_tta_dice"]["value"] - metrics["baseline_tta_dice"]["value"]
    assert metrics["gain_tta_dice"]["value"] == pytest.approx(gain, abs=2e-5)
    threshold = json.loads(gate.with_suffix(".json").read_text())["operating_point"]["threshold"]
    point = card["operating_point"]
    assert point["gate_threshold"] == threshold
    assert 0 <= point["triplet_min_area"] < 0.05
    assert point["triplet_bottom"] <= point["triplet_top"]
    # files of this machine are named without their folders
    assert card["recipe"]["gate_weights"] == "pneumothorax-gate.safetensors"
    assert str(tmp_path.parent) not in json.dumps(card)

    # measured again from the weights file, with the same companions, the figures are the same
    again = command.evaluate(
        "pneumothorax-mask",
        tmp_path / "pneumothorax-mask.safetensors",
        {"siim": films},
        settings[-2:],
        tmp_path / "again",
    )
    assert again.as_json() == metrics
    assert (tmp_path / "again" / "worst.png").is_file()

    # one data set: its figures are those of all films
    across = json.loads((tmp_path / "again" / "datasets.json").read_text())["measured_on"]
    ways = ("auc", "tta_dice", "tta_dice_positives")
    names = [f"{system}_{way}" for system in ("one_case", "baseline") for way in ways]
    assert across == {"siim": {name: metrics[name] for name in (*names, "gain_tta_dice", "dice_all_empty")}}
    with (tmp_path / "again" / "films.csv").open(newline="") as table:
        assert [row["dataset"] for row in csv.DictReader(table)] == ["siim"] * len(test)


def test_the_gate_is_measured_fused_with_what_the_mask_network_expects(
    gate: Path, baseline: Path, films: Path, nih: Path, tmp_path: Path
) -> None:
    sources = {"siim": films, "nih": nih}
    found = command.evaluate("pneumothorax-gate", gate, sources, (f"mask_weights={baseline}",), tmp_path)
    alone = json.loads(gate.with_suffix(".json").read_text())["metrics"]
    fused = {
        f"{prefix}{name}" for prefix in ("", "nih_") for name in ("area_auc", "fused_auc", "fused_gain_auc")
    }
    assert {key: figure for key, figure in found.as_json().items() if key not in fused} == alone
    assert found.figures.keys() == fused | alone.keys()
    assert [key for key in fused if known_words(key) is None] == []
    for prefix in ("", "nih_"):
        gain, whole, own = (found.figures[f"{prefix}{key}"] for key in ("fused_gain_auc", "fused_auc", "auc"))
        assert gain.value == pytest.approx(whole.value - own.value)
        assert gain.low <= gain.value <= gain.high
    assert found.by_dataset["nih"]["fused_gain_auc"] == found.figures["nih_fused_gain_auc"]
    assert found.by_dataset["siim"]["fused_auc"] == found.figures["fused_auc"]
    assert all(0 <= row["fused"] <= 1 and 0 < row["area"] < 1 for row in found.rows)
    assert "places of gate and area among the validation films" in found.notes[-1]
    with pytest.raises(RecipeError, match=r"mask_weights: there is no file .*; train that network first"):
        command.prepare("pneumothorax-gate", sources, (*GATE, "mask_weights=none.safetensors"))


def test_a_place_among_validation_films_by_hand() -> None:
    kept = np.array([0.4, 0.1, 0.2])
    places = fusion.place_among(kept, np.array([0.0, 0.1, 0.15, 0.2, 0.3, 0.9]))
    np.testing.assert_allclose(places, [0, 0, 0.25, 0.5, 0.75, 1])


def test_what_fusion_gains_by_hand() -> None:
    """The gate orders three of four pairs, the fused score all of them."""
    rows = [
        {
            "dataset": "nih",
            "patient": str(k),
            "pneumothorax": truth,
            "gate": told,
            "area": area,
            "fused": both,
        }
        for k, (truth, told, area, both) in enumerate(
            [(1.0, 0.2, 0.5, 0.6), (1.0, 0.9, 0.1, 0.7), (0.0, 0.3, 0.2, 0.4), (0.0, 0.1, 0.4, 0.3)]
        )
    ]
    found = fusion.figures_by_dataset(rows, 0)["nih"]
    assert {name: figure.value for name, figure in found.items()} == {
        "area_auc": 0.5,
        "fused_auc": 1.0,
        "fused_gain_auc": 0.25,
    }


def test_the_expected_area_is_a_share_of_the_film_at_any_shape() -> None:
    class Upper(torch.nn.Module):
        """Gas in the upper half of what it is shown."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, film: torch.Tensor) -> torch.Tensor:
            answer = torch.full_like(film, -30.0)
            answer[..., : film.shape[-2] // 2, :] = 30.0
            return answer

    system = System(Upper(), 64)
    for shape in ((64, 64), (128, 96), (90, 120)):
        film = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
        assert fusion.expected_area(system, film) == pytest.approx(0.5, abs=0.02)


def test_the_baseline_stands_alone(baseline: Path) -> None:
    card = json.loads(baseline.with_suffix(".json").read_text())
    assert "baseline_tta_dice" in card["metrics"]
    assert not [name for name in card["metrics"] if name.startswith(("one_case", "gain"))]
    assert "baseline" in card["title"]


def task(films: Path, *settings: str) -> MaskTask:
    prepared = command.prepare("pneumothorax-mask", {"siim": films}, (*MASK, *settings))
    assert isinstance(prepared, MaskTask)
    return prepared


def test_one_case_learns_from_positives_and_the_baseline_from_all(films: Path) -> None:
    train = open_dataset("siim", films).fold(1, 5)["train"]
    positives = [record for record in train if record.labels[CODES.index("pneumothorax")] == 1.0]
    folds = ("folds=5", "fold=1", "limit=0")
    prepared = task(films, *folds)
    one_case = prepared.training_set()
    everything = task(films, *folds, "learn_from=all").training_set()
    assert len(one_case) == len(positives)  # type: ignore[arg-type]
    assert len(everything) == len(train) > len(positives)  # type: ignore[arg-type]
    shown = prepared._banks["train"].gather(torch.arange(len(positives)))
    assert bool(shown["mask"].flatten(1).any(1).all())


def test_the_encoder_is_held_in_its_first_epochs_only(films: Path) -> None:
    prepared = task(films, "frozen_epochs=1")
    prepared.build()
    held = [prepared.modules["model"].unet.encoder.parameters, prepared.start_epoch]  # type: ignore[union-attr]
    for epoch, learning in ((0, False), (1, True)):
        held[1](epoch)
        assert {parameter.requires_grad for parameter in held[0]()} == {learning}


def test_cutout_comes_in_the_last_part_only(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def watched(film: torch.Tensor, appearance: Appearance, *, late: bool) -> torch.Tensor:
        seen.append(late)
        return film

    monkeypatch.setattr(gate_training, "shown", watched)
    settings = (*GATE, "epochs=5", "cutout_from=0.6", "films_per_epoch=4")
    prepared = command.prepare("pneumothorax-gate", {"siim": films}, settings)
    fit(prepared, films.parent / "cutout", device="cpu")
    assert seen == [False] * 3 + [True] * 2


def test_a_gate_sees_as_many_films_with_gas_as_it_is_told_to(films: Path) -> None:
    settings = (*GATE, "positive_share=0.5", "films_per_epoch=12")
    prepared = command.prepare("pneumothorax-gate", {"siim": films}, settings)
    dealt = prepared.training_set()
    truth = [
        record.labels[CODES.index("pneumothorax")] for record in open_dataset("siim", films).split(0)["train"]
    ]
    for epoch in range(3):
        prepared.start_epoch(epoch)
        items = [int(dealt[row]["index"]) for row in range(len(dealt))]  # type: ignore[arg-type]
        assert sum(truth[item] for item in items) == 6


def test_what_cannot_be_trained_is_said_before_training(films: Path, nih: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="fold 5 of 5 does not exist"):
        task(films, "folds=5", "fold=5")
    with pytest.raises(
        RecipeError, match="learn from phantom, siim or inserted-pneumothorax; add --data phantom=DIR"
    ):
        command.prepare("pneumothorax-gate", {"nih": nih}, GATE)
    with pytest.raises(RecipeError, match="no film with a pneumothorax"):
        task(siim(tmp_path, (False,) * 30))
    with pytest.raises(RecipeError, match="gate_weights: there is no file none; train"):
        task(films, "gate_weights=none")
    with pytest.raises(RecipeError, match="recipe key 'decoder'"):
        task(films, "decoder=8,8")
    with pytest.raises(RecipeError, match=r"width 0\.125 leaves resnext50_32x4d no channel"):
        command.prepare("pneumothorax-gate", {"siim": films}, (*GATE, "backbone=resnext50_32x4d"))


def test_the_operating_point_has_the_highest_f1_by_hand() -> None:
    truth = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    told = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.9])
    # from 0.4 on: 3 hits, 1 false alarm, F1 6 / 7; from 0.7 on: 2 hits, 1 miss, F1 4 / 5
    cut, entry = operating_point(truth, told)
    assert cut == pytest.approx(0.3)
    assert entry["rule"] == "highest F1 on 6 validation films, 3 of them positive"
    assert operating_point(np.zeros(3), told[:3])[0] == 0.5


def row(patient: str, truth: int, one_case: tuple[int, int], baseline: tuple[int, int]) -> dict[str, object]:
    made: dict[str, object] = {"dataset": "siim", "film": patient, "patient": patient, "truth_px": truth}
    for system, (claimed, hits) in (("one_case", one_case), ("baseline", baseline)):
        made[f"{system}_score"] = float(claimed)
        for way in WAYS:
            made |= {f"{system}_{way}_claimed_px": claimed, f"{system}_{way}_hits_px": hits}
    return made


def test_figures_by_hand_from_counts() -> None:
    rows = [
        row("a", 100, (100, 80), (50, 50)),  # Dice 0.8 and 2 x 50 / 150
        row("b", 0, (0, 0), (10, 0)),  # 1 and 0
        row("c", 60, (0, 0), (60, 30)),  # 0 and 0.5
        row("d", 0, (0, 0), (0, 0)),  # 1 and 1
    ]
    found = {name: figure.value for name, figure in figures(rows, np.random.default_rng(0)).items()}
    assert found["one_case_tta_dice"] == pytest.approx((0.8 + 1 + 0 + 1) / 4)
    assert found["baseline_tta_dice"] == pytest.approx((2 / 3 + 0 + 0.5 + 1) / 4)
    assert found["gain_tta_dice"] == pytest.approx((2.8 - 13 / 6) / 4)
    assert found["one_case_tta_dice_positives"] == pytest.approx(0.4)
    assert found["one_case_tta_dice_pooled"] == pytest.approx(2 * 80 / (100 + 160))
    assert found["baseline_tta_iou_pooled"] == pytest.approx(80 / (120 + 160 - 80))
    assert found["dice_all_empty"] == 0.5
    assert found["gain_triplet_dice"] == found["gain_tta_dice"]
    assert found["one_case_auc"] == pytest.approx(0.75)  # a above both, c level with both


def test_each_data_set_has_the_figures_of_its_own_films() -> None:
    rows = [
        row("a", 100, (100, 80), (50, 50)),
        row("b", 0, (0, 0), (10, 0)),
        {**row("c", 60, (0, 0), (60, 30)), "dataset": "phantom"},
    ]
    found = figures_by_dataset(rows, 0)
    assert list(found) == ["siim", "phantom"]
    assert found["siim"]["one_case_tta_dice"].value == pytest.approx(0.9)
    assert found["siim"]["baseline_auc"].value == 1.0
    assert found["phantom"]["baseline_tta_dice"].value == pytest.approx(0.5)
    assert (found["phantom"]["dice_all_empty"].value, found["phantom"]["dice_all_empty"].n) == (0.0, 1)
    assert np.isnan(found["phantom"]["one_case_auc"].value)


def test_the_gain_is_paired_so_that_equal_systems_have_no_interval() -> None:
    rng = np.random.default_rng(1)
    rows = [
        row(str(number), 50, (int(claimed), int(claimed) // 2), (int(claimed), int(claimed) // 2))
        for number, claimed in enumerate(rng.integers(1, 100, 40))
    ]
    gain = figures(rows, rng)["gain_argmax_dice"]
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_the_gate_learns_a_gap_that_anyone_can_see(films: Path, tmp_path: Path) -> None:
    """Sixty films whose gas is a dark block at one place: a network that learns at all finds them."""
    torch.manual_seed(0)
    settings = (*GATE, "epochs=12", "learning_rate=0.01", "appearance=paper", "limit=0", "folds=2")
    card = command.train("pneumothorax-gate", {"siim": films}, settings, tmp_path, device="cpu")
    assert card.content["metrics"]["auc"]["value"] > 0.8
