"""The epoch is chosen on other patients than scores are calibrated on, where their films suffice."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

from classifiers.calibration_methods import HeadFilms
from classifiers.diagnosis.head_calibration import SetCalibration
from classifiers.diagnosis.parts import halved_validation
from classifiers.diagnosis.predictions import Predictions
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.learned_sets import LearnedSets
from classifiers.triage.training import TriageRecipe, TriageTask
from classifiers.validation_halves import MIN_HALF, ValidationHalves
from suite.datasets.manifest import UNKNOWN, Manifest, Record
from suite.findings import CODES
from suite.stages.plugins import load_recipe
from suite.training import command

EDEMA, FRACTURE = CODES.index("edema"), CODES.index("fracture")


def records(films: int, name: str = "made") -> tuple[Record, ...]:
    """Two films a patient, normal and abnormal by turns; abnormal is edema."""
    labels = [list(UNKNOWN) for _ in range(films)]
    for row in range(films):
        labels[row][EDEMA] = float(row % 2)
    return tuple(
        Record(f"{name}-{row}", f"p{row // 2}", Path(f"{name}-{row}.png"), labels=tuple(labels[row]),
               abnormal=float(row % 2))
        for row in range(films)
    )  # fmt: skip


def halves(films: int, *, seed: int = 0) -> ValidationHalves:
    own = records(films)
    labels = {"abnormal": np.array([record.abnormal for record in own])}
    return ValidationHalves.of("made", "made", own, labels, seed)


def owners(part: Sequence[Record]) -> set[str]:
    return {record.patient_id for record in part}


def test_no_patient_is_in_both_halves_and_none_is_lost() -> None:
    own = halves(200)
    assert not owners(own.first) & owners(own.second)
    assert owners(own.first) | owners(own.second) == owners(own.whole)
    assert 60 < len(own.first) < 140
    assert (own.choosing, own.calibrating("abnormal")) == (own.first, own.second)
    assert own.first == halves(200).first != halves(200, seed=1).first
    more = halves(260)  # further films change nobody's half
    assert owners(own.first) == owners(more.first) & owners(own.whole)
    assert "one half" in own.note()
    assert f"the other ({len(own.second)} films)." in own.note()


def test_films_that_do_not_suffice_for_two_halves_serve_for_both() -> None:
    own = halves(2 * MIN_HALF)
    assert own.apart == frozenset()
    assert own.choosing == own.calibrating("abnormal") == own.whole
    assert "may be a little too sure" in own.note()
    assert f"fewer than {MIN_HALF} films" in own.note()
    assert ValidationHalves.of("made", "made", (), {}, 0).choosing == ()


def test_the_rarer_kind_of_either_half_decides() -> None:
    own = records(400)
    split = Manifest("made", own).fold(0, 2, 0, validation=0.0)
    for half in ("train", "test"):
        for positives, enough in ((MIN_HALF - 1, False), (MIN_HALF, True)):
            left = {record.id for record in split[half][:positives]}
            other = {record.id for record in split["test" if half == "train" else "train"][::2]}
            truth = np.array([float(record.id in left | other) for record in own])
            for labels in (truth, 1.0 - truth):
                found = ValidationHalves.of("made", "made", own, {"head": labels}, 0)
                assert (found.apart == {"head"}) is enough


def test_each_head_of_a_diagnosis_is_calibrated_on_a_half_where_its_films_suffice() -> None:
    data = {"made": Manifest("made", records(1200))}
    sets = LearnedSets(data, ("made",), lambda _: True)
    part = sets.part_of("made", "validation")
    truth = np.array([record.labels for record in part])
    truth[:, FRACTURE] = np.arange(len(part)) % 2
    few = 2 * MIN_HALF  # of both halves together: too few for either
    truth[few:, EDEMA] = math.nan
    truth[:few, EDEMA] = np.arange(few) % 2
    labels = {code: truth[:, CODES.index(code)] for code in ("edema", "fracture", "pneumonia")}
    found = ValidationHalves.of("made", "made", part, labels, 0)
    assert (found.apart, found.together) == ({"fracture"}, ("edema",))
    assert found.note().endswith("fewer than 20 films with or without it in a half: edema.")

    scores = np.random.default_rng(0).normal(size=truth.shape) + 2 * np.nan_to_num(truth)
    nothing = np.full_like(scores, math.nan)
    held = Predictions(part, truth, scores, nothing, nothing, nothing, None, np.zeros((len(part), 2), int))
    fits = SetCalibration.of("made", held, held, ("edema", "fracture"), np.random.default_rng(0), found)
    counts = {code: fit.positives + fit.negatives for code, fit in fits.fitted.items()}
    assert counts == {"edema": few, "fracture": len(found.second)}
    assert fits.fitted["fracture"].source == f"{len(found.second)} held-out made films"
    whole = SetCalibration.of("made", held, held, ("fracture",), np.random.default_rng(0))
    assert whole.fitted["fracture"].negatives + whole.fitted["fracture"].positives == len(part)


def test_halves_of_a_diagnosis_are_of_the_validation_part_of_each_set() -> None:
    data = {name: Manifest(name, records(1200, name)) for name in ("one", "two")}
    sets = LearnedSets(data, ("one", "two"), lambda _: True)
    found = halved_validation(sets)
    for name, own in found.items():
        assert own.whole == sets.part_of(name, "validation")
        assert own.apart == {"edema"}
        assert own.together == ()


def triage(films: int, monkeypatch: pytest.MonkeyPatch, **recipe: Any) -> TriageTask:
    """A task whose network scores a film by its label, and keeps the films it was asked for in ``asked``."""
    recipe = {"precision": "32-true", **recipe}
    task = TriageTask(TriageRecipe.checked(recipe), {"nih": Manifest("nih", records(films, "nih"))})

    def scores(_model: nn.Module, own: Sequence[Record]) -> Any:
        noise = np.random.default_rng(0).normal(size=len(own))
        return np.array([record.abnormal for record in own]) + noise

    monkeypatch.setattr(task, "_scores", scores)
    return task


def test_triage_chooses_on_one_half_and_calibrates_on_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    task = triage(1200, monkeypatch)
    own = task._halves()
    model = nn.Identity()
    assert task.evaluate(model, "validation").figures["auc"].n == len(own.first)
    asked: list[HeadFilms] = []
    plain = TriageTask._scored
    monkeypatch.setattr(TriageTask, "_scored", lambda *each: asked.append(plain(*each)) or asked[-1])
    found = task.evaluate(model, "test")
    calibration = found.extras["calibration"]
    assert calibration["positives"] + calibration["negatives"] == len(own.second)
    assert calibration["source"] == f"{len(own.second)} held-out nih films"
    assert own.note() in found.notes
    assert not owners(own.first) & {patient for films in asked for patient in films.patients.tolist()}


def test_triage_with_few_films_or_without_the_key_does_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    for task, said in (
        (triage(200, monkeypatch), True),
        (triage(1200, monkeypatch, validation_halves=False), False),
    ):
        whole = task._measured_part("validation")
        assert task.evaluate(nn.Identity(), "validation").figures["auc"].n == len(whole)
        found = task.evaluate(nn.Identity(), "test")
        calibration = found.extras["calibration"]
        assert calibration["positives"] + calibration["negatives"] == len(whole)
        assert any("may be a little too sure" in note for note in found.notes) is said


def test_a_set_without_validation_patients_is_measured_and_not_calibrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = triage(200, monkeypatch)
    task.data = {"nih": Manifest("nih", tuple(task._sets.part_of("nih", "test")))}
    found = task.evaluate(nn.Identity(), "test")
    assert found.figures["auc"].n > 0
    assert "calibration" not in found.extras
    assert any(note.startswith("No calibration") for note in found.notes)


def test_cards_that_are_older_than_the_key_are_measured_as_they_were_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their epoch was chosen on all validation patients, so that no half is apart from the choice."""
    card = SimpleNamespace(name="triage", content={"recipe": {"size": 64, "precision": "32-true"}})
    asked: list[Any] = []
    monkeypatch.setattr(command, "read_card", lambda _path: card)

    def prepare(name: str, _sources: Any, settings: Sequence[str]) -> Any:
        asked.append(load_recipe(name).recipe_type.from_settings(settings))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "prepare", prepare)
    for stated in ({}, {"validation_halves": True}):
        card.content["recipe"] |= json.loads(json.dumps(stated))
        with pytest.raises(KeyboardInterrupt):
            command.finished("triage", tmp_path / "triage.safetensors", {}, [])
    assert [recipe.validation_halves for recipe in asked] == [False, True]
    assert TriageRecipe.from_settings([]).validation_halves
    assert not DiagnosisRecipe.from_settings([]).validation_halves
