"""Views, spacing, kinds of objects, kept headers and polarity, from headers alone or nearly so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from classifiers.gate.checks import check_age
from suite.dicom.attributes import parser_silenced
from suite.dicom.reading import kept_headers, read_radiograph
from suite.dicom.spacing import find_spacing
from suite.dicom.views import find_view
from suite.errors import NotARadiographError, UnreadableFileError
from suite.study import Projection
from tests.dicom_zoo import DX_PROCESSING, SECONDARY_CAPTURE, make_dataset, save, scattered

_FILM = scattered(0, 4095)


def _with(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _view_code(value: str, meaning: str) -> list[Dataset]:
    return [_with(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning)]


@pytest.mark.parametrize(
    ("headers", "projection"),
    [
        ({"ViewPosition": "PA"}, Projection.PA),
        ({"ViewPosition": "AP"}, Projection.AP),
        ({"ViewPosition": "LL"}, Projection.LATERAL),
        ({"ViewPosition": "RL"}, Projection.LATERAL),
        ({"ViewPosition": "LATERAL"}, Projection.LATERAL),
        ({"ViewPosition": "LLD"}, Projection.FRONTAL),
        ({"ViewPosition": "RLO", "SeriesDescription": "PA"}, Projection.UNKNOWN),
        ({"ViewCodeSequence": _view_code("272479007", "postero-anterior")}, Projection.PA),
        ({"ViewCodeSequence": _view_code("399348003", "antero-posterior")}, Projection.AP),
        ({"ViewCodeSequence": _view_code("R-10236", "left lateral")}, Projection.LATERAL),
        ({"ViewCodeSequence": _view_code("X-1", "lateral projection")}, Projection.LATERAL),
        ({"ViewPosition": "", "PatientOrientation": ["L", "F"]}, Projection.FRONTAL),
        ({"PatientOrientation": ["A", "F"]}, Projection.LATERAL),
        ({"PatientOrientation": ["PL", "FA"]}, Projection.LATERAL),
        ({"SeriesDescription": "Thorax p.a."}, Projection.PA),
        ({"SeriesDescription": "W033 Chest AP"}, Projection.AP),
        ({"ProtocolName": "CHEST_LAT"}, Projection.LATERAL),
        ({"SeriesDescription": "Thorax seitl."}, Projection.LATERAL),
        ({"SeriesDescription": "Chest PA and lateral"}, Projection.UNKNOWN),
        ({"SeriesDescription": "Clavicle (collateral vessels, apical)"}, Projection.UNKNOWN),
        ({}, Projection.UNKNOWN),
        # The more specific statement wins.
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, Projection.PA),
        ({"PatientOrientation": ["L", "F"], "SeriesDescription": "LAT"}, Projection.FRONTAL),
    ],
)
def test_the_view_follows_the_most_specific_header(headers: dict[str, Any], projection: Projection) -> None:
    assert find_view(_with(**headers)).projection is projection


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (["R", "F"], "right is on the picture's right"),
        (["L", "H"], "upside down"),
        (["F", "L"], "on its side"),
    ],
)
def test_unusual_orientation_is_reported(orientation: list[str], words: str) -> None:
    assert words in " ".join(find_view(_with(PatientOrientation=orientation)).warnings)


@pytest.mark.parametrize(
    ("headers", "millimetres", "warnings"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.2, 0.1]}, (0.2, 0.1), 1),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.18, 0.18]}, (0.2, 0.2), 1),
        ({"PixelSpacing": [0.168, 0.168]}, (0.168, 0.168), 0),
        ({"NominalScannedPixelSpacing": [0.175, 0.175]}, (0.175, 0.175), 0),
        ({"PixelSpacing": [0.0, 0.0]}, None, 1),
        ({"PixelSpacing": [25.4, 25.4], "ImagerPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), 1),
        ({}, None, 0),
    ],
)
def test_spacing_is_the_detectors_where_it_is_known(
    headers: dict[str, Any], millimetres: tuple[float, float] | None, warnings: int
) -> None:
    spacing = find_spacing(_with(**headers))

    assert spacing.millimetres == millimetres
    assert len(spacing.warnings) == warnings


def test_headers_are_kept_without_names_and_ids(tmp_path: Path) -> None:
    dataset = make_dataset(_FILM, Manufacturer="ACME", PatientOrientation=["L", "F"])
    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))

    assert film.headers["patient_age"] == "062Y"
    assert film.headers["manufacturer"] == "ACME"
    assert film.headers["patient_orientation"] == "L\\F"
    assert film.headers["study_instance_uid"] == dataset.StudyInstanceUID
    everything = repr((dict(film.headers), film.preprocessing, film.warnings))
    assert "Nobody" not in everything
    assert "secret-7" not in everything


@pytest.mark.parametrize(
    ("written", "birth", "studied", "age"),
    [
        ("", "20150305", "20260101", "010Y"),
        ("child", "20240601", "20260101", "019M"),
        ("062Y", "20150305", "20260101", "062Y"),
        ("", "19000101", "20260101", None),
        ("", "", "20260101", None),
        ("", "20150305", "", None),
    ],
)
def test_a_missing_age_is_the_one_between_birth_and_study(
    written: str, birth: str, studied: str, age: str | None
) -> None:
    with parser_silenced():  # which complains of an age that is none
        dataset = _with(PatientAge=written, PatientBirthDate=birth, StudyDate=studied)
    headers = kept_headers(dataset)

    assert headers.get("patient_age") == age
    assert "20150305" not in headers.values()


def test_a_film_without_a_study_date_has_the_age_of_the_day_it_was_taken() -> None:
    dataset = _with(PatientBirthDate="20200101", AcquisitionDate="20250630")
    assert kept_headers(dataset)["patient_age"] == "005Y"


def test_a_child_without_a_written_age_is_refused_by_the_gates_check(tmp_path: Path) -> None:
    dataset = make_dataset(_FILM, PatientBirthDate="20190101", StudyDate="20260101")
    dataset.PatientAge = ""
    found = check_age(read_radiograph(save(dataset, tmp_path / "film.dcm")))

    assert not found.passed
    assert "The patient is 7 years old" in found.message


@pytest.mark.parametrize(
    ("sop_class", "modality", "words"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT", r"a CT Image \(computed tomography\)"),
        ("1.2.840.10008.5.1.4.1.1.4", "MR", r"an MR Image"),
        ("1.2.840.10008.5.1.4.1.1.6.1", "US", r"an Ultrasound Image"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", r"an Encapsulated PDF \(a document\)"),
        ("1.2.840.10008.5.1.4.1.1.1.2", "MG", r"Mammography"),
        ("1.2.840.10008.5.1.4.1.1.7", "XC", r"a Secondary Capture Image \(a photograph\)"),
        ("1.2.3.4.5", "CR", r"unknown class 1\.2\.3\.4\.5"),
    ],
)
def test_other_objects_are_refused_by_name(sop_class: str, modality: str, words: str, tmp_path: Path) -> None:
    dataset = make_dataset(_FILM, SOPClassUID=sop_class, Modality=modality)

    with pytest.raises(NotARadiographError, match=words):
        read_radiograph(save(dataset, tmp_path / "film.dcm"))


def test_a_pdf_in_dicom_is_refused_as_a_document(tmp_path: Path) -> None:
    dataset = make_dataset(_FILM, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="OT")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(dataset, keyword)
    dataset.EncapsulatedDocument = b"%PDF-1.4\n"

    with pytest.raises(NotARadiographError, match="Encapsulated PDF"):
        read_radiograph(save(dataset, tmp_path / "letter.dcm"))


def test_a_text_file_is_no_dicom_file(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_text("Dear colleague, thank you for the film.")

    with pytest.raises(UnreadableFileError, match="not a DICOM file"):
        read_radiograph(path)


def test_raw_detector_values_are_read_with_a_warning(tmp_path: Path) -> None:
    dataset = make_dataset(
        _FILM, SOPClassUID=DX_PROCESSING, Modality="DX", PresentationIntentType="FOR PROCESSING"
    )
    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))

    assert any("FOR PROCESSING" in warning for warning in film.warnings)


def test_raw_values_linear_in_exposure_are_shown_by_their_logarithm(tmp_path: Path) -> None:
    dataset = make_dataset(
        _FILM,
        SOPClassUID=DX_PROCESSING,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        PixelIntensityRelationship="LIN",
    )
    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))

    low, high = np.log1p(4.0), np.log1p(4091.0)  # the 0.1 and 99.9 percentiles of 0..4095
    expected = 1 - np.clip((np.log1p(_FILM) - low) / (high - low), 0, 1)
    np.testing.assert_allclose(film.pixels, expected, atol=0.06)
    assert float(np.abs(film.pixels - expected).mean()) < 0.005


def test_a_constant_border_is_reported_and_does_not_set_the_contrast(tmp_path: Path) -> None:
    stored = np.zeros((200, 150), dtype=np.int64)
    stored[40:180, 10:150] = scattered(1000, 2000, 140, 140)
    film = read_radiograph(save(make_dataset(stored), tmp_path / "film.dcm"))

    assert any("top 40, bottom 20, left 10 pixels" in warning for warning in film.warnings)
    inner = np.clip((stored[40:180, 10:150] - 1000) / 1000, 0, 1)
    np.testing.assert_allclose(film.pixels[40:180, 10:150], inner, atol=2e-3)
    assert film.shape == (200, 150)


def _chest(rows: int = 128, columns: int = 128) -> np.ndarray[Any, Any]:
    """A crude positive: bright middle and body, dark lungs, 8 bits."""
    film = np.full((rows, columns), 160.0)
    x = np.linspace(0, 1, columns)
    lungs = ((np.abs(x - 0.28) < 0.13) | (np.abs(x - 0.72) < 0.13))[None, :]
    band = (np.abs(np.linspace(0, 1, rows) - 0.48) < 0.3)[:, None]
    film[lungs & band] = 40.0
    return (film + np.linspace(0, 20, columns)).astype(np.int64)


def test_a_converted_chest_film_that_wrongly_claims_monochrome1_is_read_with_bone_bright(
    tmp_path: Path,
) -> None:
    stored = _chest()
    claim: dict[str, Any] = {
        "bits": 8,
        "SOPClassUID": SECONDARY_CAPTURE,
        "PhotometricInterpretation": "MONOCHROME1",
    }
    wrong = read_radiograph(save(make_dataset(stored, **claim), tmp_path / "wrong.dcm"))
    right = read_radiograph(save(make_dataset(255 - stored, **claim), tmp_path / "right.dcm"))

    np.testing.assert_allclose(wrong.pixels, stored / 255, atol=1e-6)
    np.testing.assert_allclose(right.pixels, stored / 255, atol=1e-6)
    assert any("bone bright" in warning for warning in wrong.warnings)
    assert not any("bone bright" in warning for warning in right.warnings)


def test_the_header_of_a_film_from_a_device_is_believed_and_the_doubt_reported(tmp_path: Path) -> None:
    stored = _chest()
    dataset = make_dataset(stored, bits=8, PhotometricInterpretation="MONOCHROME1")
    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))

    np.testing.assert_allclose(film.pixels, 1 - stored / 255, atol=1e-6)
    assert any("negative" in warning for warning in film.warnings)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("WindowCenter", "abc"), ("RescaleSlope", "1,5"), ("PixelSpacing", "x"), ("Rows", None)],
)
def test_malformed_values_never_raise_another_exception(
    keyword: str, value: str | None, tmp_path: Path
) -> None:
    """Written past pydicom's own checks, as devices do."""
    path = save(
        make_dataset(_FILM, WindowCenter=111.5, WindowWidth=4096, RescaleSlope=1), tmp_path / "film.dcm"
    )
    content = path.read_bytes().replace(b"111.5", (value or "111.5").ljust(5).encode()[:5])
    path.write_bytes(content)

    assert read_radiograph(path).shape == _FILM.shape
