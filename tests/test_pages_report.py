"""Written reports: drafted from verdicts, signed by a person, not changed after that; PDF, archive, push."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pypdf
import pytest
from sqlalchemy import update

from suite import intake
from suite.accounts.principal import LOCAL, SCOPES_OF_ROLE, Means, Principal, Role
from suite.dicom.network.nodes import DIMSE, Destination, Nodes
from suite.errors import AccessError, ConflictError, InputError, StorageError
from suite.jobs.models import WrittenReport
from suite.jobs.submission import Submission
from suite.jobs.worker import load_study
from suite.records.report_digest import SignedContent, digest, fits
from suite.records.reviews import Reviews, ReviewSheet, ReviewView, StaleError, Verdict
from suite.records.written import WrittenReports
from suite.records.written_views import WrittenView
from suite.report.document import Cover, write_pdf
from suite.report.draft import draft_sections
from tests.dicom_network_house import as_bytes, film
from tests.jobs_fakes import film_png
from tests.pages_house import Person, pseudonym, signed_in
from tests.web_house import House, open_house
from web import create_app

ADA = Principal("ada", Role.READER, SCOPES_OF_ROLE[Role.READER], Means.SESSION, 1)
PACS = Destination("pacs", DIMSE, "PACS", "127.0.0.1", 104)
TEXT = {"technique": "PA.", "findings": "Effusion.", "impression": "1. Effusion."}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("reports"), sign_in=True) as opened:
        for number in range(4):
            opened.take(f"chest-{number}.png", film_png(number), "side.png", film_png(90 + number))
        opened.work()
        yield opened


@pytest.fixture
def ada(house: House) -> Person:
    return signed_in(house, "ada")


def reviews(house: House) -> Reviews:
    return house.services.reviews


def small_film() -> bytes:
    """An 8-bit picture (64, 48), as the page hands it over."""
    return cv2.imencode(".png", np.linspace(0, 255, 64 * 48).astype(np.uint8).reshape(64, 48))[1].tobytes()


def job_of(house: House, study_id: str) -> str:
    """The job of a study's latest reading."""
    done = house.services.catalogue.study(study_id).done
    return str(done.id)


def said(finding: str, verdict: Verdict, text: str | None = None, job_id: str = "job") -> ReviewView:
    return ReviewView(1, job_id, finding, verdict, text, "ada", None, 0.0, None)


class TestDraft:
    REPORT = {  # noqa: RUF012
        "study": {"views": {"frontal": {"projection": "AP"}, "lateral": {"projection": "LATERAL"}}},
        "findings": [
            {
                "code": "pleural_effusion",
                "probability": 0.714,
                "interval": [0.62, 0.79],
                "regions": [{"zone": "left lower"}, {"zone": "left lower"}, {"zone": "right lower"}],
            },
            {"code": "edema", "probability": None, "interval": None, "regions": []},
        ],
    }

    def test_only_what_was_accepted_or_added_becomes_text(self) -> None:
        sheet = ReviewSheet(
            "s",
            (
                said("pleural_effusion", Verdict.ACCEPTED, "Small."),
                said("edema", Verdict.ACCEPTED),
                said("fracture", Verdict.ADDED),
                said("cardiomegaly", Verdict.REJECTED),
            ),
        )
        sections = draft_sections(self.REPORT, sheet, job_id="job")
        assert sections["technique"] == "Chest radiograph, AP and lateral."
        assert sections["findings"].split("\n") == [
            "Edema (suggested by the software, accepted by ada).",
            "Pleural effusion, left lower and right lower zones (suggested with 71 %, 95 % interval 62 to "
            "79 %, accepted by ada). Small.",
            "Fracture (added by ada).",
        ]
        assert sections["impression"].split("\n") == [
            "1. Edema.",
            "2. Pleural effusion, left lower and right lower zones.",
            "3. Fracture.",
        ]

    def test_the_heart_lies_in_no_zone_of_a_lung(self) -> None:
        heart = {"code": "cardiomegaly", "probability": 0.5, "regions": [{"zone": "right middle"}]}
        report = {**self.REPORT, "findings": [heart]}
        sheet = ReviewSheet("s", (said("cardiomegaly", Verdict.ACCEPTED),))
        sections = draft_sections(report, sheet, job_id="job")
        assert sections["impression"] == "1. Cardiomegaly."

    def test_silence_is_not_called_normal(self) -> None:
        sheet = ReviewSheet("s", (said("edema", Verdict.REJECTED),))
        sections = draft_sections(self.REPORT, sheet, job_id="job")
        assert (sections["findings"], sections["impression"]) == ("", "")

    def test_numbers_and_places_are_of_the_reading_that_was_judged(self) -> None:
        """A verdict on an earlier reading stands, and accepts nothing that a later one says."""
        sheet = ReviewSheet("s", (said("pleural_effusion", Verdict.ACCEPTED, "Small.", "earlier"),))
        sections = draft_sections(self.REPORT, sheet, job_id="job")
        assert sections["findings"] == (
            "Pleural effusion (suggested in another reading, accepted by ada). Small."
        )
        assert sections["impression"] == "1. Pleural effusion."


class TestSigning:
    def test_a_draft_is_kept_signed_and_then_only_added_to(self, house: House) -> None:
        written: WrittenReports = house.services.written
        job = job_of(house, "chest-0")
        first = written.save("chest-0", TEXT, ADA, seen_version=0, job_id=job)
        with pytest.raises(StaleError):
            written.save("chest-0", TEXT, ADA, seen_version=0)
        with pytest.raises(ConflictError, match="not signed yet"):
            written.add("chest-0", "more", ADA)
        signed = written.sign("chest-0", ADA, seen_version=first.version, newest_seen=job)
        assert signed.signed_by == "ada"
        for again in (
            lambda: written.save("chest-0", TEXT, ADA, seen_version=signed.version),
            lambda: written.sign("chest-0", ADA, seen_version=signed.version, newest_seen=job),
        ):
            with pytest.raises(ConflictError, match="add an addendum"):
                again()
        added = written.add("chest-0", "Seen again:\r\nunchanged.\x00", ADA)
        assert added.addenda[0].text == "Seen again:\nunchanged."
        assert added.sha256 == signed.sha256
        assert house.services.worklist.entry("chest-0").done_by == "ada"

    def test_a_program_with_a_token_signs_nothing(self, house: House) -> None:
        robot = replace(ADA, means=Means.TOKEN)
        with pytest.raises(AccessError, match="by a person"):
            house.services.written.sign("chest-1", robot, seen_version=1, newest_seen="")
        with pytest.raises(AccessError, match="by a person"):
            house.services.written.add("chest-1", "More.", robot)

    def test_words_stay_apart_whatever_stood_between_them(self, house: House) -> None:
        text = "\t12\t5\xa0mm\u2009wide\u2028next\x0bline\u200b.\x00 "
        kept = house.services.written.save(
            "chest-1", TEXT | {"findings": text}, ADA, seen_version=self._version(house)
        )
        assert kept.sections["findings"] == "12 5 mm wide\nnext\nline."

    def _version(self, house: House) -> int:
        written = house.services.written.of("chest-1")
        return written.version if written else 0

    def test_a_researcher_prepares_and_does_not_sign(self, house: House) -> None:
        rita = Principal("rita", Role.RESEARCHER, SCOPES_OF_ROLE[Role.RESEARCHER], Means.SESSION, 2)
        draft = house.services.written.save("chest-1", TEXT, rita, seen_version=self._version(house))
        with pytest.raises(AccessError, match="signed by readers"):
            house.services.written.sign("chest-1", rita, seen_version=draft.version, newest_seen="")

    def test_a_shared_token_signs_with_a_persons_name_or_not_at_all(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            house.take("a.png", film_png(1), "b.png", film_png(2))
            house.work()
            written = house.services.written
            seen = {"newest_seen": job_of(house, "a"), "seen_version": 1}
            written.save("a", TEXT, LOCAL, seen_version=0, job_id=job_of(house, "a"))
            with pytest.raises(InputError, match="signed by a person"):
                written.sign("a", LOCAL, signer=" ", **seen)
            signed = written.sign("a", LOCAL, signer=" Ada  Lovelace ", **seen)
            assert signed.signed_by == "Ada Lovelace"
            assert written.add("a", "More.", LOCAL, signer="Ben").addenda[0].signed_by == "Ben"
            assert {line.actor for line in house.services.trail.lines(subject="a")} == {"local"}

    def signed(self, house: House, study: str) -> WrittenView:
        """A report of a study, signed by the first who asks for it."""
        written, job = house.services.written, job_of(house, study)
        found = written.of(study)
        if found is None or not found.is_signed:
            version = found.version if found else 0
            draft = written.save(study, TEXT, ADA, seen_version=version, job_id=job)
            found = written.sign(study, ADA, seen_version=draft.version, newest_seen=job)
        return found

    def alter(self, house: House, study: str, **values: object) -> None:
        with house.services.database.write() as session:
            session.execute(update(WrittenReport).where(WrittenReport.study_id == study).values(**values))

    def test_a_signature_is_of_one_reading(self, house: House) -> None:
        signed = self.signed(house, "chest-2")
        for other in (job_of(house, "chest-0"), None):
            self.alter(house, "chest-2", job_id=other)
            with pytest.raises(StorageError, match="altered"):
                house.services.written.of("chest-2")
        self.alter(house, "chest-2", job_id=signed.job_id)
        assert house.services.written.of("chest-2") == signed

    def test_a_report_that_was_signed_before_the_digest_covered_its_reading_holds(self, house: House) -> None:
        signed = self.signed(house, "chest-2")
        older = [signed.study_id, dict(signed.sections), signed.signed_by, signed.signed_at]
        self.alter(
            house,
            "chest-2",
            sha256=hashlib.sha256(json.dumps(older, sort_keys=True).encode()).hexdigest(),
        )
        assert house.services.written.of("chest-2").signed_by == "ada"
        self.alter(house, "chest-2", signed_by="bob")
        with pytest.raises(StorageError, match="altered"):
            house.services.written.of("chest-2")
        self.alter(house, "chest-2", signed_by="ada", sha256=signed.sha256)

    def test_digests_stay_what_they_are(self) -> None:
        """Those that are kept in databases must be found again by every later version."""
        sections = {"findings": "Erguß.", "impression": "1. x"}
        content = SignedContent("chest", "j1", sections, "ada", 1_700_000_000.25)
        form_2 = "f9c8509d28404b17ebe22542cc42b2926786411bf3ce465fb0dbe22557f9cf28"
        form_1 = "4bae8f6820de0ed7d19ec6f7eaa919646e83639aba7df2035e54ac6e33122df1"
        assert digest(content) == form_2
        assert [fits(content, kept) for kept in (form_2, form_1, "", None)] == [True, True, False, False]
        other = replace(content, job_id="j2")
        assert [fits(other, kept) for kept in (form_2, form_1)] == [False, True]

    def test_a_signed_text_that_was_altered_is_not_shown(self, house: House) -> None:
        self.signed(house, "chest-2")
        self.alter(house, "chest-2", sections={**TEXT, "findings": "Nothing."})
        with pytest.raises(StorageError, match="altered"):
            house.services.written.of("chest-2")
        answer = signed_in(house, "ada").get(f"/studies/{pseudonym(house, 'chest-2')}/report")
        assert (answer.status_code, "restore it from the backup" in answer.text) == (503, True)


class TestPage:
    def test_from_verdicts_to_a_signed_report(self, house: House, ada: Person) -> None:
        name = pseudonym(house, "chest-3")
        page = f"/studies/{name}/report"
        assert "Nobody has judged: Consolidation, Pleural effusion" in ada.get(page).text
        reviews(house).add("chest-3", Verdict.ACCEPTED, ADA, finding="pleural_effusion")
        reviews(house).add("chest-3", Verdict.REJECTED, ADA, finding="consolidation")
        fresh = ada.get(page).text
        assert "Pleural effusion, left upper zone (suggested with 71 %" in fresh
        assert house.services.written.of("chest-3") is None  # nothing is kept unasked
        job = job_of(house, "chest-3")
        form = {**TEXT, "findings": "My <b>own</b> words.", "version": "0", "reading": job, "newest": job}
        assert ada.post(page, action="save", **form).status_code == 303
        assert "My &lt;b&gt;own&lt;/b&gt; words." in ada.get(page).text
        unseen = ada.post(page, action="sign", **form | {"version": "1"})
        assert (unseen.status_code, "looked at the images" in unseen.text) == (422, True)
        stale = ada.post(page, action="save", **form | {"findings": "Too late.", "version": "0"})
        assert (stale.status_code, "Too late." in stale.text) == (412, True)
        assert 'name="version" value="0"' in stale.text  # pressed again, it is as late as before
        again = ada.post(page, action="redraft", **form | {"version": "1"}).text
        assert "accepted by ada" in again
        empty = ada.post(page, action="sign", seen="yes", **form | {"impression": " ", "version": "1"})
        assert (empty.status_code, "Impression: nothing is written" in empty.text) == (422, True)
        signed = ada.post(page, action="sign", seen="yes", **form | {"version": "2"})
        assert signed.status_code == 303
        late = ada.post(page, action="save", **form | {"findings": "Never signed.", "version": "2"})
        assert (late.status_code, "Never signed." in late.text) == (409, False)
        assert ada.post(f"{page}/addenda", text="One more thing.").status_code == 303
        shown = ada.get(page).text
        assert "One more thing." in shown
        assert '<textarea id="section-' not in shown
        assert "signed" in ada.get("/?show=done").text
        trail = {line.action for line in house.services.trail.lines(subject="chest-3", limit=1000)}
        assert {"report.drafted", "report.signed", "report.addendum"} <= trail

    def test_before_the_reading_there_is_no_report(self, house: House, ada: Person) -> None:
        house.take("late.png", film_png(50), "b.png", film_png(51))
        answer = ada.get(f"/studies/{pseudonym(house, 'late')}/report")
        assert (answer.status_code, "wait until its job is done" in answer.text) == (409, True)

    def test_a_researcher_cannot_sign_by_hand_made_form(self, house: House) -> None:
        rita = signed_in(house, "rita", Role.RESEARCHER)
        page = f"/studies/{pseudonym(house, 'chest-1')}/report"
        written = house.services.written.of("chest-1")
        version = str(written.version) if written else "0"
        answer = rita.post(page, action="sign", seen="yes", version=version, **TEXT)
        assert answer.status_code == 403
        now = house.services.written.of("chest-1")
        assert now is None or not now.is_signed


class TestFiles:
    def _view(self, *, signed: bool, **sections: str) -> WrittenView:
        when = 1_700_000_000.0 if signed else None
        return WrittenView(
            "s", "j", {**TEXT, **sections}, 1, "ada", 1.6e9, "ada" if signed else None, when, "ab" * 32, ()
        )

    def _text(self, content: bytes) -> str:
        pages = pypdf.PdfReader(io.BytesIO(content)).pages
        return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))

    def test_the_pdf_holds_the_text_as_it_was_written(self) -> None:
        odd = "<b>Größe</b> & Ελληνικά, кириллица"
        content = write_pdf(self._view(signed=True, findings=odd), Cover("K7QM-4T2X", 0.0, small_film()))
        text = self._text(content)
        for part in (
            "K7QM-4T2X",
            odd,
            "1. Effusion.",
            "Signed by ada, 2023-11-14 22:13 UTC",
            "Not a medical device",
        ):
            assert part in text
        assert "DRAFT" not in text
        assert "signed" in text

    def test_a_draft_says_on_every_page_that_it_is_one(self) -> None:
        long = self._view(signed=False, findings="\n".join(f"Line {n}." for n in range(120)))
        pages = pypdf.PdfReader(io.BytesIO(write_pdf(long, Cover("K7QM-4T2X", 0.0, None)))).pages
        assert len(pages) >= 3
        assert all("DRAFT" in page.extract_text() for page in pages)

    def test_the_same_report_is_the_same_file(self) -> None:
        own, cover = self._view(signed=True), Cover("K7QM-4T2X", 0.0, small_film())
        assert write_pdf(own, cover) == write_pdf(own, cover)

    def test_everything_comes_as_one_archive(self, house: House, ada: Person) -> None:
        house.services.written.save("chest-1", TEXT, LOCAL, seen_version=self._version(house))
        name = pseudonym(house, "chest-1")
        answer = ada.get(f"/studies/{name}/everything.zip")
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            assert archive.testzip() is None
            inside = {entry.removeprefix(f"{name}/") for entry in archive.namelist()}
            report = json.loads(archive.read(f"{name}/report.json"))
            assert "DRAFT" in self._text(archive.read(f"{name}/report.pdf"))
        assert report["schema"] == "radsuite.report/1"
        assert {
            "report.pdf",
            "images/film.png",
            "images/lung_mask.png",
            "images/heatmap_frontal.png",
        } <= inside
        assert f"filename={name}.zip" in answer.headers["Content-Disposition"]
        answer.close()

    def _version(self, house: House) -> int:
        written = house.services.written.of("chest-1")
        return written.version if written else 0

    def test_a_report_that_nobody_wrote_is_not_there(self, house: House, ada: Person) -> None:
        house.take("bare.png", film_png(60), "b.png", film_png(61))
        house.work()
        assert ada.get(f"/studies/{pseudonym(house, 'bare')}/report.pdf").status_code == 404

    def test_a_picture_has_no_objects_and_says_so(self, house: House, ada: Person) -> None:
        name = pseudonym(house, "chest-1")
        assert "came as a picture" in ada.get(f"/studies/{name}/objects").text
        Nodes(house.services.database).add(PACS, {"when": "never"})
        refused = ada.post(f"/studies/{name}/push", node="pacs")
        assert (refused.status_code, "no DICOM objects to send" in refused.text) == (422, True)


def test_objects_of_a_dicom_film_are_listed_sent_and_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.web_house.load_study", load_study)
    with open_house(tmp_path) as house:
        parts = house.services
        submission = Submission(parts.database, parts.store, house.sent.put, collect=intake.collect)
        house.services = replace(parts, submission=submission)
        house.app = create_app(house.settings, services=house.services)
        reader = Person(house.app.test_client())
        assert reader.hand_in(("film.dcm", as_bytes(film()))).status_code == 303
        house.work()
        study = house.services.catalogue.studies()[0]
        listed = reader.get(f"/studies/{study.display_id}/objects").text
        for holds in ("Suggested findings, to be verified", "Masks, computed, not for diagnostic use"):
            assert f"<td>{holds}</td>" in listed
        addresses = re.findall(rf"/studies/{study.display_id}/objects/[\w.-]+", listed)
        classes = set()
        for address in addresses:
            answer = reader.get(address)
            classes.add(pydicom.dcmread(io.BytesIO(answer.data)).SOPClassUID.name)
            answer.close()
        assert {"Comprehensive SR Storage", "Segmentation Storage"} <= classes
        Nodes(parts.database).add(PACS, {"when": "never"})
        assert reader.post(f"/studies/{study.display_id}/push", node="pacs").status_code == 303
        page = reader.get(f"/studies/{study.display_id}/report").text
        assert re.search(r"pacs: <span class=\"chip running\">queued", page)
