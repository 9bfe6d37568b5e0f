"""Thresholds, the rule against false alarms, islands and holes, and test-time augmentation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from skimage.morphology import remove_small_holes, remove_small_objects
from torch import Tensor

from segmentation.postprocessing import without_holes, without_islands
from segmentation.scores import Overlap, dice, overlap
from segmentation.test_time import AS_IT_IS, UNMIRRORED, Variant, averaged, gamma, mirrored, shifted, zoomed
from segmentation.thresholds import (
    GRID,
    ThresholdCounts,
    TripletRule,
    count_above,
    search_threshold,
    search_triplet,
)

Films = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def films() -> Films:
    """Twelve films of 16 x 16, five of them with something on them, probabilities that half know it."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(12):
        truth = np.zeros((16, 16), np.uint8)
        if index % 12 < 5:
            truth[4 : 8 + index, 3:10] = 255
        noise = rng.random((16, 16)) * (0.9 if index % 4 == 0 else 0.6)
        made.append(((0.4 * (truth > 0) + 0.6 * noise).astype(np.float32), truth))
    return made


def test_the_grid_is_the_papers() -> None:
    assert (len(GRID), GRID[0], GRID[-1]) == (100, 0.01, 1.0)
    np.testing.assert_allclose(np.diff(GRID), 0.01)


def test_counts_give_the_dice_of_every_film_at_every_threshold(films: Films) -> None:
    scores = count_above(films).dice()
    assert scores.shape == (12, 100)
    for (film, (probability, truth)), place in itertools.product(enumerate(films), (0, 19, 29, 63, 99)):
        mask = TripletRule.plain(GRID[place])(probability)
        assert scores[film, place] == pytest.approx(dice(mask, truth))


def test_a_pixel_at_the_threshold_is_outside() -> None:
    probability = np.full((2, 2), 0.3, np.float32)
    counts = count_above([(probability, np.ones((2, 2), np.uint8))], np.array([0.29, 0.3, 0.31]))
    assert counts.claimed.tolist() == [[4, 0, 0]]
    assert not TripletRule.plain(0.3)(probability).any()
    assert TripletRule.plain(0.29)(probability).all()


def test_at_the_end_of_the_grid_nothing_is_claimed(films: Films) -> None:
    counts = count_above([*films, (np.ones((16, 16), np.float32), np.zeros((16, 16), np.uint8))])
    assert counts.curve()[-1] == pytest.approx(8 / 13)  # the share of films with nothing on them
    assert counts.curve("dice_positives")[-1] == counts.curve("dice_pooled")[-1] == 0


@pytest.mark.parametrize("place", [0, 30, 55])
def test_the_three_objectives(films: Films, place: int) -> None:
    counts = count_above(films)
    parts = [overlap((probability > np.float32(GRID[place])), truth) for probability, truth in films]
    assert counts.curve()[place] == pytest.approx(np.mean([part.dice for part in parts]))
    positives = [part.dice for part in parts if part.positive]
    assert counts.curve("dice_positives")[place] == pytest.approx(np.mean(positives))
    assert counts.curve("dice_pooled")[place] == pytest.approx(sum(parts, Overlap()).dice)


def test_the_search_finds_the_threshold_that_separates() -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    probability = np.where(truth > 0, 0.72, 0.41).astype(np.float32)
    found = search_threshold(count_above([(probability, truth)]))
    assert found.score == 1.0
    # everything from .41 to .71 separates: the middle
    assert found.threshold == pytest.approx(0.56, abs=0.011)
    assert found.curve.max() == 1.0
    assert found.curve[0] == pytest.approx(2 * 16 / (64 + 16))


def test_the_search_is_the_best_of_all_thresholds(films: Films) -> None:
    found = search_threshold(count_above(films))
    brute = [
        np.mean([dice((probability > np.float32(t)), truth) for probability, truth in films]) for t in GRID
    ]
    assert found.score == pytest.approx(max(brute))
    np.testing.assert_allclose(found.curve, brute)


def test_without_a_positive_film_there_is_no_positives_only_score() -> None:
    counts = count_above([(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8))])
    found = search_threshold(counts, "dice_positives")
    assert math.isnan(found.score)


def test_the_triplet_rule_asks_for_enough_certain_pixels() -> None:
    probability = np.full((10, 10), 0.2, np.float32)
    probability[:5] = 0.5  # 50 pixels possible
    probability[0] = 0.9  # 10 of them certain
    assert TripletRule(0.75, 0.10, 0.3)(probability).sum() == 50
    assert TripletRule(0.75, 0.11, 0.3)(probability).sum() == 0
    assert TripletRule(0.95, 0, 0.3)(probability).sum() == 50


@pytest.mark.parametrize(("share", "kept"), [(0.07, True), (0.08, False)])
def test_the_triplet_rule_means_the_same_on_every_matrix(share: float, kept: bool) -> None:
    """Seven certain pixels of a hundred, and the same film four times as fine."""
    probability, truth = np.full((10, 10), 0.4, np.float32), np.zeros((10, 10), np.uint8)
    probability[0, :7] = 0.9
    truth[:2] = 1
    fine = [each.repeat(2, axis=0).repeat(2, axis=1) for each in (probability, truth)]
    rule = TripletRule(0.75, share, 0.3)
    assert rule(probability).any() == rule(fine[0]).any() == kept
    claimed, hits = rule.of(count_above([(probability, truth), (fine[0], fine[1])]))
    assert claimed.tolist() == ([100, 400] if kept else [0, 0])
    assert hits.tolist() == ([20, 80] if kept else [0, 0])


def test_the_triplet_search_is_the_best_of_all_rules(films: Films) -> None:
    grid, areas = np.array([0.1, 0.3, 0.4, 0.5, 0.7, 0.9]), (0, 0.02, 0.08, 0.23, 0.9)
    films = [*films, *((each.repeat(2, axis=0), truth.repeat(2, axis=0)) for each, truth in films[3:6])]
    found = search_triplet(count_above(films, grid), areas)
    brute = {
        rule: float(np.mean([dice(rule(probability), truth) for probability, truth in films]))
        for rule in (
            TripletRule(float(top), area, float(bottom))
            for top, area, bottom in itertools.product(grid, areas, grid)
            if bottom <= top
        )
    }
    assert found.score == pytest.approx(max(brute.values()))
    assert brute[found.rule] == pytest.approx(found.score)
    assert int(np.isfinite(found.scores).sum()) == len(brute)
    for rule, score in brute.items():
        place = (list(grid).index(rule.top), areas.index(rule.min_area), list(grid).index(rule.bottom))
        assert found.scores[place] == pytest.approx(score)
    claimed, hits = found.rule.of(count_above(films, grid))
    masks = [found.rule(probability) for probability, _ in films]
    assert claimed.tolist() == [int(mask.sum()) for mask in masks]
    assert hits.tolist() == [
        int(mask[truth > 0].sum()) for mask, (_, truth) in zip(masks, films, strict=True)
    ]


def test_the_triplet_search_is_no_worse_than_a_plain_threshold(films: Films) -> None:
    counts: ThresholdCounts = count_above(films)
    assert search_triplet(counts).score >= search_threshold(counts).score


def test_islands_go_and_the_rest_stays() -> None:
    mask = (np.random.default_rng(3).random((60, 70)) < 0.35).astype(np.uint8)
    for area in (0, 1, 4, 9, 5000):
        expected = remove_small_objects(mask.astype(bool), max_size=area - 1, connectivity=2)
        np.testing.assert_array_equal(without_islands(mask, area), expected)


def test_holes_up_to_a_size_are_filled() -> None:
    mask = (np.random.default_rng(4).random((60, 70)) < 0.62).astype(np.uint8)
    padded = np.pad(mask, 1)  # what reaches the border is no hole
    for area in (0, 1, 3, 8):
        large = np.zeros_like(padded, bool)
        large[1:-1, 1:-1] = True
        expected = remove_small_holes(padded.astype(bool), max_size=area, connectivity=1) & large
        np.testing.assert_array_equal(without_holes(mask, area), expected[1:-1, 1:-1])
    np.testing.assert_array_equal(without_holes(mask, 5000), without_holes(mask))


def halves(film: Tensor) -> Tensor:
    """A network that knows sides: plane 0 is the picture's left half, plane 1 its right half."""
    columns = torch.arange(film.shape[-1])
    right = (columns < film.shape[-1] // 2).to(film)
    return torch.cat((film * right, film * (1 - right)), 1)


def test_a_mirrored_answer_comes_back_with_its_sides() -> None:
    film = torch.rand(2, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    both = averaged(halves, film, [AS_IT_IS, mirrored([(0, 1)])])
    torch.testing.assert_close(both, halves(film))
    wrong = averaged(halves, film, [AS_IT_IS, mirrored()])
    torch.testing.assert_close(wrong, film.expand(2, 2, 6, 8) / 2)


def test_a_network_blind_to_grey_gives_the_same_at_every_gamma() -> None:
    film = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    seen: list[Tensor] = []

    def predict(shown: Tensor) -> Tensor:
        seen.append(shown)
        return torch.full_like(shown, 0.25)

    result = averaged(predict, film, [AS_IT_IS, gamma(2.0), gamma(0.5)])
    torch.testing.assert_close(result, torch.full_like(film, 0.25))
    torch.testing.assert_close(seen[1], film**2)
    torch.testing.assert_close(seen[2], film.sqrt())


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_zoomed_answer_comes_back_to_its_place(factor: float) -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 48), indexing="ij")
    film = (0.3 + 0.3 * rows + 0.2 * columns)[None, None]
    alone = averaged(lambda shown: shown, film, [zoomed(factor)])
    inner = (slice(None), slice(None), slice(12, -12), slice(10, -10))
    torch.testing.assert_close(alone[inner], film[inner], atol=5e-3, rtol=0)
    # a zoom that lost the rim does not darken it: there the film as it is speaks alone
    both = averaged(lambda shown: shown, film, [AS_IT_IS, zoomed(factor)])
    torch.testing.assert_close(both, film, atol=2e-2, rtol=0)


def test_zooming_in_enlarges() -> None:
    film = torch.zeros(1, 1, 40, 40)
    film[..., 16:24, 16:24] = 1.0
    assert float(zoomed(2.0).forward(film).sum()) == pytest.approx(4 * 64, rel=0.05)
    assert float(zoomed(0.5).forward(film).sum()) == pytest.approx(64 / 4, rel=0.05)


def test_a_shifted_answer_comes_back_to_its_place() -> None:
    film = torch.rand(2, 1, 20, 30, generator=torch.Generator().manual_seed(2))
    way = shifted(-0.1, 0.2)  # two rows up, six columns to the right
    shown = way.forward(film)
    torch.testing.assert_close(shown[..., :18, 6:], film[..., 2:, :24])
    assert float(shown[..., 18:, :].abs().sum()) == float(shown[..., :6].abs().sum()) == 0.0
    torch.testing.assert_close(averaged(lambda each: each, film, [AS_IT_IS, way]), film)
    alone = averaged(lambda each: each, film, [way])
    torch.testing.assert_close(alone[..., 2:, :24], film[..., 2:, :24])


def test_what_is_shown_to_networks_of_sides_keeps_the_sides() -> None:
    film = torch.zeros(1, 1, 100, 100)
    film[..., 40:60, 20:40] = 1.0
    assert len({way.name for way in UNMIRRORED}) == len(UNMIRRORED) == 9
    for way in UNMIRRORED:
        shown = way.forward(film)
        assert float(shown[..., :50].sum()) > 300
        assert float(shown[..., 50:].sum()) == 0.0


def test_the_average_is_the_mean_of_the_answers() -> None:
    answers = iter((0.2, 0.4, 0.9))
    variants = [AS_IT_IS, Variant("again", lambda film: film, lambda film: film), mirrored()]
    result = averaged(lambda film: torch.full_like(film, next(answers)), torch.zeros(1, 1, 3, 3), variants)
    torch.testing.assert_close(result, torch.full((1, 1, 3, 3), 0.5))
