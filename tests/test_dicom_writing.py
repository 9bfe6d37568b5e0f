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

from suite.dicom.writing import write_dicom
from suite.errors import InputError
from suite.findings import FINDINGS
from tests.dicom_zoo import make_dataset, save, scattered

_ROWS, _COLUMNS = 96, 128
_FILM = scattered(0, 4095, _ROWS, _COLUMNS)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _report() -> dict[str, Any]:
    findings: list[dict[str, Any]] = []
    for finding in FINDINGS:
        findings.append(
            {
                "code": finding.code,
                "name": finding.name,
                "score": None,
                "probability": None,
                "interval": None,
                "operating_point": None,
                "state": "not_trained",
                "regions": [],
                "heatmap": None,
            }
        )
    box = {"view": "frontal", "box": [10, 20, 50, 60], "zone": "right lower", "inside_lung": 0.6}
    side = {"view": "lateral", "box": [1, 2, 5, 6], "zone": "posterior", "inside_lung": None}
    for code, state, probability, regions in (
        ("pneumothorax", "suggested", 0.83, [box, side]),
        ("enlarged_cardiomediastinum", "uncertain", 0.41, []),
        ("edema", "not_suggested", 0.02, []),
    ):
        index = [finding.code for finding in FINDINGS].index(code)
        findings[index] |= {"state": state, "probability": probability, "regions": regions}
    return {
        "schema": "radsuite.report/1",
        "study": {"id": "film", "views": {}},
        "gate": {"accepted": True, "reasons": [], "checks": {}},
        "triage": {
            "score": 1.2,
            "probability": 0.9,
            "interval": [0.8, 0.95],
            "operating_point": 0.5,
            "state": "abnormal",
        },
        "findings": findings,
        "measurements": {},
        "images": {},
        "provenance": {
            "radsuite": "0.1.0",
            "stages": [{"name": "diagnosis", "weights_sha256": "ab" * 32, "device": "cpu", "seconds": 0.5}],
            "preprocessing": [],
        },
    }


def _images() -> dict[str, np.ndarray[Any, Any]]:
    mask = np.zeros((_ROWS, _COLUMNS), dtype=np.uint8)
    mask[20:70, 15:50] = 128
    mask[20:60, 80:120] = 255
    return {
        "lung_mask": mask,
        "bone_subtracted": (_FILM * 16).astype(np.uint16),
        "bone_suppressed": (65535 - _FILM * 16).astype(np.uint16),
        "residual": _FILM.astype(np.uint16),
    }


def _source(folder: Path, **changes: Any) -> Path:
    attributes: dict[str, Any] = {
        "ImagerPixelSpacing": [0.2, 0.2],
        "PatientOrientation": ["L", "F"],
        **changes,
    }
    return save(make_dataset(_FILM, **attributes), folder / "film.dcm")


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Dataset]:
    paths = write_dicom(_report(), _images(), _source(tmp_path), tmp_path / "out")
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
    paths = write_dicom(_report(), _images(), _source(tmp_path, **changes), tmp_path / "out")

    assert len(paths) == 4
    for path in paths:
        result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path.name


def test_every_result_belongs_to_the_patient_and_study_of_the_source(
    written: dict[str, Dataset], tmp_path: Path
) -> None:
    source = pydicom.dcmread(tmp_path / "film.dcm")

    assert set(written) == {"report", "lung_mask", "bone_subtracted", "bone_suppressed"}
    for item in written.values():
        assert item.StudyInstanceUID == source.StudyInstanceUID
        assert item.PatientID == source.PatientID
        assert item.SeriesInstanceUID != source.SeriesInstanceUID
    assert len({item.SOPInstanceUID for item in written.values()}) == 4


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
        "abnormal",
    ):
        assert expected in text, expected
    assert "Pulmonary edema" not in text
    assert "posterior" not in text


def test_regions_are_closed_outlines_on_the_source(written: dict[str, Dataset], tmp_path: Path) -> None:
    content: Any = hd.sr.srread(tmp_path / "out" / "report.dcm").content
    (group,) = content.get_planar_roi_measurement_groups()
    region = group.roi

    assert region.graphic_type is hd.sr.GraphicTypeValues.POLYLINE
    assert region.value.tolist() == [[10, 20], [50, 20], [50, 60], [10, 60], [10, 20]]


def test_segments_are_the_lungs_on_the_source_grid(written: dict[str, Dataset], tmp_path: Path) -> None:
    item = hd.seg.segread(tmp_path / "out" / "lung_mask.dcm")
    mask = _images()["lung_mask"]

    assert [description.segment_label for description in item.SegmentSequence] == [
        "Right lung, visible field",
        "Left lung, visible field",
    ]
    frames = item.pixel_array
    np.testing.assert_array_equal(frames[0], mask == 128)
    np.testing.assert_array_equal(frames[1], mask == 255)


def test_an_empty_mask_is_not_written(tmp_path: Path) -> None:
    images = {"lung_mask": np.zeros((_ROWS, _COLUMNS), dtype=np.uint8)}

    assert [path.name for path in write_dicom(_report(), images, _source(tmp_path), tmp_path)] == [
        "report.dcm"
    ]


def test_companions_keep_their_values_and_say_that_they_are_derived(
    written: dict[str, Dataset], tmp_path: Path
) -> None:
    item = written["bone_suppressed"]
    source = pydicom.dcmread(tmp_path / "film.dcm")

    np.testing.assert_array_equal(item.pixel_array, _images()["bone_suppressed"])
    assert item.ImageType[0] == "DERIVED"
    assert "Bone suppressed" in item.DerivationDescription
    assert item.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert list(item.PixelSpacing) == [0.2, 0.2]


def test_the_same_result_has_the_same_uids_and_another_has_others(tmp_path: Path) -> None:
    source = _source(tmp_path)
    changed = _report()
    changed["triage"]["probability"] = 0.5
    slower = _report()
    slower["provenance"]["stages"][0]["seconds"] = 99.0

    def uids(report: dict[str, Any]) -> list[str]:
        return [
            str(pydicom.dcmread(path).SOPInstanceUID) for path in write_dicom(report, {}, source, tmp_path)
        ]

    assert uids(_report()) == uids(slower)
    assert uids(_report()) != uids(changed)


def test_a_reading_without_findings_still_gives_a_report(tmp_path: Path) -> None:
    report = _report() | {"findings": None, "triage": None}

    (path,) = write_dicom(report, {}, _source(tmp_path), tmp_path / "out")
    assert pydicom.dcmread(path).Modality == "SR"


@pytest.mark.parametrize(
    "picture", [np.zeros((10, 10), dtype=np.uint8), np.zeros((_ROWS, _COLUMNS), dtype=np.uint16)]
)
def test_a_mask_off_the_grid_of_its_source_is_refused(picture: np.ndarray[Any, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="map it back first"):
        write_dicom(_report(), {"lung_mask": picture}, _source(tmp_path), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_source_without_uids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no StudyInstanceUID"):
        write_dicom(_report(), {}, _source(tmp_path, StudyInstanceUID=None), tmp_path / "out")
