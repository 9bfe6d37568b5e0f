"""Heat lands where it belongs: boxes on the film, zones in words, shares inside the lungs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from suite.commands.analysis import table_of
from suite.report import regions as region_words
from suite.report.regions import LungZones, regions_of
from tests import fake_stages
from tests.made_films import chest
from tests.report_house import SHAPE, finding, read, study


def letterboxed(row: float, column: float, shape: tuple[int, int], cells: int = 16) -> tuple[float, float]:
    """(y, x) on the film of a point (row, column) in cells of the letterboxed map; worked out anew here."""
    side = max(shape)
    return row * side / cells - (side - shape[0]) // 2, column * side / cells - (side - shape[1]) // 2


@pytest.mark.parametrize("cell", [(3, 5), (8, 8), (12, 10), (0, 6), (15, 9)])
def test_a_hot_cell_lands_on_its_place_of_the_film(
    monkeypatch: pytest.MonkeyPatch, cell: tuple[int, int]
) -> None:
    stages = [
        *fake_stages.whole_house()[:4],
        fake_stages.diagnosis(fake_stages.findings({"frontal": [cell]})),
    ]
    reading = read(monkeypatch, stages)
    found = finding(reading, "pneumothorax")
    assert found["heatmap"] == {"frontal": "heatmap_pneumothorax_frontal.png"}
    picture = reading.images["heatmap_pneumothorax_frontal"]
    assert picture.dtype == np.uint8
    assert picture.shape == SHAPE
    y, x = letterboxed(cell[0] + 0.5, cell[1] + 0.5, SHAPE)
    assert picture[int(y), int(x)] >= 0.95 * picture.max() > 220
    ys, xs = np.nonzero(picture > 127)
    # a cell is 18.75 pixels; half the peak is half a cell away, at the edge of the film all of it
    assert abs(ys.mean() + 0.5 - y) <= 5
    assert abs(xs.mean() + 0.5 - x) <= 5
    (region,) = found["regions"]
    x0, y0, x1, y1 = region["box"]
    assert x0 <= x < x1
    assert y0 <= y < y1
    assert 0 <= x0 < x1 <= SHAPE[1]
    assert 0 <= y0 < y1 <= SHAPE[0]
    assert max(x1 - x0, y1 - y0) <= 2 * 18.75


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0.3, 0.25, "right upper"),
        (0.5, 0.25, "right middle"),
        (0.7, 0.25, "right lower"),
        (0.3, 0.75, "left upper"),
        (0.5, 0.75, "left middle"),
        (0.7, 0.75, "left lower"),
    ],
)
def test_zones_are_the_patients_sides_and_thirds_of_the_lungs(row: float, column: float, words: str) -> None:
    """The patient's right is on the picture's left; the lungs reach from 1/5 to 4/5 of the rows."""
    film = chest(300, 300)
    mask = fake_stages.lungs_of(film.shape)
    hot = fake_stages.heatmap("frontal", film, (int(row * 32), int(column * 32)), cells=32)
    (region,) = regions_of(hot, LungZones.of(mask, film.shape), mask)
    assert region["zone"] == words


def test_a_lateral_has_heights_but_no_sides_and_no_lungs() -> None:
    film = chest(300, 300)
    hot = fake_stages.heatmap("lateral", film, (2, 3))
    (region,) = regions_of(hot, LungZones.of(None, film.shape), fake_stages.lungs_of((10, 10)))
    assert (region["view"], region["zone"], region["inside_lung"]) == ("lateral", "upper", None)


def test_a_region_that_lies_on_both_sides_is_called_neither() -> None:
    """Across the middle, a cell further to the right, and one further to the left."""
    film = chest(320, 320)
    zones = LungZones.of(fake_stages.lungs_of(film.shape), film.shape)
    across = [(8, column) for column in range(5, 11)]
    (region,) = regions_of(fake_stages.heatmap("frontal", film, *across), zones, None)
    assert region["zone"] == "bilateral middle"
    for shift, side in ((-2, "right"), (2, "left")):
        shifted = [(row, column + shift) for row, column in across]
        (region,) = regions_of(fake_stages.heatmap("frontal", film, *shifted), zones, None)
        assert region["zone"] == f"{side} middle"
    (region,) = regions_of(fake_stages.heatmap("lateral", film, *across), zones, None)
    assert region["zone"] == "middle"


def test_the_table_names_no_zone_of_a_lung_for_the_heart() -> None:
    regions = [{"zone": "right middle"}]
    findings = [
        {"code": code, "name": name, "state": "suggested", "probability": chance, "regions": regions}
        for code, name, chance in (("cardiomegaly", "Cardiomegaly", 0.8), ("edema", "Edema", 0.4))
    ]
    report = {"study": {"id": "film"}, "gate": None, "triage": None, "findings": findings}
    console = Console(file=io.StringIO(), width=200)
    console.print(table_of([report]))
    assert "Cardiomegaly 0.80; Edema 0.40, right middle" in console.file.getvalue()  # type: ignore[attr-defined]


def test_sides_without_a_mask_are_the_films_halves() -> None:
    film = chest(300, 300)
    for column, side in ((3, "right"), (12, "left")):
        hot = fake_stages.heatmap("frontal", film, (8, column))
        for mask in (None, np.zeros(film.shape, np.uint8)):
            (region,) = regions_of(hot, LungZones.of(mask, film.shape), mask)
            assert region["zone"] == f"{side} middle"


def test_a_tilted_chest_has_its_own_middle() -> None:
    mask = np.zeros((300, 300), np.uint8)
    mask[50:250, 10:80], mask[50:250, 90:160] = 128, 255
    zones = LungZones.of(mask, mask.shape)
    assert zones.words(70, 60, lateral=False) == "right upper"
    assert zones.words(120, 240, lateral=False) == "left lower"


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_inside_the_lungs(share: float) -> None:
    """The mask covers that share of the hot cell's width."""
    film = chest(320, 320)
    mask = np.zeros(film.shape, np.uint8)
    # half the peak of a cell stretched bilinearly over its neighbours: one cell wide, columns 150 to 170
    mask[:, : int(150 + 20 * share)] = 128
    hot = fake_stages.heatmap("frontal", film, (7, 7), (8, 7), (7, 8), (8, 8))
    (region,) = regions_of(hot, LungZones.of(mask, film.shape), mask)
    x0, _, x1, _ = region["box"]
    mask[:] = 0
    mask[:, : round(x0 + share * (x1 - x0))] = 128
    (region,) = regions_of(hot, LungZones.of(mask, film.shape), mask)
    assert region["inside_lung"] == pytest.approx(share, abs=0.08)


def test_a_fine_lung_edge_is_not_blurred_by_the_maps_cells() -> None:
    """Stripes of one pixel in four: a quarter of the heat, whatever the cell is."""
    film = chest(512, 512)
    mask = np.zeros(film.shape, np.uint8)
    mask[:, ::16], mask[:, 1::16], mask[:, 2::16], mask[:, 3::16] = 128, 128, 128, 128
    hot = fake_stages.heatmap("frontal", film, (8, 8), cells=8 * 2)
    (region,) = regions_of(hot, LungZones.of(mask, film.shape), mask)
    assert region["inside_lung"] == pytest.approx(0.25, abs=0.1)


def test_heat_in_the_letterbox_is_not_on_the_film() -> None:
    film = chest(300, 100)  # the map's columns 0 to 5 and 11 to 15 are outside
    assert (
        regions_of(fake_stages.heatmap("frontal", film, (8, 1)), LungZones.of(None, film.shape), None) == []
    )
    both = fake_stages.heatmap("frontal", film, (8, 1), (4, 8))
    (region,) = regions_of(both, LungZones.of(None, film.shape), None)
    assert region["box"][1] < 4.5 * 300 / 16 < region["box"][3]


def test_the_strongest_three_regions_come_first() -> None:
    film = chest(320, 320)
    hot = fake_stages.heatmap("frontal", film, (2, 2), (2, 12), (12, 2), (12, 12))
    for place, value in (((2, 12), 0.9), ((12, 2), 0.8), ((12, 12), 0.7)):
        hot.values[place] = value
    zones = [each["zone"] for each in regions_of(hot, LungZones.of(None, film.shape), None)]
    assert zones == ["right upper", "left upper", "right lower"]
    assert region_words.MOST_REGIONS == 3


def test_a_map_without_evidence_has_no_region() -> None:
    film = chest(320, 320)
    assert regions_of(fake_stages.heatmap("frontal", film), LungZones.of(None, film.shape), None) == []


@pytest.mark.parametrize("shape", [(32, 32), (40, 50), (33, 400), (500, 40)])
def test_boxes_lie_on_the_film_and_are_not_empty(shape: tuple[int, int]) -> None:
    film = chest(*shape)
    for row in range(0, 16, 3):
        for column in range(0, 16, 3):
            hot = fake_stages.heatmap("frontal", film, (row, column))
            for region in regions_of(hot, LungZones.of(None, film.shape), None):
                x0, y0, x1, y1 = region["box"]
                assert 0 <= x0 < x1 <= shape[1]
                assert 0 <= y0 < y1 <= shape[0]


def test_both_views_have_their_own_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    places = fake_stages.findings({"frontal": [(8, 8)], "lateral": [(2, 3)]})
    stages = [*fake_stages.whole_house()[:4], fake_stages.diagnosis(places)]
    reading = read(monkeypatch, stages, study(lateral=True))
    found = finding(reading, "pneumothorax")
    assert set(found["heatmap"]) == {"frontal", "lateral"}
    assert [region["view"] for region in found["regions"]] == ["frontal", "lateral"]
    assert reading.images["heatmap_pneumothorax_lateral"].shape == (240, 260)
    assert reading.report["images"]["film_lateral"] == "film_lateral.png"


@pytest.mark.parametrize("cells", [7, 14, 16, 32])
def test_a_single_hot_cell_is_a_region_however_fine_the_map(cells: int) -> None:
    """A nodule of 12 mm is one cell of the 32 x 32 that a 512 pixel input gives."""
    film = chest(300, 300)
    hot = fake_stages.heatmap("frontal", film, (cells // 2, cells // 3), cells=cells)
    (region,) = regions_of(hot, LungZones.of(None, film.shape), None)
    x0, y0, x1, y1 = region["box"]
    assert x0 <= (cells // 3 + 0.5) * 300 / cells <= x1
    assert y0 <= (cells // 2 + 0.5) * 300 / cells <= y1
    assert max(x1 - x0, y1 - y0) <= 300 / cells + 6
