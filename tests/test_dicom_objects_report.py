"""The structured report: probabilities with their intervals, sides, masks it refers to, readers' verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest

from suite.dicom.reviews import Review, latest_by_finding
from suite.dicom.writing import write_dicom
from suite.errors import InputError
from tests.made_reading import made_images, made_report, made_source

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MORNING, NOON = 1_763_713_800.0, 1_763_726_400.0  # 2025-11-21, 08:30 and 12:00 UTC


def _written(folder: Path, *reviews: Review) -> Any:
    write_dicom(made_report(), made_images(), made_source(folder), folder / "out", reviews=reviews)
    return hd.sr.srread(folder / "out" / "report.dcm")


def _finding(report: Any, meaning: str) -> Any:
    groups = report.content.get_image_measurement_groups()
    return next(group for group in groups if group.finding_type and group.finding_type.meaning == meaning)


def _values(items: list[Any]) -> dict[str, Any]:
    return {item.name.meaning: item.value for item in items}


def test_a_probability_comes_with_interval_and_operating_point(tmp_path: Path) -> None:
    group = _finding(_written(tmp_path), "Pneumothorax")
    measured = {item.name.meaning: item for item in group.get_measurements()}
    within = measured["Probability"][0].ContentSequence

    assert measured["Probability"].value == 0.83
    assert measured["Operating point"].value == 0.4
    assert {
        float(item.MeasuredValueSequence[0].NumericValue) for item in within if item.ValueType == "NUM"
    } == {0.02, 0.1}


def test_a_finding_is_on_the_side_of_its_region(tmp_path: Path) -> None:
    (site,) = _finding(_written(tmp_path), "Pneumothorax").finding_sites

    assert site.value.meaning == "Pleura"
    assert site.laterality.meaning == "Right"


def test_each_lung_is_a_group_that_refers_to_its_frame_with_its_area(tmp_path: Path) -> None:
    groups = _written(tmp_path).content.get_planar_roi_measurement_groups()
    mask = pydicom.dcmread(tmp_path / "out" / "lung_mask.dcm")
    lungs = [group for group in groups if group.roi is None or "Lung" in str(group.finding_type.meaning)]

    areas = [_values(group.get_measurements())["Area"] for group in lungs]
    assert areas == [50 * 35 * 0.04, 40 * 40 * 0.04]
    text = (tmp_path / "out" / "report.dcm").read_bytes()
    assert text.count(mask.SOPInstanceUID.encode()) == 3  # both lungs, and the evidence


def test_the_report_names_every_other_object_as_evidence(tmp_path: Path) -> None:
    report = _written(tmp_path)
    named = {
        instance.ReferencedSOPInstanceUID
        for sequence in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(sequence, [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    others = [path for path in (tmp_path / "out").iterdir() if path.stem != "report"]

    assert len(others) == 5
    assert named == {pydicom.dcmread(path).SOPInstanceUID for path in (*others, tmp_path / "film.dcm")}


def test_a_reader_is_an_observer_of_the_report_and_of_the_finding(tmp_path: Path) -> None:
    report = _written(tmp_path, Review("pneumothorax", "accepted", "Doe^Jane", MORNING))
    observers = report.content.get_observer_contexts()
    group = _finding(report, "Pneumothorax")[0]
    names = [str(item.PersonName) for item in group.ContentSequence if item.ValueType == "PNAME"]

    assert {context.observer_type.meaning for context in observers} == {"Device", "Person"}
    assert names == ["Doe^Jane"]
    assert group.ObservationDateTime == "20251121083000+0000"
    evaluations = _values(_finding(report, "Pneumothorax").get_qualitative_evaluations())
    assert evaluations["Verdict of the reader"].meaning == "Accepted by the reader"
    assert report.VerificationFlag == "UNVERIFIED"


def test_a_finding_that_was_not_suggested_is_there_once_a_reader_spoke_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = _written(tmp_path / "a").to_json()
    after = _written(tmp_path / "b", Review("edema", "rejected", "Roe", NOON)).to_json()

    assert "Pulmonary edema" not in before
    assert "Pulmonary edema" in after
    assert "Roe^" in after


def test_what_has_no_probability_is_told_as_text_with_the_reason(tmp_path: Path) -> None:
    report = made_report()
    fracture = next(each for each in report["findings"] if each["code"] == "fracture")
    fracture |= {
        "state": "uncertain",
        "score": 1.2,
        "no_probability": "calibrated with other weights of lungs",
    }
    (tmp_path / "a").mkdir()
    write_dicom(report, made_images(), made_source(tmp_path / "a"), tmp_path / "out")
    groups = hd.sr.srread(tmp_path / "out" / "report.dcm").content.get_image_measurement_groups()

    (told,) = (group for group in groups if group.tracking_identifier == "Findings without a probability")
    texts = [item.TextValue for item in told[0].ContentSequence if item.name.meaning == "Comment"]
    assert texts == ["No probability, calibrated with other weights of lungs: Fracture."]
    assert not told.get_measurements()

    (tmp_path / "b").mkdir()
    assert "without a probability" not in _written(tmp_path / "b").to_json()


def test_a_verdict_makes_a_new_report_and_leaves_the_pictures_as_they_are(tmp_path: Path) -> None:
    film = made_source(tmp_path)

    def uids(name: str, *reviews: Review) -> dict[str, str]:
        paths = write_dicom(made_report(), made_images(), film, tmp_path / name, reviews=reviews)
        return {path.stem: str(pydicom.dcmread(path).SOPInstanceUID) for path in paths}

    plain, reviewed = uids("plain"), uids("reviewed", Review("edema", "accepted", "Roe", NOON))
    assert plain.pop("report") != reviewed.pop("report")
    assert plain == reviewed


def test_the_last_verdict_on_a_finding_counts() -> None:
    first = Review("edema", "accepted", "Roe", MORNING)
    second = Review("edema", "rejected", "Doe^Jane", NOON)

    assert latest_by_finding((second, first)) == {"edema": second}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (("hiccups", "accepted", "Roe", 0.0), "no such finding"),
        (("edema", "maybe", "Roe", 0.0), "use accepted or rejected"),
        (("edema", "accepted", " ", 0.0), "needs a name"),
        (("edema", "accepted", "Roe", float("nan")), "not a time"),
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(values: tuple[Any, ...], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Review(*values)


@pytest.mark.parametrize("declared", [None, "ISO_IR 101"])
def test_readers_are_named_in_letters_that_the_film_has_not(tmp_path: Path, declared: str | None) -> None:
    patient = "Nobody^Known" if declared is None else "Łukasiewicz^Żaneta"
    review = Review("pneumothorax", "accepted", "Müller 山田", 1_700_000_000.0)
    source = made_source(tmp_path, SpecificCharacterSet=declared, PatientName=patient)
    paths = write_dicom(made_report(), made_images(), source, tmp_path / "out", reviews=[review])

    for path in paths:
        assert str(pydicom.dcmread(path).PatientName) == patient
    said = str(pydicom.dcmread(paths[-1]))
    assert "Müller 山田" in said
    assert "?" not in said
