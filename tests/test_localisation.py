"""Localisation figures against maps whose hits, overlaps and chances are known by construction."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from classifiers.localisation import (
    LocatedMap,
    best_level,
    framed_heatmap,
    localisation_figures,
    located_rows,
    on_film,
    overlap,
)
from suite.datasets.finding_places import known_places, place_of
from suite.datasets.manifest import Record
from suite.errors import InputError
from tests.made_films import write_png

SHAPE = (120, 80)


def outline(rows: slice, columns: slice, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 1
    return mask


def spot(row: int, column: int, cells: int = 12) -> np.ndarray:
    values = np.zeros((cells, cells), np.float32)
    values[row, column] = 1.0
    return values


def record(name: str = "a", patient: str = "p", **content: object) -> Record:
    return Record(name, patient, Path("none.png"), **content)  # type: ignore[arg-type]


def located(name: str, patient: str, cell: tuple[int, int], mask: np.ndarray) -> LocatedMap:
    heatmap = framed_heatmap("frontal", spot(*cell), mask.shape, 240)
    return LocatedMap(record(name, patient), "lung_lesion", heatmap, mask)


def test_a_map_equal_to_its_outline_is_perfect_and_chance_is_its_area() -> None:
    mask = outline(slice(30, 60), slice(20, 60))
    found = overlap(mask.astype(np.float32), mask)
    assert (found.hit, found.iou) == (True, 1.0)
    assert found.chance == pytest.approx(30 * 40 / (120 * 80))


def test_half_an_overlap_by_hand() -> None:
    """Two boxes of 100 pixels that share 50: 50 of 150."""
    heatmap = np.zeros(SHAPE, np.float32)
    heatmap[10:20, 10:20] = 0.4  # the level is a share of the map's own peak
    found = overlap(heatmap, outline(slice(10, 20), slice(15, 25)))
    assert found.iou == pytest.approx(50 / 150)
    assert found.hit is False


def test_a_map_of_everything_overlaps_as_much_as_chance() -> None:
    found = overlap(np.ones(SHAPE, np.float32), outline(slice(0, 60), slice(0, 20)))
    assert found.iou == pytest.approx(found.chance) == pytest.approx(60 * 20 / 9600)


def test_a_map_of_nothing_hits_nothing() -> None:
    found = overlap(np.zeros(SHAPE, np.float32), outline(slice(0, 120), slice(0, 80)))
    assert (found.hit, found.iou, found.chance) == (False, 0.0, 1.0)


def test_points_dropped_anywhere_hit_as_often_as_chance_says() -> None:
    rng, mask = np.random.default_rng(0), outline(slice(20, 70), slice(10, 50))
    hits = []
    for _ in range(2000):
        heatmap = np.zeros(SHAPE, np.float32)
        heatmap[rng.integers(120), rng.integers(80)] = 1.0
        hits.append(overlap(heatmap, mask).hit)
    # binomial standard deviation: 0.9 %
    assert np.mean(hits) == pytest.approx(50 * 40 / 9600, abs=0.035)


@pytest.mark.parametrize(
    ("heatmap", "mask", "message"),
    [
        (np.ones((3, 3), np.float32), np.ones((4, 3), np.uint8), "do not lie on one grid"),
        (np.ones((3, 3), np.float32), np.zeros((3, 3), np.uint8), "empty outline"),
        (np.full((3, 3), np.nan, np.float32), np.ones((3, 3), np.uint8), "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(heatmap: np.ndarray, mask: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overlap(heatmap, mask)


def test_a_cell_of_a_letterboxed_map_lands_on_its_part_of_the_film() -> None:
    """Film 120 x 80 in a square of 120: 20 empty columns each side; a cell is 10 pixels."""
    film = on_film(framed_heatmap("frontal", spot(3, 4), SHAPE, 240))
    assert film.shape == SHAPE
    rows, columns = np.nonzero(film > 0.5)
    assert (rows.mean(), columns.mean()) == (pytest.approx(34.5, abs=1), pytest.approx(24.5, abs=1))


def test_figures_and_baselines_of_two_patients() -> None:
    """Each map points at its own outline; the other patient's points elsewhere."""
    first, second = outline(slice(30, 40), slice(20, 30)), outline(slice(80, 90), slice(50, 60))
    maps = [located("a", "p", (3, 4), first), located("b", "q", (8, 7), second)]
    figures = localisation_figures(located_rows(maps), np.random.default_rng(0))
    assert figures["hit_rate"].value == figures["hit_rate_lung_lesion"].value == 1.0
    assert figures["other_patient_hit_rate"].value == 0.0
    assert figures["chance"].value == pytest.approx(100 / 9600)
    assert 0.3 < figures["miou"].value <= 1.0
    assert figures["other_patient_miou"].value == 0.0
    assert figures["hit_rate"].n == 2


def test_a_patient_is_not_his_own_stranger() -> None:
    mask = outline(slice(30, 40), slice(20, 30))
    rows = located_rows([located("a", "p", (3, 4), mask), located("b", "p", (3, 4), mask)])
    assert all(math.isnan(float(row["other_patient_hit_rate"])) for row in rows)  # type: ignore[arg-type]
    figures = localisation_figures(rows, np.random.default_rng(0))
    assert math.isnan(figures["other_patient_miou"].value)


def test_the_mean_counts_findings_not_films() -> None:
    hit, mask = (
        located("a", "p", (3, 4), outline(slice(30, 40), slice(20, 30))),
        outline(slice(0, 9), slice(0, 9)),
    )
    misses = [
        LocatedMap(record(f"m{n}", f"m{n}"), "edema", framed_heatmap("frontal", spot(9, 7), SHAPE, 240), mask)
        for n in range(3)
    ]
    figures = localisation_figures(located_rows([hit, *misses]), np.random.default_rng(0))
    assert figures["hit_rate"].value == 0.5
    assert figures["hit_rate_edema"].value == 0.0


def test_the_best_level_is_the_one_that_overlaps_most() -> None:
    """A map of 0.8 inside the outline and 0.35 around it: any level from 0.5 on (of the peak) is right."""
    values = np.full((12, 12), 0.35, np.float32)
    values[3:6, 4:7] = 0.8
    heatmap = framed_heatmap("frontal", values, (120, 120), 120)
    mask = outline(slice(30, 60), slice(40, 70), (120, 120))
    assert best_level([LocatedMap(record(), "edema", heatmap, mask)]) >= 0.5
    with pytest.raises(InputError, match="no film shows"):
        best_level([])


def test_boxes_are_shares_of_the_film_whatever_its_size() -> None:
    boxed = record(boxes={"lung_lesion": ((0.25, 0.5, 0.5, 0.75),)})
    assert known_places(boxed) == ("lung_lesion",)
    for side in (40, 400):
        mask = place_of(boxed, "lung_lesion", (side, side))
        assert mask.mean() == pytest.approx(1 / 16)
        assert mask[side * 5 // 8, side * 3 // 8] == 1
    assert not place_of(boxed, "edema", (40, 40)).any()


def test_outlines_are_read_and_brought_to_the_films_size(tmp_path: Path) -> None:
    path = write_png(tmp_path / "finding.png", outline(slice(10, 20), slice(10, 30), (40, 40)) * 255)
    drawn = record(targets={"finding_edema": path})
    assert known_places(drawn) == ("edema",)
    mask = place_of(drawn, "edema", (80, 80))
    assert mask.sum() == 20 * 40
    assert mask[30, 40] == 1


def test_run_lengths_of_a_pneumothorax_are_a_place() -> None:
    runs = record(attributes={"rle": "0 10", "rows": "10", "columns": "4"})
    assert known_places(runs) == ("pneumothorax",)
    np.testing.assert_array_equal(place_of(runs, "pneumothorax", (10, 4))[:, 0], 1)
    assert place_of(runs, "pneumothorax", (10, 4)).sum() == 10
