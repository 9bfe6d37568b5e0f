"""Which sets a classifier learns from and is measured on, and that the two are kept apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from classifiers.diagnosis.evaluation import measured
from classifiers.diagnosis.predictions import Predictions
from classifiers.gate.training import GateRecipe, GateTask
from classifiers.learned_sets import LearnedSets, doubts
from classifiers.triage.training import TriageRecipe, TriageTask
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError
from suite.findings import CODES
from suite.training.intervals import auc
from tests import made_datasets

EDEMA = CODES.index("edema")


def manifest(name: str, films: int = 40, start: int = 0) -> Manifest:
    """One film a patient, by turns normal and abnormal."""
    numbers = range(start, start + films)
    return Manifest(
        name,
        tuple(
            Record(f"{name}{n}", f"{name}-{n}", FilmFile(Path(f"{name}{n}.png")), abnormal=float(n % 2))
            for n in numbers
        ),
    )


def given(*names: str) -> dict[str, Manifest]:
    return {name: manifest(name) for name in names}


def learned(learn_from: str, *names: str, finished: bool = False, limit: int = 0) -> LearnedSets:
    return LearnedSets.of(
        "triage", learn_from, given(*names), lambda _: True, split_seed=0, limit=limit, finished=finished
    )


# which sets


def test_sets_are_learned_from_as_named_and_the_others_stand_beside() -> None:
    sets = learned("phantom, nih", "nih", "openi", "phantom")
    assert (sets.names, sets.others) == (("phantom", "nih"), ("openi",))
    assert learned("", "openi", "nih").names == ("nih", "openi")
    with pytest.raises(RecipeError, match="triage learns from nih, which is not given; add --data nih"):
        learned("nih", "openi")


def test_finished_weights_are_measured_on_whatever_is_given() -> None:
    """The recipe of their card names sets that nobody has to have."""
    sets = learned("nih,phantom", "nih", "openi", finished=True)
    assert (sets.names, sets.others) == (("nih",), ("openi",))
    assert learned("nih", "openi", "site", finished=True).names == ("openi", "site")


def test_the_limit_is_of_training_records_alone() -> None:
    sets = learned("", "nih", "openi", limit=7)
    whole = learned("", "nih", "openi")
    assert len(sets.part("train")) == 7
    for name in ("validation", "test"):
        assert sets.part(name) == whole.part(name)  # type: ignore[arg-type]


# kept apart


def test_two_sets_of_the_same_films_are_not_learned_from_and_measured_on() -> None:
    words = "nih and siim show the same ChestX-ray14 films under other names .* give one of them"
    with pytest.raises(DatasetError, match=words):
        learned("", "nih", "siim").check_apart()
    with pytest.raises(DatasetError, match=words):
        learned("nih", "nih", "siim").check_apart()
    learned("phantom", "phantom", "nih", "siim").check_apart()  # neither is learned from
    learned("", "nih", "jsrt").check_apart()


def test_a_film_of_two_sets_is_named() -> None:
    data = {"nih": manifest("nih"), "site": manifest("site")}
    both = Record("mine", "site-mine", data["nih"].records[3].frontal)
    data["site"] = Manifest("site", (*data["site"].records, both))
    sets = LearnedSets(data, ("nih",), lambda _: True)
    with pytest.raises(DatasetError, match=r"nih3\.png: is a film of both site and nih, which are split"):
        sets.check_apart()
    task = TriageTask(TriageRecipe(), data)
    with pytest.raises(DatasetError, match="leave it out of one of them"):
        task.training_set()


def test_figures_on_films_that_weights_may_know_are_doubted() -> None:
    card = {"learned_from": ["nih", "phantom"]}
    (sentence,) = doubts(card, ["openi", "siim"])
    assert sentence.startswith("siim shows ChestX-ray14 films under other names, as nih does")
    assert doubts(card, ["nih", "phantom"]) == []
    assert doubts(None, ["siim"]) == []
    assert len(doubts({"data": {"jsrt": 247}}, ["scr"])) == 1  # cards of before name no more than their data


# what stands beside


def predictions(name: str, seed: int, films: int = 300) -> Predictions:
    """Scores that know edema a little; nothing is known of the other findings."""
    rng = np.random.default_rng(seed)
    truth = np.full((films, len(CODES)), math.nan)
    truth[:, EDEMA] = rng.random(films) < 0.3
    scores = rng.normal(size=truth.shape)
    scores[:, EDEMA] += 1.5 * seed * truth[:, EDEMA]
    nothing = np.full_like(truth, math.nan)
    records = tuple(Record(f"{name}{n}", f"{name}-{n}", FilmFile(Path(f"{n}.png"))) for n in range(films))
    return Predictions(records, truth, scores, nothing, nothing, nothing, None, np.full((films, 2), 64))


def test_a_set_that_is_measured_on_only_has_its_own_figures_and_changes_no_other() -> None:
    positives = {code: {"nih": 100} for code in CODES}
    tested, held_out = {"nih": predictions("nih", 1)}, {"nih": predictions("nih", 2)}
    beside = {"openi": predictions("openi", 3)}

    def figures(**more: dict[str, Predictions]) -> dict[str, float]:
        return dict(measured(tested, held_out, positives, size=64, seed=0, shown=None, **more).scalars())

    alone, both = figures(beside={}), figures(beside=beside)
    own = beside["openi"]
    assert both["openi_auc_edema"] == pytest.approx(auc(own.truth[:, EDEMA], own.scores[:, EDEMA]))
    assert not any(name.startswith("openi") for name in alone)
    assert {name: both[name] for name in alone} == pytest.approx(alone, nan_ok=True)


# the gate


def test_the_gates_card_names_the_sets_it_learned_from() -> None:
    """Films from papers are for testing, whatever else is given."""
    task = GateTask(GateRecipe(limit=5), given("nih", "covid-lungs"))
    assert task.learned_from() == ("nih",)
    card = task.describe()
    assert "covid-lungs" not in card["licence"]
    assert [source.split(":")[0] for source in card["sources"]] == ["nih", "photographs"]
    whole = GateTask(GateRecipe(), given("nih"))
    assert len(task.records("nih", "train")) == 5
    assert task.records("nih", "test") == whole.records("nih", "test")


def test_the_gate_is_not_measured_on_frontal_films_of_patients_whose_laterals_taught_it(
    tmp_path: Path,
) -> None:
    pairs = open_dataset("frontal-lateral", made_datasets.frontal_lateral(tmp_path, count=20))
    task = GateTask(GateRecipe(), {"frontal-lateral": pairs})
    taught = {record.patient_id for record in task.records("frontal-lateral", "train")}
    shown = {picture.patient for picture in task._outside(128)}
    assert taught
    assert shown
    assert not shown & taught


def test_both_networks_are_measured_by_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films lie AP and PA by turns; the network knows the PA ones alone."""
    each = predictions("nih", 3)
    seen = [
        replace(record, attributes={"view": ("AP", "PA")[n % 2]}) for n, record in enumerate(each.records)
    ]
    scores = np.where(np.arange(len(seen))[:, None] % 2, each.scores, 0.0)
    guessed = replace(each, records=tuple(seen), scores=scores)
    positives = {code: {"nih": 100} for code in CODES}
    found = measured(
        {"nih": guessed}, {"nih": predictions("nih", 2)}, positives, beside={}, size=64, seed=0, shown=None
    ).by_subgroup
    assert list(found) == ["nih, view: AP", "nih, view: PA"]
    assert found["nih, view: AP"]["auc_edema"].value == 0.5
    assert found["nih, view: PA"]["auc_edema"].value > 0.9
    assert math.isnan(found["nih, view: PA"]["auc_fracture"].value)

    films = [replace(record, abnormal=float(n % 4 > 1)) for n, record in enumerate(seen)]
    task = TriageTask(TriageRecipe(), {"nih": Manifest("nih", tuple(films))})

    def scored(_: object, records: Sequence[Record]) -> npt.NDArray[np.float64]:
        return np.array([r.abnormal if r.attributes["view"] == "PA" else 0.0 for r in records])

    monkeypatch.setattr(task, "_scores", scored)
    figures = task.evaluate(torch.nn.Identity(), "test").by_subgroup
    assert figures["nih, view: AP"]["auc"].value == 0.5
    assert figures["nih, view: PA"]["auc"].value == 1.0
