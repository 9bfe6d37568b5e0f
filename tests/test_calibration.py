"""Calibration against logistic curves that are known, intervals that shrink, thresholds by brute force."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from classifiers.calibration import MIN_POSITIVES, Calibration, state_of
from classifiers.calibration_methods import HeadFilms, fit_calibration, fit_curve
from classifiers.operating_points import youden
from classifiers.reliability import ece_mass

Values = npt.NDArray[np.float64]
SLOPE, INTERCEPT = 1.7, -0.8


def sample(count: int, seed: int = 0) -> tuple[Values, Values]:
    """Labels drawn from a known logistic curve of the scores."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, 1.5, count)
    return (rng.random(count) < expit(SLOPE * scores + INTERCEPT)).astype(float), scores


def films(labels: Values, scores: Values, films_each: int = 1) -> HeadFilms:
    """Known films of patients with ``films_each`` of them."""
    return HeadFilms.known(labels, scores, [f"p{index // films_each}" for index in range(len(labels))])


def calibrated(of: HeadFilms) -> Calibration:
    calibration = fit_calibration(of, "a sample", np.random.default_rng(0))
    assert calibration is not None
    return calibration


def fitted(count: int, seed: int = 0) -> Calibration:
    return calibrated(films(*sample(count, seed)))


def test_a_known_logistic_curve_is_recovered() -> None:
    calibration = fitted(20_000)
    assert calibration.slope == pytest.approx(SLOPE, abs=0.06)
    assert calibration.intercept == pytest.approx(INTERCEPT, abs=0.06)
    for score in (-2.0, 0.0, 1.0):
        assert calibration.probability(score) == pytest.approx(expit(SLOPE * score + INTERCEPT), abs=0.015)
    assert calibration.positives + calibration.negatives == 20_000


def test_the_fit_is_scikit_learns_up_to_platts_smoothing() -> None:
    from sklearn.linear_model import LogisticRegression

    labels, scores = sample(5000, 1)
    expected = LogisticRegression(C=1e6).fit(scores[:, None], labels)
    calibration = calibrated(films(labels, scores))
    assert calibration.slope == pytest.approx(float(expected.coef_[0, 0]), abs=0.01)
    assert calibration.intercept == pytest.approx(float(expected.intercept_[0]), abs=0.01)


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    truth = expit(SLOPE * 0.7 + INTERCEPT)
    intervals = [fitted(150, seed).interval(0.7) for seed in range(200)]
    covered = sum(low <= truth <= high for low, high in intervals)
    # binomial standard deviation: 1.5 %
    assert 0.90 <= covered / 200 <= 0.99


def test_films_of_one_patient_are_one_witness() -> None:
    """Four films a patient with one label and one score tell as much as one; of four patients, more."""
    one = films(*sample(200))
    four = HeadFilms(*(np.repeat(each, 4) for each in one))
    apart = four._replace(patients=np.arange(800).astype(str))

    def width(of: HeadFilms) -> float:
        low, high = calibrated(of).interval(0.5)
        return high - low

    assert width(four) == pytest.approx(width(one), rel=0.2)
    assert width(four) / width(apart) == pytest.approx(2.0, rel=0.25)


def test_the_interval_shrinks_with_the_root_of_the_number_of_films() -> None:
    def width(count: int) -> float:
        low, high = fitted(count).interval(0.5)
        return high - low

    assert width(100) > width(400) > width(1600) > width(6400)
    assert width(400) / width(6400) == pytest.approx(4.0, rel=0.25)  # 200 draws know a spread to 5 %


@settings(max_examples=50, deadline=None)
@given(st.floats(-30, 30))
def test_the_interval_is_around_the_probability(score: float) -> None:
    calibration = CALIBRATIONS[0]
    low, high = calibration.interval(score)
    assert 0.0 <= low <= calibration.probability(score) <= high <= 1.0


CALIBRATIONS = [fitted(60)]


def test_separable_scores_do_not_give_certainty() -> None:
    labels = np.array([0.0] * 10 + [1.0] * 10)
    calibration = calibrated(films(labels, labels * 20 - 10))
    # Platt: the best that ten films of a kind can say is 11 / 12
    assert calibration.probability(10.0) == pytest.approx(11 / 12, abs=0.01)
    assert calibration.probability(-10.0) == pytest.approx(1 / 12, abs=0.01)
    assert math.isfinite(calibration.slope)


@pytest.mark.parametrize(
    ("positives", "negatives"), [(MIN_POSITIVES - 1, 50), (50, MIN_POSITIVES - 1), (0, 0)]
)
def test_too_few_films_of_a_kind_give_no_probability(positives: int, negatives: int) -> None:
    labels = np.array([0.0] * negatives + [1.0] * positives)
    of = films(labels, np.arange(len(labels), dtype=float))
    assert fit_calibration(of, "a sample", np.random.default_rng(0)) is None


def test_just_enough_films_do_of_as_many_patients() -> None:
    labels = np.array([0.0, 1.0] * MIN_POSITIVES)
    scores = np.arange(len(labels), dtype=float)
    assert calibrated(films(labels, scores)).positives == MIN_POSITIVES
    assert fit_calibration(films(labels, scores, films_each=3), "few", np.random.default_rng(0)) is None


@pytest.mark.parametrize("outlier", [0.0, 300.0])
def test_a_score_that_does_not_order_the_films_gives_no_probability(outlier: float) -> None:
    """Backwards, or forwards but for one film far off, which turns the line: more evidence, less probable."""
    labels, scores = sample(60, 3)
    if outlier:
        labels, scores = np.append(labels, 0.0), np.append(scores, outlier)
    else:
        scores = -scores
    of = films(labels, scores)
    assert (of.area > 0.5) is bool(outlier)
    assert fit_curve(of, "platt").slope < 0.0
    assert fit_calibration(of, "a sample", np.random.default_rng(0)) is None


def test_unknown_labels_do_not_enter() -> None:
    labels, scores = sample(500, 2)
    with_unknown = films(np.append(labels, [np.nan] * 50), np.append(scores, [1e3] * 50))
    assert calibrated(with_unknown) == calibrated(films(labels, scores))


@pytest.mark.parametrize("factor", [0.01, 1.0, 30.0, 1000.0])
def test_the_scale_of_the_scores_does_not_matter(factor: float) -> None:
    """A network's logits may be large; the probabilities are the same."""
    labels, scores = sample(2000, 6)
    plain, scaled = (
        fit_curve(films(labels, scores), "platt"),
        fit_curve(films(labels, factor * scores), "platt"),
    )
    for score in (-2.0, 0.3, 1.5):
        # the faint prior is felt a little where scores are tiny
        assert scaled.probability(factor * score) == pytest.approx(plain.probability(score), abs=0.02)


def test_scores_that_tell_nothing_give_the_base_rate_nearly_everywhere() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(4000) < 0.25).astype(float)
    calibration = fit_curve(films(labels, rng.normal(size=4000)), "platt")
    assert calibration.probability(1.0) == pytest.approx(0.25, abs=0.03)
    assert calibration.probability(-1.0) == pytest.approx(0.25, abs=0.03)


def test_a_calibration_survives_the_card() -> None:
    import json

    calibration = fitted(80)
    assert Calibration.from_json(json.loads(json.dumps(calibration.as_json()))) == calibration


# operating point


def informedness(truth: Values, probability: Values, cut: float) -> float:
    suggested = probability >= cut
    return float(suggested[truth > 0].mean() - suggested[truth == 0].mean())


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=2, max_size=40).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_youdens_point_is_the_best_of_all_cuts(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([float(label) for label, _ in rows])
    probability = np.array([score / 12 for _, score in rows])
    best = max(informedness(truth, probability, cut) for cut in probability)
    assert informedness(truth, probability, youden(truth, probability)) == pytest.approx(best)


def test_the_operating_point_lies_midway_to_the_next_lower_film() -> None:
    truth, probability = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.7, 0.3, 0.1])
    assert youden(truth, probability) == pytest.approx(0.5)


def test_the_state_is_uncertain_where_the_interval_straddles_the_operating_point() -> None:
    assert state_of(0.6, (0.5, 0.7), 0.4) == "suggested"
    assert state_of(0.2, (0.1, 0.3), 0.4) == "not_suggested"
    assert state_of(0.5, (0.3, 0.7), 0.4) == "uncertain"
    assert state_of(0.3, (0.2, 0.4), 0.4) == "uncertain"
    assert state_of(0.5, (0.4, 0.6), 0.4) == "suggested"


# calibration error


def test_the_calibration_error_by_hand() -> None:
    """Two bins of equal mass: 0.1, 0.3 with one positive (gap 0.3), 0.6, 0.8 with one (gap 0.2)."""
    truth, probability = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.1, 0.3, 0.6, 0.8])
    assert ece_mass(truth, probability, bins=2) == pytest.approx((0.3 + 0.2) / 2)


def test_the_calibration_error_does_not_depend_on_the_order() -> None:
    truth, scores = sample(101, 5)
    probability, order = expit(scores), np.random.default_rng(0).permutation(101)
    assert ece_mass(truth[order], probability[order]) == pytest.approx(ece_mass(truth, probability))


def test_honest_probabilities_have_a_small_error_and_boasting_ones_a_large() -> None:
    labels, scores = sample(20_000, 4)
    honest = ece_mass(labels, expit(SLOPE * scores + INTERCEPT))
    boasting = ece_mass(labels, expit(4 * SLOPE * scores + INTERCEPT))
    assert honest < 0.02 < 0.08 < boasting


def test_fewer_films_than_bins() -> None:
    assert ece_mass(np.array([1.0, 0.0]), np.array([0.75, 0.5])) == pytest.approx((0.25 + 0.5) / 2)
