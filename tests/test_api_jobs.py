"""Jobs through the interface: asked for, followed, cancelled, repeated; and what came of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from suite.accounts.principal import Scope
from suite.report.schema import validate
from tests.api_house import SECRET, Program, json_of, open_service, program, read_study
from tests.jobs_fakes import STAGES, film_array, film_png
from tests.web_house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def robot(house: House) -> Program:
    return program(house, Scope.STUDIES_READ, Scope.STUDIES_WRITE)


def latest(robot: Program, study: str = "chest") -> str:
    return str(json_of(robot.get(f"/jobs?study={study}"))["items"][0]["id"])


def test_a_job_is_followed_from_waiting_to_done(house: House, robot: Program) -> None:
    robot.hand_in(("chest.png", film_png()))
    job_id = latest(robot)
    assert json_of(robot.get(f"/jobs/{job_id}"))["state"] == "queued"
    house.work()
    job = json_of(robot.get(f"/jobs/{job_id}"))
    assert (job["state"], job["attempts"], job["study_id"]) == ("done", 1, "chest")
    assert [stage["name"] for stage in job["stages"]] == list(STAGES)
    assert job["summary"]["triage"]["state"] == "abnormal"
    assert job["created_at"].endswith("Z")


def test_reading_against_the_gate_is_a_job_of_its_own(house: House, robot: Program) -> None:
    house.analyzer.accepted = False
    read_study(house, robot)
    answer = robot.post("/studies/chest/jobs", json={"override_gate": True})
    job = json_of(answer)
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/v1/jobs/{job['id']}")
    again = json_of(robot.post("/studies/chest/jobs", json={"override_gate": True}))
    assert again["id"] == job["id"]
    house.work()
    assert house.analyzer.runs[-1] == ("chest", True)
    assert robot.post("/studies/nothing/jobs", json={}).status_code == 404


def test_single_checks_are_overridden_by_their_names(house: House, robot: Program) -> None:
    house.analyzer.accepted = False
    read_study(house, robot)
    job = json_of(robot.post("/studies/chest/jobs", json={"override_checks": ["view", "chest", "view"]}))
    assert (job["override_gate"], job["override_checks"]) == (False, ["chest", "view"])
    again = json_of(robot.post("/studies/chest/jobs", json={"override_checks": ["chest", "view"]}))
    other = json_of(robot.post("/studies/chest/jobs", json={"override_checks": ["chest"]}))
    assert (again["id"] == job["id"], other["id"] == job["id"]) == (True, False)
    house.work()
    assert house.analyzer.runs[-2:] == [("chest", ("chest", "view")), ("chest", ("chest",))]
    lines = house.services.trail.lines()
    assert [(line.detail or {}).get("override_checks") for line in lines[:2]] == [
        ["chest"],
        ["chest", "view"],
    ]


def test_a_check_that_is_none_of_the_gates_is_told_before_anything_waits(
    house: House, robot: Program
) -> None:
    read_study(house, robot)
    answer = robot.post("/studies/chest/jobs", json={"override_gate": True, "override_checks": ["nose"]})
    assert answer.status_code == 422
    assert json_of(answer)["detail"].startswith("check 'nose' is none of the gate's; override one of ")
    assert house.sent.empty()


def test_a_waiting_job_is_cancelled_and_asked_for_again(house: House, robot: Program) -> None:
    robot.hand_in(("chest.png", film_png()))
    job_id = latest(robot)
    assert json_of(robot.post(f"/jobs/{job_id}/cancel"))["state"] == "cancelled"
    house.work()
    assert house.analyzer.runs == []
    assert robot.post(f"/jobs/{job_id}/cancel").status_code == 409
    answer = robot.post(f"/jobs/{job_id}/retry")
    assert answer.status_code == 202
    new_id = json_of(answer)["id"]
    assert new_id != job_id
    house.work()
    assert json_of(robot.get(f"/jobs/{new_id}"))["state"] == "done"
    assert robot.post(f"/jobs/{new_id}/retry").status_code == 409


def test_a_running_job_stops_at_a_stage_when_cancelled(house: House, robot: Program) -> None:
    robot.hand_in(("chest.png", film_png()))
    job_id = latest(robot)
    house.analyzer.before = lambda stage: robot.post(f"/jobs/{job_id}/cancel") and None
    house.work()
    assert json_of(robot.get(f"/jobs/{job_id}"))["state"] == "cancelled"


def test_jobs_are_listed_page_by_page(house: House, robot: Program) -> None:
    for index in range(5):
        robot.hand_in((f"film{index}.png", film_png(index)))
    seen: list[str] = []
    address: str | None = "/api/v1/jobs?limit=2&state=queued"
    while address:
        answer = robot.get(address)
        seen += [job["study_id"] for job in json_of(answer)["items"]]
        address = answer.headers.get("Link", "").partition(">")[0].lstrip("<") or None
    assert seen == [f"film{index}" for index in (4, 3, 2, 1, 0)]


class TestEvents:
    """A job's changes arrive as server-sent events while they happen."""

    def events(self, address: str, job_id: str, after: str | None = None) -> list[dict[str, str]]:
        host = address.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {"Authorization": f"Bearer {SECRET}", "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = after
        connection.request("GET", f"/api/v1/jobs/{job_id}/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        blocks = answer.read().decode().split("\n\n")
        found = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks if block]
        return [event for event in found if "event" in event]

    def test_each_change_is_an_event_and_the_last_one_says_so(self, house: House, robot: Program) -> None:
        robot.hand_in(("chest.png", film_png()))
        job_id = latest(robot)
        with house.open_for_browsers() as address:  # its worker takes the job up
            events = self.events(address, job_id)
        assert [event["event"] for event in events][-1] == "end"
        last = json.loads(events[-1]["data"])
        assert (last["id"], last["state"]) == (job_id, "done")
        assert len({event["id"] for event in events}) == len(events)

    def test_a_reader_who_comes_back_sees_only_what_is_new(self, house: House, robot: Program) -> None:
        robot.hand_in(("chest.png", film_png()))
        job_id = latest(robot)
        jobs = house.sent.get()
        with house.open_for_browsers() as address:
            stream = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
            stream.request(
                "GET", f"/api/v1/jobs/{job_id}/events", headers={"Authorization": f"Bearer {SECRET}"}
            )
            answer = stream.getresponse()
            first = b""
            while b"data: " not in first or not first.endswith(b"\n\n"):
                first += answer.read1(4096)
            stream.close()
            seen = next(line for line in first.decode().splitlines() if line.startswith("id: "))[4:]
            assert b'"state":"queued"' in first
            house.sent.put(jobs)
            events = self.events(address, job_id, after=seen)
        assert seen not in {event["id"] for event in events}
        assert events[-1]["event"] == "end"

    def test_a_finished_job_ends_its_stream_at_once(self, house: House, robot: Program) -> None:
        job_id = read_study(house, robot)
        answer = robot.get(f"/jobs/{job_id}/events")
        assert answer.text.count("event: end") == 1
        assert answer.headers["Cache-Control"] == "no-store"

    def test_streams_leave_threads_for_others(self, tmp_path: Path) -> None:
        with open_service(tmp_path / "small", web_threads=2) as house:
            robot = program(house)
            robot.hand_in(("chest.png", film_png()))
            path = f"/jobs/{latest(robot)}/events"
            first = robot.get(path, buffered=False)
            busy = robot.get(path)
            assert busy.status_code == 503
            assert busy.headers["Retry-After"] == "5"
            first.close()
            with robot.get(path, buffered=False) as again:
                assert again.status_code == 200

    def test_an_unknown_job_has_no_stream(self, robot: Program) -> None:
        assert robot.get(f"/jobs/{'0' * 32}/events").status_code == 404


class TestResults:
    """Reports and pictures: of the study's latest reading, or of one job for ever."""

    def test_the_report_is_the_one_that_was_written(self, house: House, robot: Program) -> None:
        job_id = read_study(house, robot)
        with robot.get("/studies/chest/report") as answer:
            report = json_of(answer)
            assert "attachment" in answer.headers["Content-Disposition"]
            tag = answer.headers["ETag"]
        validate(report)
        assert report["study"]["id"] == "chest"
        with robot.get("/studies/chest/report", headers={"If-None-Match": tag}) as answer:
            assert answer.status_code == 304
        with robot.get(f"/jobs/{job_id}/report") as answer:
            assert "immutable" in answer.headers["Cache-Control"]
            assert json_of(answer) == report

    def test_before_there_is_a_reading(self, robot: Program) -> None:
        robot.hand_in(("chest.png", film_png()))
        for path in ("report", "images", "thumbnail", "images/film"):
            assert robot.get(f"/studies/chest/{path}").status_code == 404
        assert robot.get(f"/jobs/{latest(robot)}/report").status_code == 409

    def test_pictures_are_listed_and_sent_as_they_are(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        items = {item["name"]: item for item in json_of(robot.get("/studies/chest/images"))["items"]}
        assert {"film", "lung_mask", "bone_suppressed", "heatmap-edema-frontal"} <= set(items)
        with robot.get(items["film"]["url"]) as answer:
            assert answer.content_type == "image/png"
            assert "immutable" in answer.headers["Cache-Control"]
            assert len(answer.data) == items["film"]["bytes"]
            pixels = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pixels, film_array(1))

    def test_a_part_of_a_picture_can_be_asked_for(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        with robot.get("/studies/chest/images/film") as whole:
            content = whole.data
        with robot.get("/studies/chest/images/film", headers={"Range": "bytes=100-199"}) as part:
            assert (part.status_code, part.data) == (206, content[100:200])
            assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
        beyond = robot.get("/studies/chest/images/film", headers={"Range": "bytes=99999999-"})
        assert beyond.status_code == 416

    @pytest.mark.parametrize("name", ["report", "session", "..%2freport", "film.png", "heatmap-x-frontal"])
    def test_only_named_pictures_are_sent(self, house: House, robot: Program, name: str) -> None:
        read_study(house, robot)
        assert robot.get(f"/studies/chest/images/{name}").status_code == 404

    def test_a_thumbnail_is_small(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        picture = cv2.imdecode(
            np.frombuffer(robot.get("/studies/chest/thumbnail").data, np.uint8), cv2.IMREAD_UNCHANGED
        )
        assert max(picture.shape) == 144


def test_the_networks_and_their_cards_are_told(robot: Program) -> None:
    models = json_of(robot.get("/models"))["items"]
    assert {"triage", "diagnosis"} <= {model["name"] for model in models}
    one = json_of(robot.get("/models/triage"))
    assert one["card"]["sha256"] == one["sha256"]
    assert len(one["sha256"]) == 64
    assert robot.get("/models/nothing").status_code == 404
