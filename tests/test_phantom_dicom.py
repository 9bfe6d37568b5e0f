"""Computed films as DICOM: valid by an independent checker, and read back as the films they were."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from suite.intake import collect
from suite.phantom import PhantomStudy, render_study
from suite.phantom.cohort import CohortSettings, write_cohort
from suite.phantom.export import REGIONS, VIEWS, Film, Visit, uid, write_chest_dicom, write_films
from suite.study import Projection

VENDORS = {"film": 12, "flat": 14, "equalised": 15, "soft": 16}
VISIT = Visit("key", 17, "phantom-1-000016", "F", 61.7)


@lru_cache(maxsize=1)
def _study() -> PhantomStudy:
    return render_study(3, size=96, oversample=1)


def _by_vendor(vendor: str, projection: str = "PA") -> PhantomStudy:
    study = _study()
    patient = study.patient.with_technique(vendor=vendor, projection=projection)
    return replace(study, patient=patient)


@pytest.mark.parametrize("vendor", VENDORS)
def test_films_come_back_through_the_intake(vendor: str, tmp_path: Path) -> None:
    study = _by_vendor(vendor)
    paths = write_chest_dicom(tmp_path, study, VISIT)
    assert [path.name for path in paths] == ["phantom-1-000016.dcm", "phantom-1-000016-lateral.dcm"]
    found = collect([tmp_path])
    assert not found.refused
    assert [one.id for one in found.studies] == ["phantom-1-000016"]
    back = found.studies[0].load()
    assert study.lateral is not None
    assert back.frontal is not None
    assert back.lateral is not None
    assert back.frontal.projection is Projection.PA
    assert back.lateral.projection is Projection.LATERAL
    # Half a grey step of the bits stored, and bone stays bright.
    step = 0.51 / (2 ** VENDORS[vendor] - 1) + 1e-7
    assert np.abs(back.frontal.pixels - study.frontal).max() < step
    assert np.abs(back.lateral.pixels - study.lateral).max() < step
    assert back.frontal.spacing == pytest.approx(study.spacing, rel=1e-5)
    assert back.lateral.spacing == pytest.approx(study.lateral_spacing, rel=1e-5)
    assert back.frontal.headers["patient_age"] == "061Y"


def test_both_polarities_and_several_bit_depths_occur(tmp_path: Path) -> None:
    seen = set()
    for vendor in VENDORS:
        path = write_chest_dicom(tmp_path / vendor, _by_vendor(vendor), VISIT)[0]
        header = dcmread(path, stop_before_pixels=True)
        seen.add((header.PhotometricInterpretation, header.PresentationLUTShape, header.BitsStored))
    assert {(p, shape) for p, shape, _ in seen} == {("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")}
    assert {bits for *_, bits in seen} == {12, 14, 15, 16}


def test_headers_are_those_of_one_visit(tmp_path: Path) -> None:
    frontal, lateral = (
        dcmread(path) for path in write_chest_dicom(tmp_path, _by_vendor("flat", "AP"), VISIT)
    )
    assert str(frontal.PatientName) == "Phantom^0017"
    assert frontal.StudyInstanceUID == lateral.StudyInstanceUID
    assert len({frontal.SeriesInstanceUID, lateral.SeriesInstanceUID}) == 2
    assert len({frontal.SOPInstanceUID, lateral.SOPInstanceUID}) == 2
    assert (frontal.ViewPosition, lateral.ViewPosition) == ("AP", "LL")
    assert frontal.ViewCodeSequence[0].CodeMeaning == "antero-posterior"
    assert list(frontal.PatientOrientation) == ["L", "F"]
    assert list(lateral.PatientOrientation) == ["P", "F"]
    assert frontal.BodyPartExamined == "CHEST"
    assert int(frontal.StudyDate[:4]) - int(frontal.PatientBirthDate[:4]) == 61


def test_uids_depend_on_the_key_alone() -> None:
    first = uid("a", "study")
    assert first == uid("a", "study")
    assert first.is_valid
    assert len(first) <= 64
    assert len({first, uid("b", "study"), uid("a", "series"), uid("as", "tudy")}) == 4
    # A number below 2.25 is a UUID: 128 bits with the variant of RFC 9562.
    assert int(str(first).split(".")[2]) >> 62 & 0b11 == 0b10


def test_a_cohort_writes_the_same_dicom_twice(tmp_path: Path) -> None:
    settings = CohortSettings(seed=5, size=64, dicom=True)
    for name in ("one", "two"):
        write_cohort(settings, 1, tmp_path / name)
    one = sorted((tmp_path / "one").rglob("*.dcm"))
    two = sorted((tmp_path / "two").rglob("*.dcm"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert [path.parent.name for path in one] == ["dicom", "dicom"]
    assert settings.uid_key(0) != replace(settings, size=96).uid_key(0)


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed"
)
def test_an_independent_checker_finds_no_error(tmp_path: Path) -> None:
    paths = [*write_chest_dicom(tmp_path, _by_vendor("film"), VISIT)]
    paths += write_chest_dicom(tmp_path / "two", _by_vendor("soft", "AP"), VISIT)
    limb = Film(_study().frontal, "AP", 0.15, "L", technique={"KVP": 55.0, "Grid": "NONE"})
    for part in REGIONS:
        paths += write_films(tmp_path / part, Visit(part, 1, part, part=part), {"": limb})
    for path in paths:
        result = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
        complaints = [line for line in result.stderr.splitlines() if line.startswith(("Error", "Warning"))]
        assert complaints == [], path.name
        assert "DXImageForPresentation" in result.stderr


def test_every_view_has_its_code() -> None:
    assert set(VIEWS) == {"PA", "AP", "LL"}
    assert VIEWS["LL"] == ("399173006", "left lateral")
