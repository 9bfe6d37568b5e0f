"""Figures and their intervals against closed forms and values worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import auc_figure, bootstrap, mean_figure
from suite.training.plots import plot_roc, roc_figure

NAN = math.nan


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    """400 draws of a standard normal: the mean's 95 % interval is mean +- 1.96 s / sqrt(n)."""
    values = np.random.default_rng(1).normal(size=400)
    figure = mean_figure(values, [str(index) for index in range(400)], rng())
    half = 1.96 * values.std() / math.sqrt(400)
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - half, abs=0.12 * half)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.12 * half)
    assert figure.n == 400


def test_films_of_one_patient_count_once() -> None:
    """Each value four times over, of the same patient: the interval is that of the patients."""
    values = np.random.default_rng(2).normal(size=100)
    once = mean_figure(values, [str(index) for index in range(100)], rng())
    repeated = mean_figure(np.repeat(values, 4), [str(index) for index in np.repeat(range(100), 4)], rng())
    assert repeated.value == pytest.approx(once.value)
    assert repeated.high - repeated.low == pytest.approx(once.high - once.low, rel=0.02)
    assert repeated.n == 400
    alone = mean_figure(np.repeat(values, 4), [str(index) for index in range(400)], rng())
    assert alone.high - alone.low == pytest.approx((once.high - once.low) / 2, rel=0.15)


def test_rows_of_a_patient_are_drawn_together() -> None:
    patients = ["b", "a", "b", "c"]
    seen: set[tuple[int, ...]] = set()

    def statistic(rows: np.ndarray) -> float:
        seen.add(tuple(rows.tolist()))
        return 0.0

    bootstrap(statistic, patients, rng(), draws=200)
    assert all(rows.count(0) == rows.count(2) for rows in seen)
    assert any(rows.count(0) == 2 for rows in seen)
    assert any(0 not in rows for rows in seen)


def test_one_patient_has_an_interval_of_no_width() -> None:
    figure = mean_figure(np.array([0.25, 0.75]), ["a", "a"], rng())
    assert (figure.value, figure.low, figure.high) == (0.5, 0.5, 0.5)


def test_draws_without_a_value_are_left_out() -> None:
    figure = bootstrap(lambda rows: float(rows[0]) if rows[0] != 1 else NAN, ["a", "b", "c"], rng())
    assert (figure.low, figure.high) == (0.0, 2.0)
    never = bootstrap(lambda rows: NAN, ["a", "b"], rng())
    assert math.isnan(never.value)
    assert math.isnan(never.low)


def test_auc_by_hand() -> None:
    """Positives 0.8, 0.4; negatives 0.1, 0.4, 0.6. Of the six pairs 4 are right and one is a tie: 4.5 / 6."""
    labels = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    scores = np.array([0.8, 0.4, 0.1, 0.4, 0.6])
    figure = auc_figure(labels, scores, list("abcde"), rng())
    assert figure.value == pytest.approx(4.5 / 6)
    assert figure.low <= figure.value <= figure.high
    assert figure.n == 5


def test_unknown_labels_do_not_enter_the_auc() -> None:
    labels = np.array([1.0, NAN, 0.0, NAN, 0.0, 1.0])
    scores = np.array([0.9, -100.0, 0.2, 100.0, 0.5, 0.3])
    figure = auc_figure(labels, scores, list("abcdef"), rng())
    assert figure.value == pytest.approx(3 / 4)
    assert figure.n == 4


@pytest.mark.parametrize("labels", [[1.0, 1.0], [0.0, 0.0], [NAN, NAN], [1.0, NAN], []])
def test_one_class_alone_has_no_auc(labels: list[float]) -> None:
    names = [str(index) for index in range(len(labels))]
    assert math.isnan(auc_figure(np.array(labels), np.arange(len(labels), dtype=float), names, rng()).value)


def test_a_mean_of_nothing_is_unknown() -> None:
    assert math.isnan(mean_figure(np.array([NAN, NAN]), ["a", "b"], rng()).value)
    assert math.isnan(mean_figure(np.array([]), [], rng()).value)
    assert mean_figure(np.array([NAN, 2.0]), ["a", "b"], rng()).value == 2.0


EVALUATION = Evaluation(
    {
        "dice": Figure(0.9776999, 0.971, 0.985, 47),
        "auc": Figure(NAN, n=3),
        "count": Figure(12.0, n=12),
    },
    [{"film": "a", "dice": 0.5, "n": 2}, {"film": "b", "dice": NAN}],
    ("One sentence.",),
)


def test_unknown_figures_are_null_in_json_and_a_dash_in_the_table() -> None:
    content = EVALUATION.as_json()
    assert content["dice"] == {"value": 0.9777, "interval": [0.971, 0.985], "n": 47}
    assert content["auc"] == {"value": None, "interval": None, "n": 3}
    assert content["count"] == {"value": 12.0, "interval": None, "n": 12}
    assert EVALUATION.table().splitlines() == [
        "| figure | value (95 % interval) | n |",
        "|---|---|---|",
        "| dice | 0.9777 (0.971 - 0.985) | 47 |",
        "| auc | - | 3 |",
        "| count | 12 | 12 |",
        "",
        "One sentence.",
    ]


def test_thirteen_roc_curves_are_told_apart_and_lie_under_no_legend() -> None:
    labels, scores = np.array([0.0, 1.0] * 10), np.arange(20.0)
    curves = {f"finding_{place}": (labels, scores) for place in range(13)}
    figure = roc_figure({**curves, "one kind": (np.ones(20), scores)})
    for _ in range(2):  # as savefig does: the legend finds its place once the axes are square
        figure.draw_without_rendering()
    [axes] = figure.axes
    _, *lines = axes.lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 13
    [legend] = figure.legends
    assert legend.get_texts()[0].get_text() == "finding 0 (n = 20)"
    assert not axes.bbox.overlaps(legend.get_window_extent())


def test_figures_tables_and_plots_are_written(tmp_path: Path) -> None:
    labels, scores = np.array([1.0, 0.0, NAN, 1.0]), np.array([0.9, 0.1, 0.5, 0.4])
    one_class = (np.array([1.0, NAN]), np.array([0.1, 0.2]))
    drawn = Evaluation(
        EVALUATION.figures,
        EVALUATION.rows,
        curves={"edema": (labels, scores), "fracture": one_class},
        spread=("dice",),
    )
    drawn.write(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / "metrics.json").read_text())["auc"]["value"] is None
    assert (folder / "films.csv").read_text() == "film,dice,n\na,0.5,2\nb,nan,\n"
    for name in ("roc.png", "spread.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob(".*"))


def test_auc_is_that_of_scikit_learn_with_ties_and_without() -> None:
    from sklearn.metrics import roc_auc_score

    draws = np.random.default_rng(3)
    for digits in (8, 1):
        scores = draws.normal(size=60).round(digits)
        labels = (draws.random(60) < 0.3).astype(float)
        figure = auc_figure(labels, scores, [str(index) for index in range(60)], rng())
        assert figure.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_curves_of_films_of_one_kind_are_an_empty_plot_without_a_warning(tmp_path: Path) -> None:
    plot_roc({"abnormal": (np.ones(2), np.zeros(2))}, tmp_path / "roc.png")
    assert (tmp_path / "roc.png").stat().st_size > 0
