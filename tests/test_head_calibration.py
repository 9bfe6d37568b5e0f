"""Calibration set by set: fitted and measured on films of one set, and shown only where it is a real one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from classifiers.diagnosis.head_calibration import (
    COMPUTED_ONLY,
    UNCALIBRATED,
    UNORDERED,
    HeadCalibrations,
    SetCalibration,
    figures_by_card,
    is_computed_only,
    unlearned_heads,
)
from classifiers.diagnosis.predictions import Predictions
from classifiers.reliability import BeforeAfter, ece_width
from suite.datasets.manifest import Record
from suite.findings import CODES
from suite.training.evaluation import Figure

EDEMA, FRACTURE = CODES.index("edema"), CODES.index("fracture")
CURVES = {"nih": (0.5, -1.5), "phantom": (2.0, 1.0)}
"""Slope and intercept of the truth on the score: the two sets disagree."""


def predictions(name: str, films: int, seed: int, known: tuple[int, ...] = (EDEMA, FRACTURE)) -> Predictions:
    """Labels drawn from the set's own logistic curve, of the heads in ``known``; two films a patient."""
    rng = np.random.default_rng(seed)
    slope, intercept = CURVES[name]
    scores = rng.normal(0.0, 1.5, (films, len(CODES)))
    truth = np.full_like(scores, math.nan)
    for index in known:
        truth[:, index] = rng.random(films) < expit(slope * scores[:, index] + intercept)
    nothing = np.full_like(scores, math.nan)
    records = tuple(Record(f"{name}-{row}", f"{name}-{row // 2}", Path(f"{row}.png")) for row in range(films))
    shapes = np.full((films, 2), 64)
    return Predictions(records, truth, scores, nothing, nothing, nothing, None, shapes)


def of_set(name: str, known: tuple[int, ...] = (EDEMA, FRACTURE), held: int = 1500) -> SetCalibration:
    codes = ("edema", "fracture")
    held_out, tested = predictions(name, held, 1, known), predictions(name, 1500, 2, known)
    return SetCalibration.of(name, held_out, tested, codes, np.random.default_rng(0))


def counts(**by_set: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Training positives of all heads: those named by set, the others without any."""
    return {code: dict(by_set.get(code, {"nih": 0, "phantom": 0})) for code in CODES}


@pytest.fixture(scope="module")
def both() -> HeadCalibrations:
    """Edema has real and computed films; fractures, which NIH never labels, have computed ones only."""
    positives = counts(edema={"nih": 300, "phantom": 400}, fracture={"nih": 0, "phantom": 500})
    return HeadCalibrations(positives, [of_set("nih", (EDEMA,)), of_set("phantom")])


def test_each_set_is_measured_by_the_calibration_fitted_on_its_own_films(both: HeadCalibrations) -> None:
    figures = both.figures(np.random.default_rng(0))
    for name, code in (("nih", "edema"), ("phantom", "edema"), ("phantom", "fracture")):
        assert figures[f"{name}_ece_{code}"].value < 0.04
        assert figures[f"{name}_ece_before_{code}"].value > 0.1
        assert figures[f"{name}_brier_{code}"].value < figures[f"{name}_brier_before_{code}"].value
        assert figures[f"{name}_slope_{code}"].value == pytest.approx(1.0, abs=0.25)
        assert figures[f"{name}_ece_{code}"].n == 1500
    assert "nih_ece_fracture" not in figures  # no film of the set knows
    # judged by the other set's curve the same films would be far off
    nih, phantom = both.sets
    films = phantom.judged["edema"].after.truth
    swapped = nih.fitted["edema"].probabilities(predictions("phantom", 1500, 2).scores[:, EDEMA])
    assert ece_width(films, swapped) > 0.15


def test_the_pooled_error_is_that_of_all_heads_films_together(both: HeadCalibrations) -> None:
    judged = [both.sets[1].judged[code].after for code in ("edema", "fracture")]
    truth = np.concatenate([each.truth for each in judged])
    said = np.concatenate([each.probability for each in judged])
    figure = both.figures(np.random.default_rng(0))["phantom_ece"]
    assert figure.value == pytest.approx(ece_width(truth, said))
    assert figure.n == 3000
    assert 0.0 < figure.low < figure.high  # a draw of few films is off by chance: the value may lie below


def test_films_of_a_patient_stay_together_when_heads_are_pooled() -> None:
    parts = tuple(of_set("phantom").judged.values())
    assert BeforeAfter.joined(parts).after.patients[:3] == ["phantom-0", "phantom-0", "phantom-1"]


def test_the_shown_probability_is_the_real_sets_and_a_computed_head_has_none(both: HeadCalibrations) -> None:
    heads = both.heads()
    edema, fracture = heads["edema"], heads["fracture"]
    assert edema["training_positives"] == 700
    assert edema["training_positives_by_set"] == {"nih": 300, "phantom": 400}
    assert edema["calibrated_on"] == "nih"
    assert edema["calibration"]["source"] == "1500 held-out nih films"
    assert edema["no_probability"] is None
    assert fracture["trained"] is True
    assert fracture["training_positives_by_set"] == {"nih": 0, "phantom": 500}
    assert (fracture["calibration"], fracture["calibrated_on"]) == (None, None)
    assert fracture["no_probability"] == COMPUTED_ONLY
    figures = both.figures(np.random.default_rng(0))
    assert figures["ece_edema"].value == figures["nih_ece_edema"].value
    assert figures["ece"].value == pytest.approx(figures["nih_ece_edema"].value)
    assert "ece_fracture" not in figures


def test_a_card_is_judged_by_its_own_calibrations_whatever_the_set_would_give(both: HeadCalibrations) -> None:
    """Readers of phantoms would see probabilities fitted to NIH, which are far off there."""
    heads, measured = both.heads(), predictions("phantom", 1500, 2)
    figures = figures_by_card(heads, "phantom", measured, np.random.default_rng(0))
    truth, said = (
        measured.truth[:, EDEMA],
        both.sets[0].fitted["edema"].probabilities(measured.scores[:, EDEMA]),
    )
    assert figures["phantom_shown_ece_edema"].value == pytest.approx(ece_width(truth, said))
    assert figures["phantom_shown_brier_edema"].value == pytest.approx(((said - truth) ** 2).mean())
    assert figures["phantom_shown_ece_edema"].value > 0.15
    assert both.sets[1].judged["edema"].after.figures(np.random.default_rng(0))["ece_width"].value < 0.04
    assert figures["phantom_shown_ece"].n == 1500  # fractures are known here, and have no probability
    assert not [name for name in figures if "fracture" in name or "before" in name]
    assert (
        figures_by_card(
            {code: {"calibration": None} for code in CODES}, "phantom", measured, np.random.default_rng(0)
        )
        == {}
    )


def test_too_few_real_films_are_not_made_up_for_by_computed_ones() -> None:
    positives = counts(edema={"nih": 60, "phantom": 400})
    heads = HeadCalibrations(positives, [of_set("nih", (EDEMA,), held=8), of_set("phantom")]).heads()
    assert heads["edema"]["calibration"] is None
    assert heads["edema"]["no_probability"] == UNCALIBRATED


def test_a_head_whose_score_runs_against_the_finding_has_no_probability() -> None:
    """Its curve would fall: more evidence, less probable. The reason is not that films are few."""
    held = predictions("nih", 1500, 1, (EDEMA,))
    backwards = replace(held, scores=-held.scores)
    tested = predictions("nih", 1500, 2, (EDEMA,))
    own = SetCalibration.of("nih", backwards, tested, ("edema",), np.random.default_rng(0))
    assert (dict(own.fitted), dict(own.judged), own.unordered) == ({}, {}, {"edema"})
    head = HeadCalibrations(counts(edema={"nih": 300, "phantom": 0}), [own]).heads()["edema"]
    assert (head["trained"], head["calibration"], head["no_probability"]) == (True, None, UNORDERED)


def test_a_head_that_was_not_trained_has_neither_calibration_nor_reason() -> None:
    heads = HeadCalibrations(
        counts(edema={"nih": 19, "phantom": 0}), [of_set("nih"), of_set("phantom")]
    ).heads()
    assert heads["edema"]["trained"] is False
    assert (heads["edema"]["calibration"], heads["edema"]["no_probability"]) == (None, None)


@pytest.mark.parametrize(
    ("by_set", "expected"),
    [
        ({"nih": 0, "phantom": 30}, True),
        ({"nih": 1, "phantom": 30}, False),
        ({"phantom": 0}, False),
        ({"site": 9}, False),
    ],
)
def test_which_heads_learned_from_computed_films_only(by_set: dict[str, int], expected: bool) -> None:
    assert is_computed_only(by_set) is expected


def test_every_set_has_its_reliability_diagram(both: HeadCalibrations, tmp_path: Path) -> None:
    pictures = both.pictures()
    assert set(pictures) == {"reliability-nih.png", "reliability-phantom.png"}
    for name, draw in pictures.items():
        draw(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("low", "films", "gone"),
    [(0.46, 1500, True), (0.58, 1500, False), (0.46, 25, False), (math.nan, 1500, True)],
)
def test_a_head_that_tells_nothing_of_enough_films_is_not_trained(low: float, films: int, gone: bool) -> None:
    """Fractures: an interval that holds 0.5 says that the head has not learned; few films say nothing."""
    measured = {"phantom": predictions("phantom", films, 2)}
    areas = {"phantom": {f"auc_{code}": Figure(0.6, low, 0.7) for code in CODES}}
    found = unlearned_heads(measured, areas)
    assert ("fracture" in found) is gone
    assert "pneumonia" not in found  # nobody knows it here
    heads = HeadCalibrations(counts(fracture={"nih": 0, "phantom": 500}), [], found).heads()
    assert heads["fracture"]["trained"] is not gone
    assert heads["fracture"]["training_positives"] == 500
