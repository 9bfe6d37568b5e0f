"""What is counted of a tissue map, and the figures made of it, against scikit-learn and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from segmentation.tissues import plots
from segmentation.tissues.calibration import by_class, expected_calibration_error
from segmentation.tissues.evaluation import PUBLISHED, Films, cross_entropy, differences, figures, statistics
from segmentation.tissues.network import CLASSES
from segmentation.tissues.pixels import BINS, PixelCounts, areas_under_curve, shares, weighted
from segmentation.tissues.thresholds import called, soft_thresholds
from suite.datasets.manifest import Record
from suite.study import FloatImage, Mask


def made(rng: np.random.Generator, skill: float = 1.0, side: int = 40) -> tuple[FloatImage, Mask]:
    """Probabilities (3, side, side) that know the truth (side, side) better the greater ``skill`` is."""
    truth = rng.choice(3, size=(side, side), p=(0.5, 0.3, 0.2)).astype(np.uint8)
    logits = rng.normal(size=(3, side, side)) + skill * (np.arange(3)[:, None, None] == truth)
    shares_of = np.exp(logits) / np.exp(logits).sum(axis=0)
    return shares_of.astype(np.float32), truth


def test_counts_give_scikit_learns_figures() -> None:
    probabilities, truth = made(np.random.default_rng(0))
    total = PixelCounts.of(probabilities, truth)
    calls = probabilities.argmax(axis=0)
    np.testing.assert_array_equal(total.confusion, confusion_matrix(truth.ravel(), calls.ravel()))
    precision, recall, f1, _ = precision_recall_fscore_support(truth.ravel(), calls.ravel())
    found = shares(total.confusion)
    np.testing.assert_allclose(found["precision"], precision)
    np.testing.assert_allclose(found["recall"], recall)
    np.testing.assert_allclose(found["f1"], f1)
    areas = [roc_auc_score(truth.ravel() == index, probabilities[index].ravel()) for index in range(3)]
    np.testing.assert_allclose(areas_under_curve(total.histograms), areas, atol=1e-3)
    overall = precision_recall_fscore_support(truth.ravel(), calls.ravel(), average="weighted")
    assert statistics()["precision"](total) == pytest.approx(overall[0])
    assert statistics()["f1"](total) == pytest.approx(overall[2])
    assert statistics()["accuracy"](total) == pytest.approx((truth == calls).mean())


def test_what_the_paper_prints_as_accuracy_is_precision() -> None:
    """Precision .94 and F1 .87 of soft tissue give the recall of .81 that the text quotes as 82 %."""
    paper = PUBLISHED["xnet"]
    precision, f1 = paper["precision_soft_tissue"], paper["f1_soft_tissue"]  # type: ignore[index]
    assert f1 * precision / (2 * precision - f1) == pytest.approx(0.82, abs=0.015)


def test_a_film_drawn_twice_counts_twice() -> None:
    rng = np.random.default_rng(1)
    films = PixelCounts.stack([PixelCounts.of(*made(rng, side=8)) for _ in range(3)])
    drawn = films.total(np.array([2, 0, 2]))
    for name in ("confusion", "histograms", "confidence", "correct"):
        field = getattr(films, name)
        np.testing.assert_array_equal(getattr(drawn, name), field[0] + 2 * field[2])
    assert films.total().confusion.sum() == 3 * 64


def test_a_class_that_is_not_there_has_no_figure_and_no_weight() -> None:
    confusion = np.array([[30, 10, 0], [10, 50, 0], [0, 0, 0]])
    found = shares(confusion)
    assert np.isnan(found["f1"][2])
    assert weighted(found["f1"], confusion) == pytest.approx((0.75 * 40 + 5 / 6 * 60) / 100)


def sure(confidence: float, right: int, wrong: int) -> PixelCounts:
    """All called soft tissue with one confidence; so many of them are, the others are bone."""
    rest = (1 - confidence) / 2
    probabilities = np.tile(np.array([rest, confidence, rest], np.float32)[:, None], (1, right + wrong))
    truth = np.array([1] * right + [2] * wrong, dtype=np.uint8)
    return PixelCounts.of(probabilities, truth)


@pytest.mark.parametrize(
    ("confidence", "right", "wrong", "error"), [(0.75, 75, 25, 0.0), (0.75, 50, 50, 0.25), (0.6, 100, 0, 0.4)]
)
def test_calibration_error_is_the_distance_of_confidence_and_hits(
    confidence: float, right: int, wrong: int, error: float
) -> None:
    total = sure(confidence, right, wrong)
    assert expected_calibration_error(total) == pytest.approx(error, abs=1 / BINS)
    table = by_class(total)
    assert table["soft_tissue"]["confidence"] == pytest.approx(confidence, abs=1 / BINS)
    assert table["soft_tissue"]["precision"] == pytest.approx(right / (right + wrong), abs=1e-4)
    assert table["bone"] == {"confidence": None, "precision": None}


def test_errors_of_opposite_sign_in_different_bins_do_not_cancel() -> None:
    pair = PixelCounts.stack([sure(0.55, 80, 20), sure(0.95, 70, 30)])
    assert expected_calibration_error(pair.total()) == pytest.approx(0.25, abs=1 / BINS)


def test_cross_entropy_is_the_mean_of_minus_log_p() -> None:
    probabilities = np.array([[[0.5, 0.2]], [[0.25, 0.2]], [[0.25, 0.6]]], np.float32)
    assert cross_entropy(probabilities, np.array([[0, 2]], np.uint8)) == pytest.approx(
        -(np.log(0.5) + np.log(0.6)) / 2
    )


def test_soft_tissue_is_called_only_where_it_is_sure_enough() -> None:
    probabilities = np.array(
        [[[0.1, 0.3, 0.05, 0.7]], [[0.8, 0.5, 0.55, 0.2]], [[0.1, 0.2, 0.4, 0.1]]], np.float32
    )
    assert called(probabilities).tolist() == [[1, 1, 1, 0]]
    assert called(probabilities, 0.6).tolist() == [[1, 0, 2, 0]]
    assert called(probabilities, 0.9).tolist() == [[0, 0, 2, 0]]


def test_the_threshold_of_a_part_is_the_lowest_that_is_precise_enough() -> None:
    def film(low_right: int) -> PixelCounts:
        """40 calls at 0.5 of which ``low_right`` are right, 60 at 0.9 that all are."""
        pieces = PixelCounts.stack([sure(0.5, low_right, 40 - low_right), sure(0.9, 60, 0)])
        return pieces.total()

    films = PixelCounts.stack([film(40), film(0), film(20), sure(0.7, 10, 30)])
    parts = ["hand", "knee", "foot", "pelvis"]
    found = soft_thresholds(films, parts, precision=0.95)
    assert found["hand"] == 0.0  # right everywhere: nothing to control
    assert 0.5 < found["knee"] <= 0.9
    assert 0.5 < found["foot"] <= 0.9
    assert found["pelvis"] == 0.0  # one confidence for all: no threshold helps
    assert soft_thresholds(films, parts, precision=0.75)["foot"] == 0.0  # (60 + 20) / 100 is enough


def records(count: int) -> list[Record]:
    parts = ("hand", "knee")
    return [
        Record(f"f{n}", f"p{n}", Path(f"{n}.png"), attributes={"part": parts[n % 2]}) for n in range(count)
    ]


def measured(seed: int, skill: float, count: int = 12) -> Films:
    """Films of the same truth for every ``skill``."""
    found = []
    for number in range(count):
        probabilities, truth = made(np.random.default_rng((seed, number)), skill, side=12)
        found.append(PixelCounts.of(probabilities, truth))
    return Films(records(count), PixelCounts.stack(found), np.ones(count), np.zeros((count, 3, 3), int))


def test_figures_have_intervals_and_body_parts() -> None:
    found = figures(measured(3, 2.0), np.random.default_rng(0))
    kinds = ("f1", "precision", "recall", "auc")
    assert {f"{kind}_{name}" for kind in kinds for name in CLASSES} <= set(found)
    assert (found["f1_hand"].n, found["f1_knee"].n, found["f1"].n) == (6, 6, 12)
    for name in ("f1", "auc_bone", "recall_soft_tissue"):
        assert found[name].low < found[name].value < found[name].high


def test_a_better_network_is_told_from_a_worse_one_and_a_network_from_itself() -> None:
    good, poor = measured(4, 2.0), measured(4, 1.0)
    apart = differences(good, poor, np.random.default_rng(0))
    assert apart["f1"].low > 0.05
    assert apart["f1_bone"].low > 0.0
    same = differences(good, good, np.random.default_rng(0))
    assert (same["f1"].low, same["f1"].value, same["f1"].high) == (0.0, 0.0, 0.0)


def test_the_pictures_are_drawn(tmp_path: Path) -> None:
    total = measured(5, 1.5).counts.total()
    for draw in (plots.plot_confusion, plots.plot_pixel_roc, plots.plot_reliability):
        path = tmp_path / f"{draw.__name__}.png"
        draw(total, path)
        assert path.read_bytes().startswith(b"\x89PNG")
