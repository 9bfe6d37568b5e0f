"""Figures of films of one view, sex or age, which a mean over all of them hides."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from suite.datasets.manifest import FilmFile, Record
from suite.training.evaluation import Evaluation, Figure
from suite.training.subgroups import LEAST, areas_by_subgroup, group_of


def records(count: int = 80) -> list[Record]:
    """Half PA and half AP, of two films a patient; ages from 20 on; nobody's sex is known."""
    return [
        Record(
            str(index),
            f"p{index // 2}",
            FilmFile(Path(f"{index}.png")),
            attributes={"view": "PA" if index < count // 2 else "AP", "age": str(20 + index)},
        )
        for index in range(count)
    ]


def test_a_group_has_the_area_of_its_own_films() -> None:
    films = records()
    rng = np.random.default_rng(0)
    truth = np.tile([0.0, 1.0], len(films) // 2)[:, None]
    scores = truth + rng.normal(0, 0.1, truth.shape)
    scores[40:] = rng.normal(0, 1, (40, 1))  # the AP films are guessed
    found = areas_by_subgroup(films, truth, scores, ["auc"], np.random.default_rng(0))
    assert list(found) == ["view: AP", "view: PA", "age: 40 to 64", "age: 65 and older", "age: under 40"]
    assert found["view: PA"]["auc"].value == 1.0
    assert found["view: AP"]["auc"].value < 0.75
    assert found["view: AP"]["auc"].low < found["view: AP"]["auc"].value < found["view: AP"]["auc"].high
    assert sum(found[name]["auc"].n for name in found if name.startswith("age")) == len(films)


def test_a_group_of_too_few_of_a_kind_has_no_area_and_says_how_many_it_has() -> None:
    films = records()
    truth = np.zeros((len(films), 2))
    truth[: LEAST - 1] = 1.0
    truth[LEAST - 1, 1] = 1.0
    truth[40:50, 1] = np.nan
    found = areas_by_subgroup(films, truth, truth, ["few", "enough"], np.random.default_rng(0))
    assert math.isnan(found["view: PA"]["few"].value)
    assert found["view: PA"]["few"].n == 40
    assert found["view: PA"]["enough"].value == 1.0
    assert math.isnan(found["view: AP"]["enough"].value)
    assert found["view: AP"]["enough"].n == 30


@pytest.mark.parametrize(
    ("attribute", "value", "group"),
    [
        ("view", "AP", "AP"),
        ("age", "39", "under 40"),
        ("age", "40", "40 to 64"),
        ("age", "65.5", "65 and older"),
        ("age", "", ""),
        ("age", "062Y", "40 to 64"),
        ("age", "011M", "under 40"),
        ("age", "old", ""),
    ],
)
def test_a_value_belongs_to_a_group(attribute: str, value: str, group: str) -> None:
    assert group_of(attribute, value) == group


def test_groups_are_written_beside_the_figures(tmp_path: Path) -> None:
    groups = {
        "nih, view: AP": {"auc": Figure(0.8, 0.7, 0.9, 40), "auc_fracture": Figure(math.nan, n=3)},
        "nih, view: PA": {"auc": Figure(0.6, 0.5, 0.7, 50)},
    }
    Evaluation({"auc": Figure(0.7)}, by_subgroup=groups).write(tmp_path)
    table = (tmp_path / "subgroups.md").read_text()
    assert "| nih, view: AP | auc | 0.8 (0.7 - 0.9) | 40 |" in table
    assert "fracture" not in table  # nothing could be measured
    assert json.loads((tmp_path / "subgroups.json").read_text())["nih, view: AP"]["auc_fracture"]["n"] == 3
    assert "subgroup" not in (tmp_path / "metrics.json").read_text()


def test_there_is_no_table_without_groups(tmp_path: Path) -> None:
    Evaluation({"auc": Figure(0.7)}).write(tmp_path)
    assert not (tmp_path / "subgroups.md").exists()
