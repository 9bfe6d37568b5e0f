"""Overlap and outline distances against hand counts, other libraries and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist, directed_hausdorff
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from segmentation.scores import Overlap, dice, iou, mask_figures, outline_distances, overlap

EMPTY = np.zeros((20, 30), np.uint8)


def box(top: int, bottom: int, left: int, right: int, value: int = 1) -> np.ndarray:
    mask = EMPTY.copy()
    mask[top:bottom, left:right] = value
    return mask


def test_overlap_by_hand() -> None:
    # 6 x 10 and 6 x 10, 4 x 6 in common
    counts = overlap(box(2, 8, 5, 15, 255), box(4, 10, 9, 19, 128))
    assert counts == Overlap(hits=24, alarms=36, misses=36)
    assert counts.dice == pytest.approx(48 / 120)
    assert counts.iou == pytest.approx(24 / 96)
    assert counts.precision == counts.recall == pytest.approx(24 / 60)


def test_overlap_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.random((2, 40, 50)) < [[[0.3]], [[0.5]]]).astype(np.uint8)
    counts = overlap(first, second)
    truth, predicted = second.ravel(), first.ravel()
    assert counts.dice == dice(first, second) == pytest.approx(f1_score(truth, predicted))
    assert counts.iou == iou(first, second) == pytest.approx(jaccard_score(truth, predicted))
    assert counts.precision == pytest.approx(precision_score(truth, predicted))
    assert counts.recall == pytest.approx(recall_score(truth, predicted))


def test_the_empty_rule() -> None:
    something = box(0, 5, 0, 5)
    both, found, missed = overlap(EMPTY, EMPTY), overlap(something, EMPTY), overlap(EMPTY, something)
    assert (both.dice, both.iou) == (1, 1)
    assert (found.dice, found.iou, missed.dice, missed.iou) == (0, 0, 0, 0)
    assert math.isnan(both.precision)
    assert math.isnan(both.recall)
    assert (found.precision, missed.recall) == (0, 0)
    assert math.isnan(missed.precision)
    assert math.isnan(found.recall)
    assert (both.positive, found.positive, missed.positive) == (False, False, True)


def test_masks_of_different_size_are_not_compared() -> None:
    for score in (overlap, outline_distances, dice):
        with pytest.raises(ValueError, match=r"\(20, 30\) and \(1, 30\)"):
            score(EMPTY, EMPTY[:1])


def test_the_sum_of_overlaps_is_the_overlap_of_all_films_as_one() -> None:
    rng = np.random.default_rng(1)
    films = (rng.random((5, 2, 8, 9)) < 0.4).astype(np.uint8)
    total = sum((overlap(first, second) for first, second in films), Overlap())
    assert total == overlap(films[:, 0].reshape(40, 9), films[:, 1].reshape(40, 9))


@pytest.mark.parametrize(
    ("spacing", "expected", "unit"),
    [(None, 3.0, "px"), ((0.5, 0.2), 1.5, "mm"), ((0.1, 0.1), 0.3, "mm")],
)
def test_a_line_moved_by_three_rows_is_three_rows_away(
    spacing: tuple[float, float] | None, expected: float, unit: str
) -> None:
    distances = outline_distances(box(4, 5, 0, 30), box(7, 8, 0, 30), spacing)
    assert distances.hd95 == pytest.approx(expected)
    assert distances.assd == pytest.approx(expected)
    assert distances.unit == unit


def test_spacing_is_row_then_column() -> None:
    distances = outline_distances(box(0, 20, 4, 5), box(0, 20, 8, 9), (0.1, 0.7))
    assert distances.hd95 == pytest.approx(4 * 0.7)


def test_distances_of_equal_masks_are_zero() -> None:
    mask = box(3, 15, 2, 28)
    assert outline_distances(mask, mask, (0.3, 0.4)).hd95 == 0
    assert outline_distances(mask, mask, (0.3, 0.4)).assd == 0


def test_a_small_error_does_not_move_hd95_but_the_average() -> None:
    truth, predicted = box(2, 18, 2, 28), box(2, 18, 2, 28)
    predicted[0, 29] = 1  # 1 of 80 + 1 outline pixels is far away: hypot(2, 2) from the corner (2, 27)
    distances = outline_distances(predicted, truth)
    assert distances.hd95 == 0
    assert distances.assd == pytest.approx(math.hypot(2, 2) / 161)


def test_a_hole_has_an_outline_too() -> None:
    truth, filled = box(2, 18, 2, 28), box(2, 18, 2, 28)
    truth[9:11, 14:16] = 0
    assert outline_distances(filled, truth).assd > 0


def test_empty_masks() -> None:
    something = box(0, 5, 0, 5)
    assert outline_distances(EMPTY, EMPTY).hd95 == 0
    for first, second in ((something, EMPTY), (EMPTY, something)):
        distances = outline_distances(first, second, (0.5, 0.5))
        assert distances.hd95 == distances.assd == pytest.approx(math.hypot(10, 15))


def test_distances_agree_with_every_pair_of_points() -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        first, second = (rng.random((2, 24, 31)) < 0.15).astype(np.uint8)
        spacing = (0.35, 0.6)
        points = [
            np.argwhere(mask & ~binary_erosion(mask, border_value=0)) * spacing
            for mask in (first.astype(bool), second.astype(bool))
        ]
        pairs = cdist(*points)
        there, back = pairs.min(axis=1), pairs.min(axis=0)
        distances = outline_distances(first, second, spacing)
        assert distances.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
        assert distances.assd == pytest.approx((there.sum() + back.sum()) / (len(there) + len(back)))
        assert distances.hd95 <= max(
            directed_hausdorff(points[0], points[1])[0], directed_hausdorff(points[1], points[0])[0]
        )


def test_figures_of_masks_that_are_often_empty() -> None:
    films = [
        Overlap(0, 0, 0),  # rightly nothing: 1
        Overlap(0, 0, 0),
        Overlap(0, 10, 0),  # false alarm: 0
        Overlap(30, 10, 10),  # 60 / 80
        Overlap(0, 0, 50),  # missed: 0
    ]
    patients = [f"p{index}" for index in range(5)]
    figures = mask_figures(films, patients, np.random.default_rng(0), "tta_")
    values = {name: figure.value for name, figure in figures.items()}
    assert values == {
        "tta_dice": pytest.approx((1 + 1 + 0 + 0.75 + 0) / 5),
        "tta_dice_positives": pytest.approx(0.375),
        "tta_dice_pooled": pytest.approx(2 * 30 / (2 * 30 + 20 + 60)),
        "tta_iou_pooled": pytest.approx(30 / (30 + 20 + 60)),
        "tta_dice_all_empty": pytest.approx(3 / 5),
    }
    assert figures["tta_dice"].n == 5
    assert figures["tta_dice_positives"].n == 2
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())


def test_the_all_empty_figure_is_what_empty_masks_score() -> None:
    truths = [EMPTY, EMPTY, EMPTY, box(2, 4, 2, 4)]
    nothing = [overlap(EMPTY, truth) for truth in truths]
    figures = mask_figures(nothing, ["a", "b", "c", "d"], np.random.default_rng(0))
    assert figures["dice"].value == figures["dice_all_empty"].value == 0.75


def test_figures_without_a_positive_film() -> None:
    figures = mask_figures([Overlap(), Overlap(0, 3, 0)], ["a", "b"], np.random.default_rng(0))
    assert math.isnan(figures["dice_positives"].value)
    assert figures["dice"].value == 0.5
