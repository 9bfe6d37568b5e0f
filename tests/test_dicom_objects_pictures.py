"""Heatmaps, contours and parametric maps: what a reader sees lies where the evidence lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from suite.dicom.presentation_state import contours
from suite.dicom.writing import Policy, write_dicom
from tests.made_reading import COLUMNS, ROWS, made_images, made_report, made_source

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _written(folder: Path, policy: Policy | None = None, **changes: Any) -> dict[str, Any]:
    paths = write_dicom(
        made_report(), made_images(), made_source(folder, **changes), folder / "out", policy=policy
    )
    return {path.stem: pydicom.dcmread(path) for path in paths}


def test_a_heatmap_colours_the_film_where_the_evidence_is_and_nowhere_else(tmp_path: Path) -> None:
    item = _written(tmp_path, Policy(labels=False))["heatmap_pneumothorax"]
    picture, film = item.pixel_array.astype(int), made_images()["film"] / 65535 * 255

    assert picture.shape == (ROWS, COLUMNS, 3)
    np.testing.assert_array_equal(picture[70:], np.rint(film[70:, :, None]).repeat(3, 2))  # no heat there
    spread = picture.max(axis=2) - picture.min(axis=2)
    assert spread[30:50, 20:40].min() > 20
    assert item.ImageType[0] == "DERIVED"
    assert "not for diagnostic use" in item.SeriesDescription
    assert "Pneumothorax" in item.ImageComments


def test_a_label_names_the_finding_only_where_the_policy_wants_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = _written(tmp_path / "a", Policy(labels=False))["heatmap_pneumothorax"].pixel_array
    labelled = _written(tmp_path / "b", Policy(labels=True))["heatmap_pneumothorax"].pixel_array

    assert (plain[:60] == labelled[:60]).all()
    assert (plain[-24:] != labelled[-24:]).any()


@pytest.mark.parametrize(("said", "says"), [("YES", "YES"), ("NO", "NO"), (None, None)])
def test_derived_pictures_claim_no_more_about_burned_in_text_than_the_film(
    said: str | None, says: str | None, tmp_path: Path
) -> None:
    written = _written(tmp_path, BurnedInAnnotation=said)

    for name in ("bone_suppressed", "heatmap_pneumothorax"):
        assert written[name].get("BurnedInAnnotation") == says


def test_a_site_can_do_without_heatmaps_and_contours(tmp_path: Path) -> None:
    written = _written(tmp_path, Policy(heatmaps=False, presentation_state=False))

    assert set(written) == {"report", "lung_mask", "bone_subtracted", "bone_suppressed"}


def test_contours_outline_lungs_and_evidence_on_the_film(tmp_path: Path) -> None:
    item = _written(tmp_path)["contours"]
    source = pydicom.dcmread(tmp_path / "film.dcm")
    lines = {
        annotation.GraphicLayer: [
            np.array(graphic.GraphicData).reshape(-1, 2) for graphic in annotation.GraphicObjectSequence
        ]
        for annotation in item.GraphicAnnotationSequence
    }
    reference = item.ReferencedSeriesSequence[0].ReferencedImageSequence[0]

    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    boxes = {
        layer: sorted((*line.min(axis=0), *line.max(axis=0)) for line in drawn)
        for layer, drawn in lines.items()
    }
    # through the centres of the outermost pixels: columns 15..49 and rows 20..69 of the right lung
    assert boxes["LUNGS"] == [(15.5, 20.5, 49.5, 69.5), (80.5, 20.5, 119.5, 59.5)]
    assert boxes["FINDINGS"] == [(20.5, 30.5, 39.5, 49.5)]  # above half of the peak
    words = [
        text.UnformattedTextValue
        for annotation in item.GraphicAnnotationSequence
        for text in annotation.get("TextObjectSequence", [])
    ]
    assert words == ["Pneumothorax 0.83"]


@pytest.mark.parametrize(
    ("changes", "shape", "window"),
    [
        ({"WindowCenter": 2048, "WindowWidth": 4096}, "IDENTITY", (2048, 4096)),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "INVERSE", None),
        ({"WindowCenter": 600, "WindowWidth": 0}, "IDENTITY", None),
        ({"WindowCenter": [600, 700], "WindowWidth": 100}, "IDENTITY", None),
    ],
    ids=["window", "negative", "impossible", "unpaired"],
)
def test_the_presentation_keeps_polarity_and_windows_that_can_be_applied(
    changes: dict[str, Any], shape: str, window: tuple[float, float] | None, tmp_path: Path
) -> None:
    item = _written(tmp_path, **changes)["contours"]

    assert item.PresentationLUTShape == shape
    if window is None:
        assert "SoftcopyVOILUTSequence" not in item
    else:
        (voi,) = item.SoftcopyVOILUTSequence
        assert (voi.WindowCenter, voi.WindowWidth) == window


def test_a_ragged_outline_is_simplified_and_still_encloses_the_area() -> None:
    rows, columns = np.mgrid[0:600, 0:600]
    angle = np.arctan2(rows - 300, columns - 300)
    ragged = np.hypot(rows - 300, columns - 300) < 200 + 8 * np.sin(180 * angle)
    (outline,) = contours(ragged)
    x, y = outline[:-1].T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))

    assert len(outline) <= 401
    assert (outline[0] == outline[-1]).all()
    assert abs(area / ragged.sum() - 1) < 0.05


def test_a_parametric_map_holds_the_evidence_as_numbers(tmp_path: Path) -> None:
    item = _written(tmp_path, Policy(parametric_maps=True))["map_pneumothorax"]
    values = np.frombuffer(item.FloatPixelData, dtype="<f4").reshape(item.Rows, item.Columns)

    np.testing.assert_allclose(values, made_images()["heatmap_pneumothorax_frontal"] / 255, atol=1e-6)
    mapping = item.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "130402"


def test_without_spacing_there_is_no_parametric_map(tmp_path: Path) -> None:
    written = _written(tmp_path, Policy(parametric_maps=True), ImagerPixelSpacing=None)

    assert "map_pneumothorax" not in written


def test_derived_pictures_name_patient_study_and_maker_as_the_other_objects_do(tmp_path: Path) -> None:
    told = {"IssuerOfPatientID": "HOSP-A", "StudyDescription": "Chest, two views", "PatientAge": "062Y"}
    written = _written(tmp_path, **told)

    for name in ("bone_suppressed", "heatmap_pneumothorax", "contours", "lung_mask", "report"):
        assert {keyword: written[name].get(keyword) for keyword in told} == told, name
    assert written["bone_suppressed"].ManufacturerModelName == "radsuite"
    assert written["bone_suppressed"].SoftwareVersions == "0.1.0"


@pytest.mark.parametrize(("said", "says"), [("01", "01"), ("00", None), (None, None)])
def test_what_a_film_lost_in_compression_is_lost_in_pictures_computed_from_it(
    said: str | None, says: str | None, tmp_path: Path
) -> None:
    written = _written(tmp_path, LossyImageCompression=said, LossyImageCompressionRatio=12.5)

    assert written["bone_suppressed"].get("LossyImageCompression") == says
    assert written["bone_suppressed"].get("LossyImageCompressionRatio") == (12.5 if says else None)


def test_every_object_says_that_it_is_not_for_diagnostic_use(tmp_path: Path) -> None:
    written = _written(tmp_path, Policy(parametric_maps=True))

    assert {"lung_mask", "bone_suppressed", "heatmap_pneumothorax", "contours", "report"} < set(written)
    for name, item in written.items():
        assert "not for diagnostic use" in item.to_json(), name
        assert len(item.SeriesDescription) <= 64
