"""What the viewer is told and sent: priors of a patient, small copies, outlines, the order of findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from suite.findings import CODES
from suite.jobs.summary import summarise
from suite.records.priors import Headers, Prior, Priors
from suite.records.reviews import ReviewSheet, ReviewView, Verdict
from suite.report.draft import draft_sections
from tests.dicom_zoo import make_dataset, save
from tests.jobs_fakes import COLUMNS, ROWS, film_array, film_png
from tests.made_reading import made_report
from tests.web_house import House, open_house
from web.finding_rows import NOT_TRAINED, finding_rows
from web.reading_page import viewer_data


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "data") as house:
        for seed, name in enumerate(("now", "before", "long-before", "somebody-else", "later", "picture")):
            house.take(f"{name}.png", film_png(seed), "side.png", film_png(seed + 50))
        house.work()
        yield house


def give_header(house: House, study_id: str, **attributes: Any) -> None:
    """Make a study's stored frontal a DICOM file with these attributes."""
    path = house.services.store.source(study_id, "frontal.png")
    assert path is not None
    save(make_dataset(np.zeros((8, 8)), **attributes), path)


def priors(house: House) -> Priors:
    return Priors(house.services.database, house.services.store, Headers())


def give_headers(house: House) -> None:
    for study, patient, date in (
        ("now", "P7", "20240302"),
        ("before", "P7", "20230101"),
        ("long-before", "P7", "20190830"),
        ("somebody-else", "P8", "20220202"),
        ("later", "P7", "20250101"),
    ):
        give_header(house, study, PatientID=patient, StudyDate=date)


def test_priors_are_earlier_studies_of_the_same_patient_the_latest_first(house: House) -> None:
    give_headers(house)
    assert priors(house).of("now") == [Prior("before", "2023-01-01"), Prior("long-before", "2019-08-30")]


def test_the_same_number_with_another_birth_date_is_another_patient(house: House) -> None:
    give_headers(house)
    give_header(house, "now", PatientID="P7", StudyDate="20240302", PatientBirthDate="19500101")
    assert priors(house).of("now") == []


@pytest.mark.parametrize("attributes", [{"PatientID": None}, {"StudyDate": None}, {"StudyDate": ""}])
def test_without_patient_or_date_there_is_no_prior(house: House, attributes: dict[str, Any]) -> None:
    give_headers(house)
    give_header(house, "now", **{"PatientID": "P7", "StudyDate": "20240302", **attributes})
    assert priors(house).of("now") == []


def test_pictures_unknown_and_lost_files_have_no_prior_and_hide_no_other(house: House) -> None:
    give_headers(house)
    assert priors(house).of("picture") == []
    assert priors(house).of("unknown") == []
    path = house.services.store.source("before", "frontal.png")
    assert path is not None
    path.unlink()
    assert [prior.study_id for prior in priors(house).of("now")] == ["long-before"]


def test_the_viewer_is_given_the_latest_prior_with_its_films(house: House) -> None:
    give_headers(house)
    answer = house.client.get("/studies/now/priors").json
    assert answer is not None
    named = [house.services.catalogue.named(prior["study"]) for prior in answer["priors"]]
    assert named == ["before", "long-before"]  # told by pseudonym, as all pages name studies
    assert "before" not in json.dumps(answer)
    assert answer["latest"]["date"] == "2023-01-01"
    film = answer["latest"]["views"]["frontal"]["layers"]["film"]["url"]
    assert np.frombuffer(house.client.get(film).data, "<u2").size == ROWS * COLUMNS
    assert house.client.get("/studies/unknown/priors").status_code == 404


def test_a_small_copy_holds_the_means_of_squares(house: House) -> None:
    answer = house.client.get("/studies/now/pixels/film.u16?halvings=2")
    assert (answer.headers["X-Rows"], answer.headers["X-Columns"]) == (str(ROWS // 4), str(COLUMNS // 4))
    small = np.frombuffer(answer.data, "<u2").reshape(ROWS // 4, COLUMNS // 4)
    film = film_array(0).astype(float)
    expected = film.reshape(ROWS // 4, 4, COLUMNS // 4, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(small, expected, atol=1)
    whole = house.client.get("/studies/now/pixels/film.u16")
    assert whole.headers["ETag"] != answer.headers["ETag"]
    for silly in ("-3", "a", ""):
        assert len(house.client.get(f"/studies/now/pixels/film.u16?halvings={silly}").data) == len(whole.data)
    assert house.client.get("/studies/now/pixels/film.u16?halvings=99").status_code == 200


def report_path(house: House) -> Path:
    study = house.services.catalogue.study("now")
    assert study is not None
    assert study.done is not None
    return house.services.store.file("now", str(study.done.reading), "report.json")


def test_every_mask_of_a_reading_can_be_outlined(house: House) -> None:
    path = report_path(house)
    report = json.loads(path.read_text())
    for name in ("organ_mask", "heart_mask", "pneumothorax_mask", "new_structure"):
        report["images"][name] = f"{name}.png"
        assert cv2.imwrite(str(path.with_name(f"{name}.png")), np.full((ROWS, COLUMNS), 4, np.uint8))
    path.write_text(json.dumps(report))
    with house.app.test_request_context():
        outlines = viewer_data("now", report)["views"]["frontal"]["outlines"]
    assert {entry["key"] for entry in outlines} == {
        "right-lung",
        "left-lung",
        "heart",
        "clavicles",
        "pneumothorax",
        "new_structure",
    }
    for entry in outlines:
        assert house.client.get(entry["url"]).status_code == 200
    assert house.client.get("/studies/now/pixels/film.u8").status_code == 404


def test_findings_are_ordered_by_calibrated_probability_and_what_was_not_trained_has_no_number() -> None:
    report = made_report()
    by_code = {finding["code"]: finding for finding in report["findings"]}
    by_code["lung_lesion"] |= {"state": "not_suggested", "score": 9.0}  # a score is no probability
    rows = finding_rows(report)
    assert [row.code for row in rows[:4]] == [
        "pneumothorax",
        "enlarged_cardiomediastinum",
        "edema",
        "lung_lesion",
    ]
    assert rows[3].number == "score 9.00"
    assert {row.code for row in rows} == set(CODES)
    assert {(row.number, row.detail, row.bar) for row in rows[4:]} == {("–", NOT_TRAINED, None)}


def without_probability(report: dict[str, Any], code: str) -> dict[str, Any]:
    """The report with a score alone for ``code``, as of a head that learned from computed films."""
    found = next(each for each in report["findings"] if each["code"] == code)
    found |= {"state": "uncertain", "score": 1.2, "no_probability": "learned from computed films only"}
    found |= dict.fromkeys(("probability", "interval", "operating_point"))
    return report


def test_a_finding_without_a_probability_says_why_and_is_no_suggestion() -> None:
    report = without_probability(made_report(), "fracture")
    (row,) = (row for row in finding_rows(report) if row.code == "fracture")
    assert (row.number, row.words, row.bar) == ("score 1.20", "no probability", None)
    assert row.reason == "learned from computed films only"
    assert row.detail == "A score, not a probability: learned from computed films only."
    assert not row.is_suggested
    summary = summarise(report)
    assert "fracture" not in {each["code"] for each in summary["findings"]}
    assert (summary["with_probability"], summary["without_probability"]) == (3, 1)
    assert {row.reason for row in finding_rows(report) if row.code != "fracture"} == {""}


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (None, ""),
        (0.84, "The lateral film raised the score by 0.84, to 2.50."),
        (-0.3, "The lateral film lowered the score by 0.30, to 2.50."),
        (0.0001, "The lateral film did not change the score."),
    ],
)
def test_a_finding_says_what_the_lateral_did(effect: float | None, words: str) -> None:
    report = made_report()
    next(each for each in report["findings"] if each["code"] == "pneumothorax").update(
        score=2.5, lateral_effect=effect
    )
    (row,) = (row for row in finding_rows(report) if row.code == "pneumothorax")
    assert row.lateral == words


def test_the_findings_list_of_the_page_shows_why_there_is_no_probability(house: House) -> None:
    path = report_path(house)
    changed = without_probability(json.loads(path.read_text()), "fracture")
    changed["findings"][CODES.index("fracture")]["lateral_effect"] = 0.5
    path.write_text(json.dumps(changed))
    with house.app.test_request_context():
        assert viewer_data("now", json.loads(path.read_text()))["reasons"] == {
            "fracture": "learned from computed films only"
        }
    page = house.client.get("/studies/now").text
    row = page.split('<li class="finding-row scored" data-code="fracture"')[1].split("</button>")[0]
    assert '<button class="finding scored"' in row
    assert '<button class="finding uncertain"' in page  # an equivocal one
    assert "score 1.20" in row
    assert 'no probability<span class="reason">learned from computed films only</span>' in row
    assert page.count("learned from computed films only") >= 2  # in the list, and where it is opened
    assert '<p class="hint">The lateral film raised the score by 0.50, to 1.20.</p>' in page
    report = house.client.get("/studies/now/report").text
    assert "Nobody has judged" in report  # what was suggested
    assert "Fracture" not in report.split("Nobody has judged")[1].split("</p>")[0]


def test_a_finding_says_where_its_heatmap_is_strong_and_how_much_of_it_lies_in_the_lungs() -> None:
    (row,) = (row for row in finding_rows(made_report()) if row.code == "pneumothorax")
    assert row.zones == ("right lower", "posterior (lateral)")
    assert row.places == ("right lower, 60 % of it inside the lungs", "posterior (lateral)")
    assert row.is_suggested


def test_a_finding_of_the_heart_names_no_zone_of_a_lung() -> None:
    report = made_report()
    regions = next(each for each in report["findings"] if each["code"] == "pneumothorax")["regions"]
    heart = next(each for each in report["findings"] if each["code"] == "enlarged_cardiomediastinum")
    heart |= {"state": "suggested", "regions": regions}
    (row,) = (row for row in finding_rows(report) if row.code == "enlarged_cardiomediastinum")
    assert row.is_suggested
    assert row.zones == ()
    assert row.places == ("right lower, 60 % of it inside the lungs", "posterior (lateral)")


def test_a_measurement_attached_to_an_accepted_finding_is_in_the_draft_without_its_points() -> None:
    def said(number: int, verdict: Verdict, text: str | None, undone_at: float | None = None) -> ReviewView:
        return ReviewView(number, "job", "pneumothorax", verdict, text, "anna", None, 1.0, undone_at)

    points = "[frontal 50.0,100.0 150.0,100.0]"
    entries = (
        said(1, Verdict.ACCEPTED, None),
        said(2, Verdict.COMMENT, f"Length 23.5 mm at detector {points}"),
        said(3, Verdict.COMMENT, f"Length 99.0 mm at detector {points}", undone_at=2.0),
        said(4, Verdict.COMMENT, "Length of the tube unclear"),
    )
    sheet = ReviewSheet("film", entries)
    findings = draft_sections(made_report(), sheet, job_id="job")["findings"]
    assert findings.endswith("accepted by anna). Length 23.5 mm at detector.")
