"""The report and its pictures: schema, grey values number by number, heat that lands where it belongs."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from suite.analysis import Analyzer
from suite.commands.analysis import table_of
from suite.errors import InputError, StageError, StorageError, SuiteError
from suite.findings import CODES, FINDINGS
from suite.intake import read_study
from suite.reading import Reading
from suite.report import regions as region_words
from suite.report.disagreement import disagreement
from suite.report.regions import LungZones, regions_of
from suite.report.schema import validate
from suite.stages.artifacts import FindingResult
from suite.study import FULL_16_BIT, GreyScale, Projection, Study
from tests import fake_stages
from tests.made_films import chest, chest_pixels, write_png

SHAPE = (300, 200)


def study(*, frontal: bool = True, lateral: bool = False, scale: GreyScale = FULL_16_BIT) -> Study:
    front = chest(*SHAPE, grey_scale=scale, spacing=(0.5, 0.25)) if frontal else None
    return Study("s1", front, chest(240, 260, 1, projection=Projection.LATERAL) if lateral else None)


def read(
    patch: pytest.MonkeyPatch,
    stages: Sequence[type],
    films: Study | None = None,
    *,
    override_gate: bool = False,
) -> Reading:
    """One reading by fake stages, its report checked against the schema as every report is on writing."""
    fake_stages.install(patch, stages)
    reading = Analyzer(device="cpu").run(films or study(), override_gate=override_gate)
    validate(reading.report)
    json.dumps(reading.report, allow_nan=False)
    return reading


def finding(reading: Reading, code: str) -> dict[str, Any]:
    found = reading.report["findings"][CODES.index(code)]
    assert found["code"] == code
    return found


# what a report says


def test_an_accepted_film_has_every_section(monkeypatch: pytest.MonkeyPatch) -> None:
    report = read(monkeypatch, fake_stages.whole_house()).report
    assert report["schema"] == "radsuite.report/1"
    assert report["study"] == {
        "id": "s1",
        "views": {
            "frontal": {
                "source": "chest-0.png",
                "projection": "PA",
                "rows": 300,
                "columns": 200,
                "spacing_mm": [0.5, 0.25],
            }
        },
    }
    assert report["gate"]["accepted"] is True
    assert report["gate"]["reasons"] == []
    assert report["triage"] == {
        "score": 1.23457,
        "probability": 0.75,
        "interval": [0.6, 0.85],
        "operating_point": 0.4,
        "state": "abnormal",
    }
    assert [each["code"] for each in report["findings"]] == list(CODES)
    assert [each["name"] for each in report["findings"]] == [each.name for each in FINDINGS]
    assert {"film", "lung_mask", "bone_subtracted", "bone_suppressed", "residual"} <= set(report["images"])
    assert report["warnings"] == ["A warning of the lungs."]
    stages = report["provenance"]["stages"]
    assert [stage["name"] for stage in stages] == ["gate", "lungs", "triage", "bone", "diagnosis"]
    assert all(stage["weights_sha256"] == fake_stages.SHA256 and stage["device"] == "cpu" for stage in stages)
    assert "lung_mask: looked at the film" in report["provenance"]["preprocessing"]
    assert report["provenance"]["unavailable"] == []


def test_heads_without_teaching_or_calibration_have_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())
    numbers = ("score", "probability", "interval", "operating_point", "heatmap")
    fracture, edema = finding(reading, "fracture"), finding(reading, "edema")
    assert fracture["state"] == "not_trained"
    assert [fracture[key] for key in numbers] == [None] * 5
    assert fracture["regions"] == []
    assert edema["score"] == 0.25
    assert [edema[key] for key in numbers[1:]] == [None] * 4


def read_computed_fracture(patch: pytest.MonkeyPatch) -> Reading:
    make = fake_stages.without_probability("fracture", "learned from computed films only")
    return read(patch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])


def test_a_score_without_a_probability_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = read_computed_fracture(monkeypatch)
    fracture = finding(reading, "fracture")
    assert fracture["no_probability"] == "learned from computed films only"
    assert (fracture["state"], fracture["score"], fracture["probability"]) == ("uncertain", 1.2, None)
    assert fracture["heatmap"] == {"frontal": "heatmap_fracture_frontal.png"}
    assert finding(reading, "pneumothorax")["no_probability"] is None


@pytest.mark.parametrize(
    "change",
    [{"probability": 0.4}, {"interval": [0.2, 0.6]}, {"operating_point": 0.5}, {"state": "suggested"}],
)
def test_the_schema_refuses_a_probability_beside_the_reason_why_there_is_none(
    monkeypatch: pytest.MonkeyPatch, change: Mapping[str, Any]
) -> None:
    reading = read_computed_fracture(monkeypatch)
    finding(reading, "fracture").update(change)
    with pytest.raises(SuiteError, match=f"findings/{CODES.index('fracture')}/{next(iter(change))}"):
        validate(reading.report)


def test_a_finding_says_what_the_lateral_did_to_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        results = fake_stages.findings()(inputs)
        return tuple(replace(each, lateral_effect=0.1234567) if each.score else each for each in results)

    reading = read(monkeypatch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])
    assert finding(reading, "pneumothorax")["lateral_effect"] == 0.12346
    assert finding(reading, "fracture")["lateral_effect"] is None
    finding(reading, "fracture")["lateral_effect"] = 0.1
    with pytest.raises(SuiteError, match="lateral_effect"):
        validate(reading.report)


def test_the_command_lines_table_says_why_findings_have_no_probability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = [dict(read_computed_fracture(monkeypatch).report)] * 2
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(reports))
    printed = console.export_text()
    assert "No probability, learned from computed films only: Fracture." in printed
    assert printed.count("Fracture") == 1
    without = dict(read(monkeypatch, fake_stages.whole_house()).report)
    assert table_of([without]).caption == "No probability, not calibrated: Edema."
    none = {**without, "findings": [each for each in without["findings"] if each["code"] != "edema"]}
    assert table_of([none]).caption is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"fracture": None, "edema": None}, "no probability for 2 findings"),
        ({"fracture": None, "edema": 0.02}, "none; no probability for 1 finding"),
        ({"fracture": 0.01, "edema": 0.02}, "none"),
        ({}, "none"),
    ],
)
def test_the_table_says_none_only_of_findings_with_a_probability(
    told: Mapping[str, float | None], words: str
) -> None:
    findings = [
        {
            "code": code,
            "name": code,
            "score": 0.1,
            "probability": probability,
            "state": "uncertain" if probability is None else "not_suggested",
        }
        for code, probability in told.items()
    ]
    report = {"study": {"id": "film"}, "gate": None, "triage": None, "findings": findings}
    assert list(table_of([report]).columns[-1].cells) == [words]


def test_a_refused_film_has_nothing_but_the_why(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [
        fake_stages.gate("It is upside down; turn it.", "It is a hand."),
        *fake_stages.whole_house()[1:],
    ]
    reading = read(monkeypatch, stages)
    report = reading.report
    assert report["gate"]["accepted"] is False
    assert report["gate"]["overridden"] is False
    assert report["gate"]["reasons"] == ["It is upside down; turn it.", "It is a hand."]
    assert report["gate"]["checks"]["chest"] == {"passed": True, "value": 0.98, "message": "This is a chest."}
    assert report["gate"]["checks"]["check_0"]["value"] is None
    for section in ("triage", "findings", "measurements", "images"):
        assert report[section] is None
    assert [stage["name"] for stage in report["provenance"]["stages"]] == ["gate"]
    assert set(reading.images) == {"film"}


def test_an_overridden_refusal_is_read_and_stays_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is a hand."), *fake_stages.whole_house()[1:]]
    report = read(monkeypatch, stages, override_gate=True).report
    assert report["gate"]["accepted"] is False
    assert report["gate"]["overridden"] is True
    assert report["gate"]["reasons"] == ["It is a hand."]
    assert report["findings"] is not None
    assert report["images"]["lung_mask"] == "lung_mask.png"


def test_overriding_an_acceptance_overrides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        read(monkeypatch, fake_stages.whole_house(), override_gate=True).report["gate"]["overridden"] is False
    )


def test_a_lateral_alone_is_refused_without_running_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    views = fake_stages.fake("views", "lateral", "view", lambda _study: {"view": 1})
    reading = read(monkeypatch, [*fake_stages.whole_house(), views], study(frontal=False, lateral=True))
    assert reading.report["gate"]["accepted"] is False
    assert "no frontal film" in reading.report["gate"]["reasons"][0]
    assert reading.report["provenance"]["stages"] == []
    assert set(reading.report["study"]["views"]) == {"lateral"}
    assert reading.report["findings"] is reading.report["images"] is None


def test_a_lateral_alone_can_be_forced_through_what_needs_no_frontal(monkeypatch: pytest.MonkeyPatch) -> None:
    films = study(frontal=False, lateral=True)
    reading = read(monkeypatch, fake_stages.whole_house(), films, override_gate=True)
    assert reading.report["provenance"]["stages"] == []
    assert reading.report["images"] == {"film_lateral": "film_lateral.png"}


@pytest.mark.parametrize(
    "left_out", ["gate", "bone diagnosis", "triage", "lungs bone diagnosis", "diagnosis"]
)
def test_sections_of_stages_that_did_not_run_are_null(monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    stages = [stage for stage in fake_stages.whole_house() if stage.name not in left_out.split()]  # type: ignore[attr-defined]
    report = read(monkeypatch, stages).report
    section_of = {"gate": "gate", "triage": "triage", "diagnosis": "findings", "lungs": "measurements"}
    for name, section in section_of.items():
        assert (report[section] is None) == (name in left_out.split())
    assert ("bone_subtracted" in report["images"]) == ("bone" not in left_out)
    assert ("lung_mask" in report["images"]) == ("lungs" not in left_out)


def test_findings_in_another_order_are_not_relabelled(monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return fake_stages.findings()(inputs)[::-1]

    def twelve(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return fake_stages.findings()(inputs)[:12]

    for make in (shuffled, twelve):
        fake_stages.install(monkeypatch, [*fake_stages.whole_house()[:4], fake_stages.diagnosis(make)])
        with pytest.raises(StageError, match="are not the 13 known ones in their order"):
            Analyzer(device="cpu").run(study())


def test_numbers_of_numpy_are_written_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from suite.stages.artifacts import Check, GateResult

    checks = (
        Check("a", np.bool_(True), np.float32(0.5), "x"),  # type: ignore[arg-type]
        Check("b", True, float("nan"), "y"),
        Check("c", True, "PA", "z"),
    )
    gate = fake_stages.fake("gate", "frontal", "gate", lambda _study: {"gate": GateResult(checks)})
    single = FindingResult("edema", "uncertain", np.float32(0.1))  # type: ignore[arg-type]

    def make(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(single if each.code == "edema" else each for each in fake_stages.findings()(inputs))

    stages = [gate, *fake_stages.whole_house()[1:4], fake_stages.diagnosis(make)]
    reading = read(monkeypatch, stages)
    assert [check["value"] for check in reading.report["gate"]["checks"].values()] == [0.5, None, "PA"]
    assert finding(reading, "edema")["score"] == 0.1


# measurements


def test_areas_are_those_of_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """180 rows, columns 33 to 83 and 116 to 166; a pixel is 0.5 x 0.25 mm."""
    measured = read(monkeypatch, fake_stages.whole_house()).report["measurements"]
    assert measured["right_lung_area_px"] == 180 * (83 - 33)
    assert measured["left_lung_area_px"] == 180 * (166 - 116)
    assert measured["lung_area_px"] == 18_000
    assert measured["lung_area_cm2_at_detector"] == pytest.approx(18_000 * 0.5 * 0.25 / 100)


def test_an_area_without_a_spacing_is_in_pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = read(monkeypatch, fake_stages.whole_house(), Study("s", chest(*SHAPE))).report["measurements"]
    assert "lung_area_cm2_at_detector" not in measured


# grey values


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_film_is_soft_tissue_plus_bone_number_by_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bits: int
) -> None:
    """Read from a file, decomposed, written and read back: the numbers of the file itself."""
    values = np.rint(chest_pixels(*SHAPE) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    values[0, :2] = 0, 2**bits - 1
    write_png(tmp_path / "film.png", values)
    reading = read(monkeypatch, fake_stages.whole_house(), read_study(tmp_path / "film.png"))
    reading.write(tmp_path / "out")
    layers = {
        name: stored(tmp_path / "out", name) for name in ("bone_subtracted", "bone_suppressed", "residual")
    }
    assert all(layer.dtype == np.uint16 for layer in layers.values())
    widened = values.astype(np.int64) * (257 if bits == 8 else 1)
    np.testing.assert_array_equal(widened, layers["bone_suppressed"] + layers["bone_subtracted"])
    np.testing.assert_array_equal(layers["residual"], layers["bone_subtracted"])
    assert layers["bone_subtracted"][1:3].max() == 0  # the fake takes bone from every third row
    assert layers["bone_subtracted"][150].min() > 0


@pytest.mark.parametrize("scale", [GreyScale(0.0, 65535.0), GreyScale(0.0, 4095.0), GreyScale(500.0, 3000.0)])
def test_layers_add_up_on_any_grey_scale(monkeypatch: pytest.MonkeyPatch, scale: GreyScale) -> None:
    films = study(scale=scale)
    images = read(monkeypatch, fake_stages.whole_house(), films).images
    assert films.frontal is not None
    total = images["bone_suppressed"].astype(np.int64) + images["bone_subtracted"]
    np.testing.assert_array_equal(total, scale.to_uint16(films.frontal.pixels))


def test_a_dicom_film_keeps_the_full_sixteen_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DICOM film's presentation values are spread over 0 to 65535; the layers live there too."""
    films = study()
    images = read(monkeypatch, fake_stages.whole_house(), films).images
    total = images["bone_suppressed"].astype(np.int64) + images["bone_subtracted"]
    np.testing.assert_array_equal(total, images["film"])
    report = read(monkeypatch, fake_stages.whole_house(), films).report
    assert report["provenance"]["grey_scale"]["frontal"] == {"black": 0.0, "white": 65535.0}


def stored(folder: Path, name: str) -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


# regions and heatmaps


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


@pytest.mark.parametrize("triage", ["normal", "abnormal", "uncertain", None])
def test_two_networks_that_disagree_are_not_left_to_the_reader_to_notice(triage: str | None) -> None:
    findings = [
        {"name": name, "state": state}
        for name, state in (("Edema", "suggested"), ("Fracture", "uncertain"), ("Pneumonia", "suggested"))
    ]
    lines = disagreement(triage, findings)
    assert len(lines) == (triage == "normal")
    assert all("(Edema, Pneumonia)" in line and "do not take the film for normal" in line for line in lines)
    assert disagreement(triage, findings[1:2]) == []


@pytest.mark.parametrize("state", ["normal", "abnormal"])
def test_a_normal_triage_with_a_suggestion_is_among_the_warnings(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [stage for stage in fake_stages.whole_house() if stage.name != "triage"]  # type: ignore[attr-defined]
    stages = [fake_stages.triage(state), *others]
    warnings = read(monkeypatch, stages).report["warnings"]
    assert any("(Pneumothorax): the two networks disagree" in line for line in warnings) == (
        state == "normal"
    )


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


# the schema


def valid(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return copy.deepcopy(dict(read(monkeypatch, fake_stages.whole_house()).report))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "radsuite.report/2"),
        (("study", "id"), ""),
        (("study", "views"), {}),
        (("study", "views", "frontal", "projection"), "OBLIQUE"),
        (("study", "views", "frontal", "spacing_mm"), [0.0, 0.1]),
        (("gate", "accepted"), "yes"),
        (("triage", "probability"), 1.2),
        (("triage", "interval"), [0.1]),
        (("triage", "state"), "sick"),
        (("findings", 0, "code"), "cold"),
        (("findings", 0, "state"), "maybe"),
        (("findings", 11, "score"), 1.0),
        (("findings", 11, "probability"), 0.5),
        (("findings", 8, "regions", 0, "box"), [0, 0, -1, 5]),
        (("findings", 8, "regions", 0, "inside_lung"), 1.5),
        (("images", "film"), "film.jpg"),
        (("provenance", "stages", 0, "weights_sha256"), "abc"),
        (("measurements",), {"lung_area_px": "large"}),
        (("surprise",), 1),
    ],
)
def test_a_report_that_breaks_the_schema_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: tuple[str | int, ...], value: Any
) -> None:
    report = valid(monkeypatch)
    inner: Any = report
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(SuiteError, match=r"does not follow radsuite\.report/1"):
        Reading(report, {}).write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_twelve_findings_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    report = valid(monkeypatch)
    report["findings"].pop()
    with pytest.raises(SuiteError, match="findings does not follow"):
        validate(report)


def test_a_number_that_is_not_finite_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = valid(monkeypatch)
    report["triage"]["score"] = float("nan")
    with pytest.raises(SuiteError, match="study s1 holds a number that is not finite"):
        Reading(report, {}).write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# writing


def test_everything_the_report_names_is_written_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())
    path = reading.write(tmp_path / "deep" / "out")
    assert json.loads(path.read_text()) == reading.report
    named = {*reading.report["images"].values(), *finding(reading, "pneumothorax")["heatmap"].values()}
    assert {each.name for each in path.parent.iterdir()} == {"report.json", *named}
    for name, picture in reading.images.items():
        np.testing.assert_array_equal(stored(path.parent, name), picture)


def test_writing_again_replaces_the_folder_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    read(monkeypatch, fake_stages.whole_house(), study(lateral=True)).write(out)
    assert (out / "film_lateral.png").exists()
    read(monkeypatch, [fake_stages.gate("No.")]).write(out)
    assert {path.name for path in out.iterdir()} == {"report.json", "film.png"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("killed")])
def test_a_crash_while_writing_leaves_the_old_folder_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    out = tmp_path / "out"
    reading = read(monkeypatch, fake_stages.whole_house())
    reading.write(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fail(*_arguments: Any) -> None:
        raise error

    monkeypatch.setattr("suite.reading.write_text", fail)
    with pytest.raises(StorageError if isinstance(error, OSError) else RuntimeError):
        reading.write(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_full_disk_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading = read(monkeypatch, fake_stages.whole_house())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"could not be written \(No space left on device\); free space"):
        reading.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_swap_that_fails_puts_the_old_folder_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reading = read(monkeypatch, fake_stages.whole_house())
    reading.write(out)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == out and self.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        reading.write(out)
    assert (out / "report.json").exists()
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be made or opened"):
        read(monkeypatch, fake_stages.whole_house()).write(tmp_path / "file" / "out")


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


def test_one_check_is_overridden_by_its_name_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is mirrored."), *fake_stages.whole_house()[1:]]
    fake_stages.install(monkeypatch, stages)
    gate = Analyzer(device="cpu").run(study(), override_gate=["check_0"]).report["gate"]
    assert (gate["accepted"], gate["overridden"], gate["reasons"]) == (False, True, ["It is mirrored."])
    assert gate["checks"]["check_0"]["overridden"] is True
    assert "overridden" not in gate["checks"]["chest"]


def test_a_film_that_fails_another_check_stays_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [fake_stages.gate("It is mirrored.", "It is a hand."), *fake_stages.whole_house()[1:]]
    fake_stages.install(monkeypatch, stages)
    report = Analyzer(device="cpu").run(study(), override_gate=["check_0"]).report
    validate(report)
    assert report["gate"]["overridden"] is False
    assert report["gate"]["checks"]["check_0"]["overridden"] is True
    assert report["findings"] is None
    with pytest.raises(
        InputError, match="check 'hand' is none of the gate's; override one of chest, check_0"
    ):
        Analyzer(device="cpu").run(study(), override_gate=["hand"])
