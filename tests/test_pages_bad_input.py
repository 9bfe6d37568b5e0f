"""What is handed in on the pages and should not be: nothing of it is executed, misplaced or kept."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from suite import intake
from suite.accounts.principal import Role
from suite.jobs.submission import Submission
from suite.jobs.worker import load_study
from tests.dicom_network_house import as_bytes, film
from tests.jobs_fakes import film_png
from tests.pages_house import person, signed_in
from tests.web_house import House, open_house
from web import create_app

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one study that was read, and people who sign in."""
    with open_house(tmp_path_factory.mktemp("worklist"), sign_in=True, max_upload_mb=2) as opened:
        opened.take("Doe-Jane.png", film_png(1), "side.png", film_png(2))
        opened.work()
        yield opened


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose films are looked at by the real intake."""
    with open_house(tmp_path_factory.mktemp("bad"), max_upload_mb=2) as opened:
        parts = opened.services
        submission = Submission(parts.database, parts.store, opened.sent.put, collect=intake.collect)
        opened.services = replace(parts, submission=submission)
        opened.app = create_app(opened.settings, services=opened.services)
        yield opened


class TestBadInput:
    """Nothing that is handed in is executed, stored where it does not belong, or kept when it is refused."""

    def test_a_page_that_calls_itself_a_film_is_refused(self, real: House) -> None:
        page = f"<!doctype html><html><body>{SCRIPT}</body></html>".encode()
        answer = person(real).hand_in(("film.dcm", page))
        assert answer.status_code == 422
        assert "film.dcm" in answer.text
        assert SCRIPT not in answer.text
        self._nothing_is_kept(real)

    def test_two_gibibytes_are_refused_before_they_are_read(self, real: House) -> None:
        somebody = person(real)

        class Endless(io.RawIOBase):
            given = 0

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                self.given += len(buffer)
                return len(buffer)

        body = Endless()
        found = re.search(r'name="csrf-token" content="([^"]+)"', somebody.get("/").text)
        assert found
        answer = somebody.client.post(
            "/studies",
            headers={"X-CSRF-Token": found[1], "Accept": "application/json"},
            environ_overrides={"wsgi.input": io.BufferedReader(body), "CONTENT_LENGTH": str(2 << 30)},
            content_type="multipart/form-data; boundary=x",
        )
        assert answer.status_code == 413
        assert "One upload may hold 2 MB" in answer.get_json(force=True)["detail"]
        assert body.given < 1 << 20
        self._nothing_is_kept(real)

    def test_a_bomb_is_refused_as_a_whole(self, real: House) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("film.dcm", bytes(300_000_000))
        assert len(stream.getvalue()) < 400_000
        answer = person(real).hand_in(("films.zip", stream.getvalue()))
        assert answer.status_code == 422
        assert "films.zip: unpacks to more than" in answer.text
        self._nothing_is_kept(real)

    def test_each_file_of_an_archive_has_its_fate(self, real: House) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("folder/film.dcm", as_bytes(film()))
            archive.writestr("folder/notes.txt", "hello")
            archive.writestr("../../escape.dcm", "x")
        answer = person(real).hand_in(("films.zip", stream.getvalue()), accept="application/json")
        fates = answer.get_json(force=True)
        assert answer.status_code == 200
        assert [item["names"] for item in fates["accepted"]] == [["folder/film.dcm"]]
        assert {item["name"] for item in fates["refused"]} == {"folder/notes.txt", "../../escape.dcm"}
        assert not list(real.settings.data.parent.rglob("escape.dcm"))

    def test_a_script_in_the_patients_name_stays_in_the_file(
        self, real: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tests.web_house.load_study", load_study)
        named = film(PatientName=SCRIPT, PatientID=SCRIPT, StudyDescription=SCRIPT)
        somebody = person(real)
        assert somebody.hand_in(("film.dcm", as_bytes(named))).status_code == 303
        real.work()
        study = real.services.catalogue.studies()[0]
        assert study.done is not None
        for page in ("", "?show=any", f"studies/{study.display_id}", f"studies/{study.display_id}/report"):
            answer = somebody.get("/" + page)
            assert answer.status_code == 200
            assert "alert(1)" not in answer.text

    def test_a_study_that_was_deleted_is_a_page_that_says_what_to_do(self, house: House) -> None:
        house.take("gone.png", film_png(7), "b.png", film_png(8))
        house.work()
        study = next(study for study in house.services.catalogue.studies() if study.id == "gone")
        root = signed_in(house, "root", Role.ADMIN)
        assert root.get(f"/studies/{study.display_id}").status_code == 200
        found = re.search(r'name="csrf-token" content="([^"]+)"', root.get("/").text)
        assert found
        removed = root.client.delete("/api/v1/studies/gone", headers={"X-CSRF-Token": found[1]})
        assert removed.status_code == 204
        for path in (f"/studies/{study.display_id}", f"/studies/{study.display_id}/report"):
            answer = root.get(path)
            assert (answer.status_code, "look for it in the list" in answer.text) == (404, True)
        audit = root.get("/people/audit?actor=root").text
        assert "removed study" in audit
        assert ">gone<" not in audit

    def _nothing_is_kept(self, real: House) -> None:
        assert not list((real.settings.data / "incoming").rglob("*.dcm"))
        assert not list((real.settings.data / "incoming").rglob("*.zip"))
