"""Each network's own training, in small: it runs, resumes, honours unknown labels, and says what it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from classifiers.calibration_methods import HeadFilms
from classifiers.diagnosis import head_calibration
from classifiers.triage.stage import TriageStage
from classifiers.triage.training import TriageRecipe, TriageTask
from gan.training import BoneTask
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError, WeightsError
from suite.findings import CODES
from suite.stages.weights import in_place_of_shipped, shipped_card
from suite.training import command
from suite.training.loop import fit
from tests import fake_stages, made_datasets, untrained_weights
from tests.made_cohort import cohort_folder  # noqa: F401 - a fixture

BONE = (
    "size=256",
    "base=8",
    "discriminator_base=8",
    "epochs=2",
    "pretraining_share=0.5",
    "batch_size=2",
    "validate_every=2",
    "precision=32-true",
    "limit=2",
)


class Stopped(Exception):  # noqa: N818 - it stands for Ctrl-C
    """The run ends here."""


@pytest.fixture(scope="module")
def jsrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_datasets.jsrt(tmp_path_factory.mktemp("jsrt"), count=16)


def bone_task(jsrt: Path) -> BoneTask:
    task = command.prepare("bone", {"jsrt": jsrt}, BONE)
    assert isinstance(task, BoneTask)
    return task


def test_the_gan_resumes_bit_for_bit_and_its_discriminator_joins_late(jsrt: Path, tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def watch(step: int, _total: int, losses: Mapping[str, float]) -> None:
        seen.append(set(losses))
        assert all(math.isfinite(value) for value in losses.values())

    whole = fit(bone_task(jsrt), tmp_path / "whole", device="cpu", on_step=watch).state_dict()
    assert seen == [{"l1"}, {"l1", "discriminator", "generator"}]

    def stop(step: int, _total: int, _losses: Mapping[str, float]) -> None:
        if step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        fit(bone_task(jsrt), tmp_path / "parts", device="cpu", on_step=stop)
    resumed = fit(bone_task(jsrt), tmp_path / "parts", device="cpu", resume=True).state_dict()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


SMALL = ("size=64", "epochs=1", "batch_size=4", "validate_every=1", "precision=32-true", "limit=8")
FINDINGS = ("No Finding", "Mass|Effusion", "No Finding", "Edema", "Pneumothorax")


@pytest.fixture(scope="module")
def nih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_datasets.nih(tmp_path_factory.mktemp("nih"), [FINDINGS[index % 5] for index in range(70)])


@pytest.fixture
def any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that have hardly learned are calibrated too, in whatever order their scores put the films."""
    monkeypatch.setattr(HeadFilms, "orders", lambda _films: True)


@pytest.mark.usefixtures("any_order")
def test_triage_learns_and_calibrates_on_films_it_did_not_learn_from(nih: Path, tmp_path: Path) -> None:
    card = command.train("triage", {"nih": nih}, SMALL, tmp_path, device="cpu").content
    split = open_dataset("nih", nih).split(0, (0.65, 0.15, 0.2))
    assert card["metrics"]["auc"]["n"] == len(split["test"])
    errors = {"ece", "ece_before", "brier", "brier_before", "slope", "intercept"}
    assert set(card["metrics"]) == {"auc", "sensitivity", "specificity"} | errors
    assert all(card["metrics"][name]["n"] == len(split["test"]) for name in errors)
    assert (tmp_path / "reliability.png").is_file()
    calibration = card["calibration"]
    assert calibration["positives"] + calibration["negatives"] == len(split["validation"])
    assert calibration["source"] == f"{len(split['validation'])} held-out nih films"
    assert card["input"] == {"size": 64, "channels": 1}
    films = (tmp_path / "films.csv").read_text().splitlines()
    assert films[0] == "film,patient,abnormal,score"
    assert {line.split(",")[0] for line in films[1:]} == {record.id for record in split["test"]}


@pytest.mark.usefixtures("any_order")
def test_triage_is_measured_by_its_cards_own_calibration_on_every_set(
    nih: Path,
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """A card that says 0.9 of every film is off by what is left to 0.9, whatever a new fit would reach."""
    card = command.train("triage", {"nih": nih}, SMALL, tmp_path, device="cpu")
    assert not any("_shown_" in name for name in card.content["metrics"])
    sure = replace(untrained_weights.CALIBRATION, slope=0.0, intercept=math.log(9.0)).as_json()
    card.path.write_text(json.dumps({**json.loads(card.path.read_text()), "calibration": sure}))
    sources = {"nih": nih, "phantom": cohort_folder}
    figures = command.evaluate("triage", card.weights_path, sources, (), tmp_path / "out").figures
    for name, folder in sources.items():
        test = open_dataset(name, folder).split(0, (0.65, 0.15, 0.2))["test"]
        share = np.mean([record.abnormal for record in test])
        assert figures[f"{name}_shown_ece"].value == pytest.approx(abs(0.9 - share))
        assert figures[f"{name}_shown_brier"].value == pytest.approx(share * 0.01 + (1 - share) * 0.81)
        assert figures[f"{name}_shown_ece"].n == len(test)
    names = {name for name in figures if "_shown_" in name}
    assert names == {
        f"{name}_shown_{key}" for name in sources for key in ("ece", "brier", "slope", "intercept")
    }
    assert figures["brier"].value == pytest.approx(card.content["metrics"]["brier"]["value"], abs=1e-5)
    assert "| nih_shown_ece |" in (tmp_path / "out" / "table.md").read_text()


def test_triage_without_a_calibration_says_so_and_its_stage_does_not_read(
    nih: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out films too few to calibrate on: the card has none, and no film gets a made-up number."""
    monkeypatch.setattr("classifiers.calibration_methods.MIN_POSITIVES", 1000)
    card = command.train("triage", {"nih": nih}, SMALL, tmp_path, device="cpu")
    assert "calibration" not in card.content
    told = "The triage stage does not read by weights without a calibration: "
    assert any(note.startswith(told) for note in card.content["notes"])
    assert "ece" not in card.content["metrics"]
    with (
        in_place_of_shipped("triage", card.path),
        pytest.raises(WeightsError, match="has no calibration, so its scores order no worklist"),
    ):
        TriageStage()


@pytest.mark.parametrize(
    ("sets", "computed_only"), [(("phantom",), True), (("nih",), False), (("nih", "phantom"), False)]
)
def test_triage_calibrated_on_computed_films_says_where_its_probabilities_hold(
    sets: tuple[str, ...], computed_only: bool
) -> None:
    films = tuple(Record(f"f{n}", f"p{n}", Path("a.png"), abnormal=float(n % 2)) for n in range(40))
    task = TriageTask(TriageRecipe(), {name: Manifest(name, films) for name in sets})
    card = task.describe()
    assert (
        "its probabilities and operating point hold for such films only" in card["limits"]
    ) == computed_only
    assert any("Wang et al. 2017" in source for source in card["sources"]) == ("nih" in sets)


def test_too_few_patients_to_measure_on_are_said_before_triage_learns(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("classifiers.learned_sets.FRACTIONS", (1.0, 0.0, 0.0))
    with pytest.raises(DatasetError, match="the validation part of phantom has no film"):
        command.train("triage", {"phantom": cohort_folder}, SMALL, tmp_path, device="cpu")


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lungs and bones of the films by fake stages."""
    made: dict[str, Any] = {
        "lungs": fake_stages.lungs(),
        "bone": fake_stages.fake("bone", "frontal", "bone_subtracted bone_suppressed", bones),
    }
    monkeypatch.setattr("classifiers.diagnosis.films.load_stage", made.__getitem__)


def bones(study: Any) -> dict[str, Any]:
    film = study["frontal"].value
    layer = fake_stages.bone_of(film)
    return {"bone_subtracted": layer, "bone_suppressed": film.pixels - layer}


def test_diagnosis_says_which_heads_were_taught(
    stages: None, nih: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_calibration, "MIN_TRAINING_POSITIVES", 2)
    settings = ("size=64", "epochs=1", "batch_size=4", "precision=32-true", "limit=16")
    card = command.train("diagnosis", {"nih": nih}, settings, tmp_path, device="cpu").content
    heads, metrics = card["heads"], card["metrics"]
    assert tuple(heads) == CODES
    train = open_dataset("nih", nih).split(0, (0.65, 0.15, 0.2))["train"][:16]
    for index, code in enumerate(CODES):
        positives = sum(record.labels[index] == 1.0 for record in train)
        assert heads[code]["training_positives"] == positives
        assert heads[code]["trained"] == (positives >= 2)
    # the set never labels these: no positives, no figure, no calibration
    for code in ("fracture", "support_devices", "enlarged_cardiomediastinum"):
        assert heads[code] == {
            "trained": False,
            "training_positives": 0,
            "training_positives_by_set": {"nih": 0},
            "calibration": None,
            "calibrated_on": None,
            "no_probability": None,
        }
        assert metrics[f"auc_{code}"] == {"value": None, "interval": None, "n": 0}
        assert code in card["limits"]
    known = [metrics[f"auc_{code}"]["value"] for code in CODES if metrics[f"auc_{code}"]["value"] is not None]
    assert metrics["mean_auc"]["value"] == pytest.approx(np.mean(known), abs=1e-5)
    assert metrics["mean_auc"]["n"] == len(known)
    assert card["input"] == {"size": 64, "channels": 3}
    made_by = {"lungs": ("segmentation", "lungs"), "bone": ("gan", "bone")}
    assert card["input_weights"] == {name: shipped_card(*place).sha256 for name, place in made_by.items()}
    assert "NaN" not in json.dumps(card)

    # measured again, the card's own calibration is judged: one that says 0.9 of every film
    sure = replace(untrained_weights.CALIBRATION, slope=0.0, intercept=math.log(9.0)).as_json()
    changed = {
        code: {**head, "calibration": sure if code == "edema" else None} for code, head in heads.items()
    }
    path = tmp_path / "diagnosis.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "heads": changed}))
    again = command.evaluate(
        "diagnosis", path.with_suffix(".safetensors"), {"nih": nih}, (), tmp_path / "out"
    )
    test = open_dataset("nih", nih).split(0, (0.65, 0.15, 0.2))["test"]
    share = np.mean([record.labels[CODES.index("edema")] for record in test])
    assert again.figures["nih_shown_ece_edema"].value == pytest.approx(abs(0.9 - share))
    assert not any("_shown_" in name for name in metrics)
    other = {**json.loads(path.read_text()), "input_weights": {"lungs": "1" * 64}}
    path.write_text(json.dumps(other))  # readers would see no probability
    again = command.evaluate(
        "diagnosis", path.with_suffix(".safetensors"), {"nih": nih}, (), tmp_path / "out"
    )
    assert not any("_shown_" in name for name in again.figures)


@pytest.mark.usefixtures("any_order")
def test_a_head_taught_by_computed_films_alone_is_in_the_card_without_a_probability(
    stages: None,
    nih: Path,
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NIH never labels fractures; half of the computed chests have one."""
    monkeypatch.setattr(head_calibration, "MIN_TRAINING_POSITIVES", 2)
    settings = ("size=64", "epochs=1", "batch_size=8", "precision=32-true")
    sources = {"nih": nih, "phantom": cohort_folder}
    card = command.train("diagnosis", sources, settings, tmp_path, device="cpu").content
    train = open_dataset("phantom", cohort_folder).split(0, (0.65, 0.15, 0.2))["train"]
    fractures = sum(record.labels[CODES.index("fracture")] == 1.0 for record in train)
    fracture = card["heads"]["fracture"]
    assert fracture["training_positives_by_set"] == {"nih": 0, "phantom": fractures}
    assert fracture["trained"] is True
    assert (fracture["calibration"], fracture["calibrated_on"]) == (None, None)
    assert fracture["no_probability"] == "learned from computed films only"
    assert "learned from computed films only: " in card["limits"]
    calibrated = [code for code, head in card["heads"].items() if head["calibration"]]
    assert calibrated
    for code in calibrated:
        assert card["heads"][code]["calibrated_on"] == "nih"
        assert card["metrics"][f"ece_{code}"] == card["metrics"][f"nih_ece_{code}"]
    assert (tmp_path / "reliability-nih.png").is_file()


def test_triage_goes_on_from_a_network_that_learned_from_computed_films(
    nih: Path,
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    small = (*SMALL, "limit=4")
    first = command.train("triage", {"phantom": cohort_folder}, small, tmp_path / "first", device="cpu")
    assert first.content["learned_from"] == ["phantom"]
    task = command.prepare("triage", {"nih": nih}, [*small, f"start_from={first.path}"])
    task.build()
    own = task.modules["model"].state_dict()
    stored = load_file(first.weights_path)
    assert all(torch.equal(own[name].half(), value) for name, value in stored.items())
    with pytest.raises(RecipeError, match="learns from phantom, which is not given; add --data phantom=DIR"):
        command.prepare("triage", {"nih": nih}, [*small, "learn_from=phantom"]).learned_from()
