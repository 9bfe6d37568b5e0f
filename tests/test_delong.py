"""Comparing ROC areas: DeLong's variance by hand, its false alarms by simulation, Holm's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from suite.training.delong import compare, holm, mean_placements, placements, variance

TRUTH = np.array([1, 1, 1, 0, 0, 0], dtype=np.float64)
SCORES = np.array([3, 4, 5, 1, 2, 4], dtype=np.float64)


def test_placements_are_shares_of_pairs_and_ties_count_half() -> None:
    placed = placements(TRUTH, SCORES)
    np.testing.assert_allclose(placed.positive, [2 / 3, 5 / 6, 1])
    np.testing.assert_allclose(placed.negative, [1, 1, 1 / 2])
    assert placed.auc == pytest.approx(7.5 / 9)


def test_the_variance_is_delongs() -> None:
    """By hand: var(2/3, 5/6, 1) / 3 + var(1, 1, 1/2) / 3 = 1/108 + 1/36."""
    assert variance(placements(TRUTH, SCORES)) == pytest.approx(1 / 108 + 1 / 36)


def test_the_fast_ranks_agree_with_counting_every_pair() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(60) < 0.3).astype(np.float64)
    scores = np.round(rng.normal(truth, 1.0), 1)  # rounding makes ties
    pairs = (scores[truth > 0][:, None] > scores[truth == 0]) + 0.5 * (
        scores[truth > 0][:, None] == scores[truth == 0]
    )
    placed = placements(truth, scores)
    np.testing.assert_allclose(placed.positive, pairs.mean(1))
    np.testing.assert_allclose(placed.negative, pairs.mean(0))


def test_films_of_one_patient_are_one_draw() -> None:
    """Each film four times, under its patient: nothing new was learned of other patients."""
    rng = np.random.default_rng(5)
    truth = (rng.random(60) < 0.4).astype(np.float64)
    scores = rng.normal(truth, 1.0)
    once = variance(placements(truth, scores))
    patients = [str(index) for index in range(60)] * 4
    again = variance(placements(np.tile(truth, 4), np.tile(scores, 4), patients))
    assert again == pytest.approx(once, rel=0.05)
    assert variance(placements(np.tile(truth, 4), np.tile(scores, 4))) < once / 3


def test_one_positive_patient_tells_nothing_of_others() -> None:
    truth = np.array([1.0] + [0.0] * 20)
    result = compare([placements(truth, np.arange(21.0))], [placements(truth, -np.arange(21.0))])
    assert math.isnan(result.p)
    assert math.isnan(result.interval[0])


def test_one_kind_of_film_has_no_area() -> None:
    with pytest.raises(ValueError, match="with and without the finding"):
        placements(np.ones(4), np.arange(4.0))


def test_a_network_does_not_differ_from_itself() -> None:
    same = [placements(TRUTH, SCORES)]
    result = compare(same, same)
    assert (result.difference, result.error, result.p) == (0.0, 0.0, 1.0)


def test_the_difference_has_its_interval_and_its_p() -> None:
    """Two networks with known placements: z = difference / sqrt(variance of the paired placements)."""
    other = placements(TRUTH, np.array([3, 1, 5, 1, 2, 4], dtype=np.float64))
    first = placements(TRUTH, SCORES)
    apart = first.positive - other.positive, first.negative - other.negative
    error = math.sqrt(apart[0].var(ddof=1) / 3 + apart[1].var(ddof=1) / 3)
    result = compare([first], [other])
    assert result.error == pytest.approx(error)
    assert result.p == pytest.approx(math.erfc(result.difference / error / math.sqrt(2)))
    low, high = result.interval
    assert (low + high) / 2 == pytest.approx(result.difference)
    assert high - low == pytest.approx(2 * 1.959964 * error, rel=1e-6)


def test_equal_networks_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([1.0, 0.0], [40, 60])
    alarms = 0
    for _ in range(400):
        shared = rng.normal(truth, 1.0)
        one, other = (shared + rng.normal(0, 0.7, len(truth)) for _ in range(2))
        alarms += compare([placements(truth, one)], [placements(truth, other)]).p < 0.05
    assert 0.02 < alarms / 400 < 0.09


def test_luck_of_seeds_widens_the_error() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([1.0, 0.0], [30, 50])
    seeds = [placements(truth, rng.normal(truth * size, 1.0)) for size in (0.5, 1.0, 2.0)]
    steady = [placements(truth, rng.normal(truth, 1.0))] * 3
    areas = np.array([placed.auc for placed in seeds]) - steady[0].auc
    sampling = variance(mean_placements(seeds), mean_placements(steady))
    assert compare(seeds, steady).error ** 2 == pytest.approx(sampling + areas.var(ddof=1) / 3)


def test_holm_multiplies_step_by_step_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_leaves_out_what_was_not_tested() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)
