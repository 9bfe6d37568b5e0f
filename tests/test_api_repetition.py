"""Requests sent twice are carried out once; reviews that clash are told; results are sent on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.accounts.principal import Role, Scope
from suite.jobs.models import IdempotencyKey
from tests.api_house import Program, json_of, open_service, program, read_study
from tests.jobs_fakes import film_png
from tests.web_house import House

WEIGHTS = "ab" * 32


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def robot(house: House) -> Program:
    return program(house)


class TestIdempotency:
    """A POST with a key is carried out once, however often it is sent."""

    BODY = {"name": "ada", "role": "reader"}  # noqa: RUF012 -- never changed
    KEY = {"Idempotency-Key": "4711"}  # noqa: RUF012

    def test_the_same_request_gets_the_same_answer(self, house: House, robot: Program) -> None:
        first = robot.post("/users", json=self.BODY, headers=self.KEY)
        again = robot.post("/users", json=self.BODY, headers=self.KEY)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.data == again.data
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        created = [line for line in house.services.trail.lines() if line.action == "user.created"]
        assert len(created) == 1

    def test_another_request_with_the_same_key_is_refused(self, robot: Program) -> None:
        robot.post("/users", json=self.BODY, headers=self.KEY)
        other = robot.post("/users", json={**self.BODY, "name": "bob"}, headers=self.KEY)
        assert other.status_code == 422
        assert json_of(other)["type"] == "urn:radsuite:problem:idempotency-key-reused"
        assert robot.get("/users/bob").status_code == 404

    def test_keys_of_two_senders_do_not_meet(self, house: House, robot: Program) -> None:
        other = program(house, name="other")
        robot.post("/users", json=self.BODY, headers=self.KEY)
        assert other.post("/users", json={**self.BODY, "name": "b"}, headers=self.KEY).status_code == 201

    def test_a_form_is_the_same_however_it_is_cut(self, house: House, robot: Program) -> None:
        def send(name: str, boundary: str) -> int:
            head = f'Content-Disposition: form-data; name="files"; filename="{name}"'
            start, end = f"--{boundary}\r\n{head}\r\n\r\n", f"\r\n--{boundary}--\r\n"
            body = start.encode() + film_png() + end.encode()
            kind = f"multipart/form-data; boundary={boundary}"
            return robot.post("/studies", data=body, content_type=kind, headers=self.KEY).status_code

        assert [send("a.png", "one"), send("a.png", "two"), send("b.png", "one")] == [200, 200, 422]
        assert house.sent.qsize() == 1

    def test_a_refusal_is_remembered_and_a_passing_one_is_not(self, robot: Program) -> None:
        assert robot.post("/users", json={"name": "x"}, headers=self.KEY).status_code == 422
        assert robot.post("/users", json=self.BODY, headers=self.KEY).status_code in (201, 422)
        robot.post("/users", json={"name": "taken", "role": "reader"})
        key = {"Idempotency-Key": "other"}
        body = {"name": "taken", "role": "reader"}
        assert robot.post("/users", json=body, headers=key).status_code == 409
        robot.delete("/users/taken")
        assert robot.post("/users", json=body, headers=key).status_code == 201

    def test_a_key_that_was_shown_once_is_not_kept_for_a_second_time(
        self, house: House, robot: Program
    ) -> None:
        body = {"name": "t", "scopes": ["studies:read"]}
        made = json_of(robot.post("/tokens", json=body, headers=self.KEY))
        again = robot.post("/tokens", json=body, headers=self.KEY)
        assert again.status_code == 409
        assert json_of(again)["type"] == "urn:radsuite:problem:shown-once"
        with house.services.database.read() as session:
            assert made["key"] not in str([row.body for row in session.query(IdempotencyKey)])

    def test_two_at_once_are_carried_out_once(
        self, house: House, robot: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second arrives while the first is at work, and is told so."""
        inside, go_on = threading.Event(), threading.Event()
        submit = house.services.queue.submit

        def slow(study_id: str, **override: Any) -> str:
            inside.set()
            assert go_on.wait(20)
            return submit(study_id, **override)

        read_study(house, robot)
        monkeypatch.setattr(house.services.queue, "submit", slow)
        answers: list[int] = []

        def ask() -> None:
            answer = robot.post("/studies/chest/jobs", json={"override_gate": True}, headers=self.KEY)
            answers.append(answer.status_code)

        first = threading.Thread(target=ask)
        first.start()
        assert inside.wait(20)
        second = robot.post("/studies/chest/jobs", json={"override_gate": True}, headers=self.KEY)
        assert second.status_code == 409
        assert json_of(second)["type"] == "urn:radsuite:problem:still-at-work"
        assert second.headers["Retry-After"] == "1"
        go_on.set()
        first.join()
        ask()
        assert answers == [202, 202]
        assert house.sent.qsize() == 1

    def test_many_at_once_make_one_user(self, house: House, robot: Program) -> None:
        statuses: list[int] = []
        start = threading.Barrier(8)

        def ask() -> None:
            start.wait()
            statuses.append(robot.post("/users", json=self.BODY, headers=self.KEY).status_code)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {201, 409}
        assert 201 in statuses
        assert [user.name for user in house.services.users.all()] == ["ada", "robot"]
        assert robot.post("/users", json=self.BODY, headers=self.KEY).status_code == 201

    @pytest.mark.parametrize("key", ["", "two words", "x" * 256, "ü"])
    def test_a_key_is_plain_text(self, robot: Program, key: str) -> None:
        assert robot.post("/users", json=self.BODY, headers={"Idempotency-Key": key}).status_code == 400


class TestReviews:
    """What readers say is kept with who, when and about which weights, and can be taken back."""

    def test_verdicts_add_up_to_where_a_finding_stands(self, house: House, robot: Program) -> None:
        job_id = read_study(house, robot)
        path = "/studies/chest/reviews"
        robot.post(path, json={"verdict": "accepted", "finding": "edema"})
        robot.post(path, json={"verdict": "rejected", "finding": "edema", "text": "vessels"})
        robot.post(path, json={"verdict": "added", "finding": "fracture"})
        sheet = json_of(robot.post(path, json={"verdict": "comment", "text": "rotated"}))
        assert sheet["standing"] == {"edema": "rejected", "fracture": "added"}
        entry = sheet["entries"][1]
        assert (entry["user"], entry["job_id"], entry["model_sha256"]) == ("robot", job_id, WEIGHTS)
        assert entry["created_at"].endswith("Z")
        undone = json_of(robot.delete(f"{path}/{entry['id']}"))
        assert undone["standing"] == {"edema": "accepted", "fracture": "added"}
        assert undone["entries"][1]["undone_at"] is not None
        assert len(undone["entries"]) == 4
        assert robot.delete(f"{path}/{entry['id']}").status_code == 409

    def test_two_readers_do_not_overwrite_each_other(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        path = "/studies/chest/reviews"
        seen = robot.get(path).headers["ETag"]
        body = {"verdict": "accepted", "finding": "edema"}
        first = robot.post(path, json=body, headers={"If-Match": seen})
        late = robot.post(path, json={**body, "verdict": "rejected"}, headers={"If-Match": seen})
        assert (first.status_code, late.status_code) == (201, 412)
        assert json_of(late)["type"] == "urn:radsuite:problem:stale"
        assert json_of(robot.get(path))["standing"] == {"edema": "accepted"}
        now = robot.get(path).headers["ETag"]
        assert now == first.headers["ETag"]
        assert robot.get(path, headers={"If-None-Match": now}).status_code == 304
        assert robot.post(path, json=body, headers={"If-Match": '"short"'}).status_code == 400

    def test_one_takes_back_ones_own(self, house: House, robot: Program) -> None:
        read_study(house, robot)
        scopes = (Scope.STUDIES_READ, Scope.REVIEWS_WRITE)
        ada = program(house, *scopes, name="ada", role=Role.READER)
        bob = program(house, *scopes, name="bob", role=Role.READER)
        path = "/studies/chest/reviews"
        number = json_of(ada.post(path, json={"verdict": "accepted", "finding": "edema"}))["entries"][0]["id"]
        answer = bob.delete(f"{path}/{number}")
        assert answer.status_code == 409
        assert "is by ada" in json_of(answer)["detail"]
        assert robot.delete(f"{path}/{number}").status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"verdict": "accepted"},
            {"verdict": "accepted", "finding": "cough"},
            {"verdict": "comment"},
            {"verdict": "maybe", "finding": "edema"},
            {"verdict": "comment", "text": "x" * 4001},
            {"verdict": "comment", "text": "a\x00b"},
            {"verdict": "comment", "text": "x", "user": "somebody else"},
        ],
    )
    def test_what_does_not_fit_is_refused(self, house: House, robot: Program, body: dict[str, str]) -> None:
        read_study(house, robot)
        answer = robot.post("/studies/chest/reviews", json=body)
        assert answer.status_code == 422
        assert json_of(answer)["errors"][0]["where"]

    def test_a_verdict_is_on_the_reading_that_was_looked_at(self, house: House, robot: Program) -> None:
        """One that finished meanwhile is not credited with it."""
        seen = read_study(house, robot)
        robot.post("/studies/chest/jobs", json={})
        house.work()
        path = "/studies/chest/reviews"
        body = {"verdict": "accepted", "finding": "edema"}
        robot.post(path, json={**body, "job_id": seen})
        sheet = json_of(robot.post(path, json={"verdict": "comment", "text": "x"}))
        newest = house.services.search.study("chest").done.id
        assert [entry["job_id"] for entry in sheet["entries"]] == [seen, newest]
        assert sheet["entries"][0]["model_sha256"] == WEIGHTS
        other = read_study(house, robot, "other", 2)
        for wrong in (other, "0" * 32):
            answer = robot.post(path, json={**body, "job_id": wrong})
            assert (answer.status_code, "finished one of this study" in json_of(answer)["detail"]) == (
                422,
                True,
            )

    def test_there_must_be_a_reading_to_judge(self, robot: Program) -> None:
        robot.hand_in(("chest.png", film_png()))
        path = "/studies/chest/reviews"
        assert robot.post(path, json={"verdict": "accepted", "finding": "edema"}).status_code == 409
        assert robot.post(path, json={"verdict": "comment", "text": "blurred"}).status_code == 201


class TestNodes:
    """Results are sent to systems that an administrator named."""

    PACS = {"name": "pacs", "kind": "dimse", "ae_title": "PACS", "host": "10.0.0.1", "port": 104}  # noqa: RUF012

    def test_they_are_added_held_back_and_removed(self, robot: Program) -> None:
        made = robot.post("/nodes", json={**self.PACS, "rules": {"when": "abnormal"}})
        assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/nodes/pacs")
        assert json_of(made)["address"] == "PACS@10.0.0.1:104"
        assert json_of(made)["rules"]["when"] == "abnormal"
        assert robot.post("/nodes", json=self.PACS).status_code == 409
        assert json_of(robot.patch("/nodes/pacs", json={"enabled": False}))["enabled"] is False
        assert robot.delete("/nodes/pacs").status_code == 204
        assert json_of(robot.get("/nodes"))["items"] == []
        assert robot.get("/nodes/pacs").status_code == 404

    def test_credentials_in_an_address_are_not_shown(self, robot: Program) -> None:
        body = {"name": "web", "kind": "stow", "url": "https://user:hidden@pacs/dicom-web"}
        made = robot.post("/nodes", json=body)
        assert made.status_code == 201
        assert "hidden" not in made.text + robot.get("/nodes").text + robot.get("/audit").text

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "x", "kind": "dimse", "ae_title": "PACS", "host": "h"},
            {"name": "x", "kind": "dimse", "ae_title": "A" * 17, "host": "h", "port": 104},
            {"name": "x", "kind": "stow", "url": "ftp://pacs"},
            {"name": "x", "kind": "stow", "url": "http://[half"},
            {"name": "x", "kind": "stow", "url": "http://pacs:99999"},
            {"name": "../x", "kind": "stow", "url": "http://pacs"},
        ],
    )
    def test_an_address_must_be_one(self, robot: Program, body: dict[str, object]) -> None:
        assert robot.post("/nodes", json=body).status_code == 422

    def test_a_push_waits_in_the_outbox_once(self, house: House, robot: Program) -> None:
        robot.post("/nodes", json=self.PACS)
        robot.hand_in(("chest.png", film_png()))
        assert robot.post("/studies/chest/pushes", json={"node": "pacs"}).status_code == 409
        house.work()
        first = robot.post("/studies/chest/pushes", json={"node": "pacs"})
        again = robot.post("/studies/chest/pushes", json={"node": "pacs", "again": True})
        assert (first.status_code, again.status_code) == (202, 202)
        push = json_of(first)
        assert (push["node"], push["state"], push["attempts"]) == ("pacs", "queued", 0)
        assert json_of(again)["id"] == push["id"]
        assert [item["id"] for item in json_of(robot.get("/studies/chest/pushes"))["items"]] == [push["id"]]
        assert json_of(robot.get(first.headers["Location"]))["job_id"] == push["job_id"]
        assert robot.post("/studies/chest/pushes", json={"node": "nowhere"}).status_code == 404
