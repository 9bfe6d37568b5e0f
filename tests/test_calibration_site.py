"""The networks' calibrators on a site's scores: what changes in a card, and what is left as it was."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from classifiers.calibration import Calibration
from classifiers.calibration_methods import HeadFilms
from classifiers.recalibration import DiagnosisRecalibrator, TriageRecalibrator
from suite.calibration.contract import ABNORMAL, CalibrationPlan, ScoredFilms
from suite.errors import InputError
from suite.findings import CODES
from tests import untrained_weights
from tests.calibration_house import head_films, install_cards


def scored(films: HeadFilms, heads: tuple[str, ...]) -> ScoredFilms:
    """The same films for each of ``heads``; nothing known of the others."""
    nothing = np.full(len(films.score), math.nan)
    every = (ABNORMAL, *CODES)
    return ScoredFilms(
        tuple(str(index) for index in range(len(films.score))),
        tuple(films.patients),
        {head: films.truth if head in heads else nothing for head in every},
        dict.fromkeys(every, films.score),
    )


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cards(tmp_path, monkeypatch)


@pytest.mark.usefixtures("cards")
def test_what_boasted_becomes_honest_and_the_rest_is_kept() -> None:
    films = scored(head_films(1500), ("cardiomegaly", "edema", "fracture"))
    result = DiagnosisRecalibrator(CalibrationPlan(source="our films")).recalibrate(films)
    reports = {report.head: report for report in result.heads}
    assert tuple(reports) == CODES
    cardiomegaly, edema = reports["cardiomegaly"], reports["edema"]
    assert cardiomegaly.before["ece_width"].value > 0.1
    assert cardiomegaly.after["ece_width"].value < 0.04
    assert cardiomegaly.after["brier"].value < cardiomegaly.before["brier"].value
    assert cardiomegaly.after["slope"].value == pytest.approx(1.0, abs=0.15)
    assert not edema.before
    assert edema.after["ece_width"].value < 0.04
    assert "not trained" in reports["fracture"].kept
    assert "kept as it was: 0 films with it" in reports["pneumonia"].kept
    heads = result.card["heads"]
    assert (
        heads["cardiomegaly"]["calibration"]["source"]
        == heads["edema"]["calibration"]["source"]
        == "our films"
    )
    assert heads["pneumonia"]["calibration"] == untrained_weights.CALIBRATION.as_json()
    assert heads["edema"]["no_probability"] is None  # the site's films have given it one
    assert heads["edema"]["calibrated_on"] == "our films"
    assert heads["fracture"] == {"trained": False, "calibration": None}
    assert set(result.card["recalibration"]["kept"]) == set(CODES) - {"cardiomegaly", "edema"}


@pytest.mark.usefixtures("cards")
def test_few_films_or_films_in_the_wrong_order_leave_a_head_as_it_was() -> None:
    few = head_films(40)
    lonely = HeadFilms(few.truth, few.score, np.array(["one"] * 40))
    backwards = HeadFilms(few.truth, -few.score, few.patients)
    for films, word in ((lonely, "of 5 patients"), (backwards, "no better than chance")):
        result = TriageRecalibrator(CalibrationPlan()).recalibrate(scored(films, (ABNORMAL,)))
        assert word in result.heads[0].kept
        assert result.card["calibration"] == untrained_weights.CALIBRATION.as_json()
        assert result.draw is None


@pytest.mark.usefixtures("cards")
def test_a_sensitivity_asked_for_is_kept_and_in_the_card() -> None:
    films = scored(head_films(800, 3), (ABNORMAL,))
    plan = CalibrationPlan("sensitivity=0.95", source="ours")
    result = TriageRecalibrator(plan).recalibrate(films)
    calibration = Calibration.from_json(result.card["calibration"])
    assert calibration.rule == "sensitivity 0.95"
    suggested = calibration.probabilities(films.scores[ABNORMAL]) >= calibration.operating_point
    assert suggested[films.labels[ABNORMAL] == 1].mean() >= 0.95
    # on patients it was not fitted on: binomial standard deviation 1.4 %
    assert result.heads[0].after["sensitivity"].value == pytest.approx(0.95, abs=0.05)


@pytest.mark.usefixtures("cards")
def test_the_same_films_give_the_same_card() -> None:
    films = scored(head_films(200), (ABNORMAL,))
    first, second = (TriageRecalibrator(CalibrationPlan(seed=4)).recalibrate(films) for _ in range(2))
    assert first.card == second.card


@pytest.mark.parametrize("plan", [CalibrationPlan("best"), CalibrationPlan(method="guess")])
def test_a_plan_is_checked_before_a_film_is_read(plan: CalibrationPlan) -> None:
    with pytest.raises(InputError, match="is not known; use"):
        TriageRecalibrator(plan)
