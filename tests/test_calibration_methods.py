"""Methods of calibration, operating points and figures of reliability, on scores of known curves."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from classifiers.calibration import Calibration, fit_line
from classifiers.calibration_methods import HeadFilms, choose, cross_fitted, fit, fit_curve, log_loss
from classifiers.operating_points import YOUDEN, OperatingRule
from classifiers.reliability import (
    Judged,
    brier,
    ece_mass,
    ece_width,
    plot_reliability,
    reliability_figure,
    slope_and_intercept,
)
from classifiers.resampling import fit_lines
from suite.errors import InputError
from tests.calibration_house import INTERCEPT, SLOPE, Values, head_films, rng

# methods


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_known_curve_is_recovered(method: str) -> None:
    calibration = fit_curve(head_films(20_000), method)  # type: ignore[arg-type]
    for score in (-3.0, 0.0, 2.0):
        assert calibration.probability(score) == pytest.approx(expit(SLOPE * score + INTERCEPT), abs=0.04)


def test_temperature_keeps_a_score_of_nothing_at_one_half() -> None:
    generator = np.random.default_rng(1)
    score = generator.normal(0.0, 2.0, 8000)
    truth = (generator.random(8000) < expit(0.4 * score)).astype(float)
    calibration = fit_curve(HeadFilms(truth, score, np.arange(8000).astype(str)), "temperature")
    assert calibration.slope == pytest.approx(0.4, abs=0.03)
    assert calibration.probability(0.0) == 0.5


def test_a_curve_follows_what_no_line_can() -> None:
    """Half of all films with a score above 0 have the finding, whatever the score; none below."""
    generator = np.random.default_rng(2)
    score = generator.normal(0.0, 2.0, 6000)
    truth = ((score > 0) & (generator.random(6000) < 0.5)).astype(float)
    films = HeadFilms(truth, score, np.arange(6000).astype(str))
    method, why = choose(films, rng())
    assert method == "isotonic"
    assert "log loss on other patients" in why
    curve = fit_curve(films, "isotonic")
    assert curve.probability(4.0) == pytest.approx(0.5, abs=0.06)
    assert curve.probability(-4.0) < 0.03


def test_few_films_are_scaled_by_platt() -> None:
    assert choose(head_films(300), rng())[0] == "platt"


def test_an_isotonic_curve_rises_and_survives_the_card() -> None:
    calibration = fit(head_films(600), "isotonic", YOUDEN, "here", rng())
    probabilities = calibration.probabilities(np.linspace(-8, 8, 101))
    assert (np.diff(probabilities) >= 0).all()
    assert 0.0 < probabilities[0] < probabilities[-1] < 1.0
    assert Calibration.from_json(json.loads(json.dumps(calibration.as_json()))) == calibration
    for score in (-5.0, -0.3, 0.0, 1.0, 5.0):
        low, high = calibration.interval(score)
        assert low <= calibration.probability(score) <= high


def test_many_draws_at_once_are_the_fits_one_by_one() -> None:
    films = head_films(60)
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=4).astype(float)
    lines = fit_lines(films.score, films.truth, weights)
    for line, weight in zip(lines, weights, strict=True):
        rows = np.repeat(np.arange(60), weight.astype(int))
        assert line == pytest.approx(fit_line(films.score[rows], films.truth[rows]), abs=1e-4)


def test_the_interval_from_patients_holds_the_truth_about_95_times_in_100() -> None:
    """Four films a patient with the same score and label: taken for four patients they are four witnesses."""
    truth = expit(SLOPE * 0.7 + INTERCEPT)
    covered = plain = 0
    for seed in range(40):
        one = head_films(90, seed)
        films = HeadFilms(*(np.repeat(each, 4) for each in one))
        low, high = fit(films, "platt", YOUDEN, "", np.random.default_rng(seed)).interval(0.7)
        covered += low <= truth <= high
        strangers = films._replace(patients=np.arange(360).astype(str))
        low, high = fit(strangers, "platt", YOUDEN, "", np.random.default_rng(seed)).interval(0.7)
        plain += low <= truth <= high
    # binomial standard deviation: 3 %
    assert covered / 40 >= 0.85
    assert plain < covered


def test_no_film_is_judged_by_a_calibration_that_saw_its_patient() -> None:
    seen: list[set[str]] = []

    def fitted(films: HeadFilms) -> Calibration:
        seen.append(set(films.patients))
        return replace(fit_curve(films, "platt"), slope=1.0, intercept=float(len(seen)))

    films = head_films(200, films_each=4)
    probability, suggested = cross_fitted(films, fitted, rng())
    assert len(seen) == 5
    for fold, others in enumerate(seen, start=1):
        judged = np.isclose(logit(probability), films.score + fold)
        assert judged.any()
        assert not set(films.patients[judged]) & others
    assert (suggested == (probability >= 0.5)).all()


# operating points


def roc(cut: float, films: HeadFilms, probability: Values) -> tuple[float, float]:
    suggested = probability >= cut
    return float(suggested[films.truth > 0].mean()), float((~suggested)[films.truth == 0].mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95])
def test_an_operating_point_keeps_what_its_rule_promises(seed: int, wanted: float) -> None:
    films = head_films(150, seed)
    probability = expit(films.score.round(1))  # with ties
    cut = OperatingRule("sensitivity", wanted).cut(films.truth, probability)
    sensitivity, specificity = roc(cut, films, probability)
    assert sensitivity >= wanted
    higher = probability[probability > cut + 1e-9]
    rivals = [roc(each, films, probability) for each in higher]
    assert not [each for each in rivals if each[0] >= wanted and each[1] > specificity]
    cut = OperatingRule("specificity", wanted).cut(films.truth, probability)
    assert roc(cut, films, probability)[1] >= wanted


def test_no_cut_is_specific_enough_when_the_top_film_is_wrong() -> None:
    truth, probability = np.array([0.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.4])
    cut = OperatingRule("specificity", 0.99).cut(truth, probability)
    assert cut == pytest.approx(0.95)


@pytest.mark.parametrize("text", ["youden", "sensitivity=0.95", "specificity=0.9", " Youden "])
def test_rules_that_are_known(text: str) -> None:
    assert OperatingRule.parse(text).kind in text.lower()


@pytest.mark.parametrize("text", ["", "best", "sensitivity", "sensitivity=1", "specificity=0", "youden=0.5",
                                  "sensitivity=much", "sensitivity=nan"])  # fmt: skip
def test_rules_that_are_not(text: str) -> None:
    with pytest.raises(InputError, match="use youden, sensitivity="):
        OperatingRule.parse(text)


# figures


def test_errors_by_hand() -> None:
    """Two bins of equal width: 0.1, 0.3 and 0.45 with one positive (said .85, came 1), and 0.9 (gap .1)."""
    truth, probability = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.3, 0.45, 0.9])
    assert ece_width(truth, probability, bins=2) == pytest.approx((abs(0.85 - 1.0) + 0.1) / 4)
    assert ece_mass(truth, probability, bins=2) == pytest.approx((0.6 + 0.35) / 4)
    assert brier(truth, probability) == pytest.approx((0.01 + 0.49 + 0.2025 + 0.01) / 4)


def test_slope_and_intercept_tell_boasting() -> None:
    films = head_films(20_000)
    slope, intercept = slope_and_intercept(films.truth, expit(films.score))
    assert (slope, intercept) == (pytest.approx(SLOPE, abs=0.05), pytest.approx(INTERCEPT, abs=0.05))


def test_certainty_at_the_ends_is_counted_and_drawn(tmp_path: Path) -> None:
    truth, probability = np.array([0.0, 1.0] * 10), np.array([0.0, 1.0] * 10)
    assert ece_width(truth, probability) == 0.0
    judged = Judged(truth, probability, probability > 0.5, [str(n) for n in range(20)])
    figures = judged.figures(rng(), draws=50)
    assert figures["sensitivity"].value == figures["specificity"].value == 1.0
    plot_reliability({"edema": {"after": judged}}, tmp_path / "diagram.png")
    assert (tmp_path / "diagram.png").stat().st_size > 2000


def test_a_diagrams_names_keep_their_colours_and_no_legend_lies_over_a_curve() -> None:
    truth, probability = np.array([0.0, 1.0] * 50), np.linspace(0.01, 0.99, 100)
    judged = Judged(truth, probability, probability > 0.5, [str(n) for n in range(100)])
    picture = reliability_figure(
        {"edema": {"before": judged, "after": judged}, "lung_lesion": {"after": judged}}
    )
    picture.draw_without_rendering()
    edema, lesion = picture.axes
    assert lesion.get_title() == "lung lesion (n = 100)"
    (before, after), (alone,) = (
        [bars.lines[0].get_color() for bars in axes.containers] for axes in (edema, lesion)
    )
    assert before != after == alone
    [legend] = picture.legends
    assert [text.get_text() for text in legend.get_texts()] == ["before", "after"]
    assert not any(axes.bbox.overlaps(legend.get_window_extent()) for axes in picture.axes)


def test_a_bins_bar_is_the_interval_of_its_share() -> None:
    """Wilson's interval of 2 of 10 is 0.057 to 0.510 (Newcombe 1998's form, by hand)."""
    judged = Judged(
        np.array([1.0] * 2 + [0.0] * 8), np.full(10, 0.3), np.zeros(10, np.bool_), list("abcdefghij")
    )
    [bars] = reliability_figure({"edema": {"after": judged}}, bins=1).axes[0].containers
    [segment] = bars.lines[2][0].get_segments()
    assert segment[:, 1] == pytest.approx([0.0567, 0.5098], abs=1e-3)


@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_films_with_one_kind_of_label_have_no_line_but_every_other_figure(kind: float) -> None:
    """A test part may hold none with the finding, or none without it."""
    probability = np.full(20, 0.25)
    judged = Judged(np.full(20, kind), probability, probability > 0.5, [str(n) for n in range(20)])
    figures = judged.figures(rng(), draws=50)
    assert math.isnan(figures["slope"].value)
    assert math.isnan(figures["slope"].low)
    assert math.isnan(figures["intercept"].high)
    assert figures["brier"].value == pytest.approx((0.25 - kind) ** 2)
    assert figures["ece_width"].low == pytest.approx(abs(0.25 - kind))
    missing = "sensitivity" if kind == 0.0 else "specificity"
    assert math.isnan(figures[missing].value)


def test_log_loss_survives_certainty() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-6))
