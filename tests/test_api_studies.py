"""Handing in, finding and removing studies through the interface; archives that are not what they claim."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom
import pytest

from suite.accounts.principal import Scope
from suite.jobs.models import JobState
from tests.api_house import Program, json_of, open_service, program, read_study, zipped
from tests.jobs_fakes import film_png
from tests.web_house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data", real_intake=True) as opened:
        yield opened


@pytest.fixture
def robot(house: House) -> Program:
    return program(house)


def stored(house: House) -> list[str]:
    """Names of all files below the data folder that came from outside."""
    return sorted(
        path.relative_to(house.settings.data).as_posix()
        for folder in ("studies", "incoming", "uploads")
        for path in (house.settings.data / folder).rglob("*")
        if path.is_file()
    )


def test_each_file_has_its_fate(robot: Program) -> None:
    answer = json_of(robot.hand_in(("chest.png", film_png()), ("letter.txt", b"hello")))
    assert answer["accepted"] == [
        {"id": "chest", "url": "/api/v1/studies/chest", "names": ["chest.png"], "new": True}
    ]
    assert [item["name"] for item in answer["refused"]] == ["letter.txt"]
    assert "letter.txt: this is neither a DICOM" in answer["refused"][0]["sentence"]


def test_the_same_film_again_is_the_same_study(robot: Program) -> None:
    robot.hand_in(("chest.png", film_png()))
    again = json_of(robot.hand_in(("other-name.png", film_png())))
    assert [(item["id"], item["new"]) for item in again["accepted"]] == [("chest", False)]


def test_a_lateral_is_named_for_one_film(robot: Program) -> None:
    answer = robot.hand_in(("front.png", film_png(1)), lateral=("side.png", film_png(2)))
    assert json_of(answer)["accepted"][0]["names"] == ["front.png", "side.png"]
    study = json_of(robot.get("/studies/front"))
    assert (study["frontal_name"], study["lateral_name"]) == ("front.png", "side.png")
    two = robot.hand_in(("a.png", film_png(3)), ("b.png", film_png(4)), lateral=("c.png", film_png(5)))
    assert two.status_code == 422


def test_nothing_taken_is_a_problem_with_each_fate(house: House, robot: Program) -> None:
    page = b"<!DOCTYPE html><html><script>alert(document.cookie)</script></html>"
    answer = robot.hand_in(("film.dcm", page))
    problem = json_of(answer)
    assert answer.status_code == 422
    assert problem["type"] == "urn:radsuite:problem:nothing-taken"
    assert problem["instance"] == "/api/v1/studies"
    assert problem["refused"] == [{"name": "film.dcm", "sentence": problem["detail"]}]
    assert stored(house) == []


def test_what_comes_back_is_never_a_page(robot: Program) -> None:
    robot.hand_in(("<img src=x onerror=alert(1)>.png", film_png()))
    for path in ("/studies", "/studies/nothing", "/openapi.json"):
        with robot.get(path, headers={"Accept": "text/html"}) as answer:
            assert answer.content_type.split("+")[-1].removeprefix("application/") == "json"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_script_in_the_patients_name_stays_a_name(robot: Program) -> None:
    content = _dicom("<script>alert(1)</script>^X")
    answer = json_of(robot.hand_in(("film.dcm", content)))
    assert len(answer["accepted"]) == 1
    everything = "".join(robot.get(path).text for path in ("/studies", "/jobs", "/audit"))
    assert "script" not in everything


def _dicom(name: str) -> bytes:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        pydicom.uid.DigitalXRayImageStorageForPresentation,
        "1.2.3.4",
    )
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.PatientName, dataset.PatientID, dataset.Modality = name, "4711", "DX"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 256, 256, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(range(256)) * 512
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_declared_upload_beyond_the_limit_is_refused_before_it_is_read(robot: Program) -> None:
    class Watched(io.BytesIO):
        touched = False

        def read(self, *size: Any) -> bytes:
            self.touched = True
            return super().read(*size)

    body = Watched(b"--x\r\n")
    answer = robot.post(
        "/studies",
        input_stream=body,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": str(2 * 1024**3)},
    )
    assert answer.status_code == 413
    assert json_of(answer)["detail"] == "The request's body may have 2000000 bytes here; send less at once."
    assert not body.touched


class TestArchives:
    """A zip archive is opened without trusting what it says of itself."""

    def test_its_films_are_taken_and_the_rest_is_passed_over(self, robot: Program) -> None:
        archive = zipped(
            {
                "day/one.png": film_png(1),
                "day/two.png": film_png(2),
                "DICOMDIR": b"x",
                "__MACOSX/._one.png": b"x",
                ".DS_Store": b"x",
                "notes.txt": b"seen with Dr. X",
            }
        )
        answer = json_of(robot.hand_in(("films.zip", archive)))
        assert sorted(item["id"] for item in answer["accepted"]) == ["one", "two"]
        assert [item["name"] for item in answer["refused"]] == ["notes.txt"]

    def test_names_that_lead_elsewhere_are_refused(self, house: House, robot: Program) -> None:
        archive = zipped(
            {"../../evil.png": film_png(1), "/etc/evil.png": film_png(2), "C:/x.png": film_png(3)}
        )
        problem = json_of(robot.hand_in(("films.zip", archive)))
        assert len(problem["refused"]) == 3
        assert all("leads out of the archive" in item["sentence"] for item in problem["refused"])
        assert not list(house.settings.data.parent.rglob("*.png"))

    def test_an_archive_inside_is_refused(self, robot: Program) -> None:
        inner = zipped({"film.png": film_png(1)}, zipfile.ZIP_STORED)
        answer = json_of(robot.hand_in(("films.zip", zipped({"inner.png": inner, "a.png": film_png(2)}))))
        assert [item["id"] for item in answer["accepted"]] == ["a"]
        assert "an archive inside the archive" in answer["refused"][0]["sentence"]

    @pytest.mark.parametrize("count", [1, 6])
    def test_a_bomb_is_not_unpacked(self, house: House, robot: Program, count: int) -> None:
        bomb = zipped({f"{index}.png": bytes(40_000_000 // count) for index in range(count)})
        assert len(bomb) < 60_000
        answer = robot.hand_in(("bomb.zip", bomb))
        assert answer.status_code == 422
        assert "bomb.zip: unpacks to more than" in json_of(answer)["detail"]
        assert stored(house) == []

    def test_a_header_that_lies_about_the_size_changes_nothing(self, house: House, robot: Program) -> None:
        bomb = bytearray(zipped({"film.png": bytes(30_000_000)}))
        place = bomb.rindex(b"PK\x01\x02")
        struct.pack_into("<I", bomb, place + 24, 100)  # uncompressed size in the central directory
        answer = robot.hand_in(("bomb.zip", bytes(bomb)))
        assert answer.status_code == 422
        assert stored(house) == []

    def test_too_many_files_are_refused(self, robot: Program) -> None:
        many = zipped({f"{index}.txt": b"" for index in range(2001)})
        assert "holds 2001 files" in json_of(robot.hand_in(("many.zip", many)))["detail"]

    def test_a_damaged_archive_is_said(self, robot: Program) -> None:
        whole = zipped({"film.png": film_png()})
        problem = json_of(robot.hand_in(("films.zip", whole[: len(whole) // 2])))
        assert "films.zip: is no sound zip archive" in problem["detail"]

    def test_links_and_encrypted_members_are_refused(self, robot: Program) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            link = zipfile.ZipInfo("link.png")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
            archive.writestr("locked.png", film_png())
        content = bytearray(stream.getvalue())
        place = content.rindex(b"PK\x01\x02")
        content[place + 8] |= 1
        problem = json_of(robot.hand_in(("films.zip", bytes(content))))
        sentences = [item["sentence"] for item in problem["refused"]]
        assert "it is a link" in sentences[0]
        assert "it is encrypted" in sentences[1]


class TestLists:
    """Studies are found by text, state, triage and time, page by page."""

    @pytest.fixture(autouse=True)
    def _studies(self, house: House, robot: Program) -> None:
        for index in range(7):
            robot.hand_in((f"film{index}.png", film_png(index)))
        waiting = [house.sent.get() for _ in range(7)]
        for job_id in waiting[:5]:
            house.sent.put(job_id)
        house.work()

    def ids(self, robot: Program, query: str) -> list[str]:
        return [item["id"] for item in json_of(robot.get(f"/studies?{query}"))["items"]]

    def test_the_newest_come_first_unless_asked_otherwise(self, robot: Program) -> None:
        assert self.ids(robot, "") == [f"film{index}" for index in reversed(range(7))]
        assert self.ids(robot, "sort=id&order=asc&limit=2") == ["film0", "film1"]

    def test_filters_narrow_the_list(self, robot: Program) -> None:
        done = json_of(robot.get("/studies?state=done&limit=2"))
        assert done["total"] == 5
        assert {item["latest"]["state"] for item in done["items"]} == {"done"}
        assert len(self.ids(robot, "state=queued&state=running")) == 2
        assert len(self.ids(robot, "triage=abnormal")) == 5
        assert self.ids(robot, "triage=normal") == []
        assert self.ids(robot, "text=FILM3") == ["film3"]
        assert self.ids(robot, "text=%25") == []
        assert self.ids(robot, "created_from=2099-01-01T00:00:00Z") == []
        assert len(self.ids(robot, "created_before=2099-01-01T00:00:00Z")) == 7

    @pytest.mark.parametrize("order", ["sort=created&order=desc", "sort=id&order=asc", "sort=priority"])
    def test_pages_follow_each_other_without_gap_or_repeat(self, robot: Program, order: str) -> None:
        seen: list[str] = []
        address = f"/api/v1/studies?limit=3&{order}"
        for _ in range(3):
            answer = robot.get(address)
            page = json_of(answer)
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                assert "Link" not in answer.headers
                break
            link, relation = answer.headers["Link"].split("; ")
            assert relation == 'rel="next"'
            address = link.strip("<>")
            assert "limit=3" in urlsplit(address).query
        assert sorted(seen) == [f"film{index}" for index in range(7)]
        assert len(set(seen)) == 7

    def test_a_study_added_meanwhile_moves_no_page(self, robot: Program) -> None:
        first = json_of(robot.get("/studies?limit=3"))
        robot.hand_in(("late.png", film_png(99)))
        second = self.ids(robot, f"limit=3&cursor={first['next']}")
        assert second == ["film3", "film2", "film1"]

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=201", "limit=x", "state=lost", "colour=red", "cursor=%7B%7D", "created_from=1"],
    )
    def test_what_is_not_understood_is_said(self, robot: Program, query: str) -> None:
        answer = robot.get(f"/studies?{query}")
        assert answer.status_code == 422
        assert json_of(answer)["detail"].endswith((".", ";"))

    def test_a_cursor_of_another_order_is_refused(self, robot: Program) -> None:
        cursor = json_of(robot.get("/studies?limit=3"))["next"]
        assert robot.get(f"/studies?limit=3&order=asc&cursor={cursor}").status_code == 422


class TestRemoval:
    """A removed study leaves nothing but its lines in the audit trail."""

    def test_rows_and_files_are_gone(self, house: House, robot: Program) -> None:
        job_id = read_study(house, robot)
        robot.post("/studies/chest/reviews", json={"verdict": "accepted", "finding": "edema"})
        assert stored(house)
        assert robot.delete("/studies/chest").status_code == 204
        assert stored(house) == []
        for path in ("/studies/chest", f"/jobs/{job_id}", "/studies/chest/reviews", "/studies/chest/report"):
            assert robot.get(path).status_code == 404
        lines = json_of(robot.get("/audit?subject=chest"))["items"]
        assert lines[0]["action"] == "study.deleted"
        assert robot.delete("/studies/chest").status_code == 404

    def test_the_films_can_be_handed_in_again(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        robot.delete("/studies/chest")
        assert json_of(robot.hand_in(("chest.png", film_png(1))))["accepted"][0]["new"] is True

    def test_not_while_it_is_read(self, house: House, robot: Program) -> None:
        robot.hand_in(("chest.png", film_png()))
        answers = []
        house.analyzer.before = lambda stage: answers.append(robot.delete("/studies/chest"))
        house.work()
        assert {answer.status_code for answer in answers} == {409}
        latest = house.services.search.study("chest").latest
        assert latest is not None
        assert latest.state is JobState.DONE

    def test_a_waiting_study_can_be_removed_and_its_message_does_no_harm(
        self, house: House, robot: Program
    ) -> None:
        robot.hand_in(("chest.png", film_png()))
        assert robot.delete("/studies/chest").status_code == 204
        house.work()
        assert json_of(robot.get("/jobs"))["items"] == []

    def test_it_needs_a_scope_of_its_own(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        writer = program(house, Scope.STUDIES_READ, Scope.STUDIES_WRITE)
        assert writer.delete("/studies/chest").status_code == 403
        assert program(house, Scope.STUDIES_DELETE).delete("/studies/chest").status_code == 204


def test_every_change_is_in_the_trail_and_names_no_patient(house: House, robot: Program) -> None:
    robot.hand_in(("film.dcm", _dicom("MUSTERMANN^ERIKA")))
    robot.post("/studies/film/reviews", json={"verdict": "comment", "text": "Erika Mustermann, 4711"})
    robot.post("/studies/film/jobs", json={"override_gate": True})
    lines = json_of(robot.get("/audit"))["items"]
    assert [line["action"] for line in lines] == ["job.requested", "review.added", "studies.handed_in"]
    assert {line["actor"] for line in lines} == {"robot"}
    text = json.dumps(lines).lower()
    assert "mustermann" not in text
    assert "4711" not in text
