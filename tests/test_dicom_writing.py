"""Results written back into DICOM: valid, complete, of the right study, and on the right pixels."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from suite.dicom.reviews import Review
from suite.dicom.writing import Policy, write_dicom
from suite.errors import InputError
from tests.made_reading import COLUMNS, ROWS, made_images, made_report, made_source

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Dataset]:
    paths = write_dicom(made_report(), made_images(), made_source(tmp_path), tmp_path / "out")
    return {path.stem: pydicom.dcmread(path) for path in paths}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"PatientAge": "68"},
        {"PatientAge": "old", "PatientOrientation": None, "ImagerPixelSpacing": None},
        {"PatientID": None, "PatientName": None, "PatientSex": None, "PixelSpacing": [0.0, 0.0]},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ImagerPixelSpacing": None},
    ],
    ids=["complete", "age", "sparse", "anonymous", "capture"],
)
def test_a_validator_finds_no_error(changes: dict[str, Any], tmp_path: Path) -> None:
    paths = write_dicom(
        made_report(),
        made_images(),
        made_source(tmp_path, **changes),
        tmp_path / "out",
        reviews=[
            Review("pneumothorax", "accepted", "Doe^Jane", 1.7e9),
            Review("edema", "rejected", "Roe", 0.0),
        ],
        policy=Policy(parametric_maps=True),
    )

    assert len(paths) == (6 if changes.get("ImagerPixelSpacing", "given") is None else 7)
    for path in paths:
        result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path.name


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
def test_a_validator_finds_no_error_in_masks_of_organs_and_pneumothorax(tmp_path: Path) -> None:
    pictures = made_images()
    sides = pictures["lung_mask"]
    whole = np.where(sides > 0, 255, 0).astype(np.uint8)
    pictures |= {"heart_mask": whole, "clavicle_mask": sides, "pneumothorax_mask": whole}
    paths = write_dicom(made_report(), pictures, made_source(tmp_path), tmp_path / "out")
    masks = {path.stem: path for path in paths if path.stem.endswith("_mask")}
    assert set(masks) == {"lung_mask", "heart_mask", "clavicle_mask", "pneumothorax_mask"}
    for path in masks.values():
        result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path.name
    named = [
        (item.SegmentedPropertyTypeCodeSequence[0].CodeValue, item.SegmentedPropertyTypeCodeSequence[0])
        for path in masks.values()
        for item in pydicom.dcmread(path).SegmentSequence
    ]
    # PS3.16: lung, heart, clavicle (context group 6310 and others), pneumothorax (6103).
    assert sorted({value for value, _ in named}) == sorted({"39607008", "80891009", "51299004", "36118008"})
    paired = [item for value, item in named if value in ("39607008", "51299004")]
    modifiers = [item.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning for item in paired]
    assert sorted(modifiers) == ["Left", "Left", "Right", "Right"]


def test_every_result_belongs_to_the_patient_and_study_of_the_source(
    written: dict[str, Dataset], tmp_path: Path
) -> None:
    source = pydicom.dcmread(tmp_path / "film.dcm")

    assert set(written) == {
        "report",
        "lung_mask",
        "bone_subtracted",
        "bone_suppressed",
        "heatmap_pneumothorax",
        "contours",
    }
    for item in written.values():
        assert item.StudyInstanceUID == source.StudyInstanceUID
        assert item.PatientID == source.PatientID
        assert item.SeriesInstanceUID != source.SeriesInstanceUID
    assert len({item.SOPInstanceUID for item in written.values()}) == 6


def test_the_report_names_what_is_suggested_with_probability_and_algorithm(
    written: dict[str, Dataset],
) -> None:
    text = written["report"].to_json()

    assert written["report"].SOPClassUID.name == "Comprehensive SR Storage"
    assert written["report"].ContentTemplateSequence[0].TemplateIdentifier == "1500"
    for expected in (
        "36118008",
        "0.83",
        "0.41",
        "radsuite diagnosis",
        "0.1.0",
        "abab",
        "right lower",
        "Abnormal",
    ):
        assert expected in text, expected
    assert "Pulmonary edema" not in text
    assert "posterior" not in text


def test_regions_are_closed_outlines_on_the_source(written: dict[str, Dataset], tmp_path: Path) -> None:
    content: Any = hd.sr.srread(tmp_path / "out" / "report.dcm").content
    group = content.get_planar_roi_measurement_groups()[0]
    region = group.roi

    assert region.graphic_type is hd.sr.GraphicTypeValues.POLYLINE
    assert region.value.tolist() == [[10, 20], [50, 20], [50, 60], [10, 60], [10, 20]]


def test_segments_are_the_lungs_on_the_source_grid(written: dict[str, Dataset], tmp_path: Path) -> None:
    item = hd.seg.segread(tmp_path / "out" / "lung_mask.dcm")
    mask = made_images()["lung_mask"]

    assert [description.segment_label for description in item.SegmentSequence] == [
        "Right lung, visible field",
        "Left lung, visible field",
    ]
    frames = item.pixel_array
    np.testing.assert_array_equal(frames[0], mask == 128)
    np.testing.assert_array_equal(frames[1], mask == 255)


def test_an_empty_mask_is_not_written(tmp_path: Path) -> None:
    images = {"lung_mask": np.zeros((ROWS, COLUMNS), dtype=np.uint8)}

    assert [path.name for path in write_dicom(made_report(), images, made_source(tmp_path), tmp_path)] == [
        "report.dcm"
    ]


def test_companions_keep_their_values_and_say_that_they_are_derived(
    written: dict[str, Dataset], tmp_path: Path
) -> None:
    item = written["bone_suppressed"]
    source = pydicom.dcmread(tmp_path / "film.dcm")

    np.testing.assert_array_equal(item.pixel_array, made_images()["bone_suppressed"])
    assert item.ImageType[0] == "DERIVED"
    assert "Bone suppressed" in item.DerivationDescription
    assert item.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert list(item.PixelSpacing) == [0.2, 0.2]


def test_the_same_result_has_the_same_uids_and_another_has_others(tmp_path: Path) -> None:
    source = made_source(tmp_path)
    changed = made_report()
    changed["triage"]["probability"] = 0.5
    slower = made_report()
    slower["provenance"]["stages"][0]["seconds"] = 99.0

    def uids(report: dict[str, Any]) -> list[str]:
        return [
            str(pydicom.dcmread(path).SOPInstanceUID) for path in write_dicom(report, {}, source, tmp_path)
        ]

    assert uids(made_report()) == uids(slower)
    assert uids(made_report()) != uids(changed)


def test_a_reading_without_findings_still_gives_a_report(tmp_path: Path) -> None:
    report = made_report() | {"findings": None, "triage": None}

    (path,) = write_dicom(report, {}, made_source(tmp_path), tmp_path / "out")
    assert pydicom.dcmread(path).Modality == "SR"


@pytest.mark.parametrize(
    "picture", [np.zeros((10, 10), dtype=np.uint8), np.zeros((ROWS, COLUMNS), dtype=np.uint16)]
)
def test_a_mask_off_the_grid_of_its_source_is_refused(picture: np.ndarray[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="map it back first"):
        write_dicom(made_report(), {"lung_mask": picture}, made_source(tmp_path), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_source_without_uids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no StudyInstanceUID"):
        write_dicom(made_report(), {}, made_source(tmp_path, StudyInstanceUID=None), tmp_path / "out")
