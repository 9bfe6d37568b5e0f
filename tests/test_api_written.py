"""Written reports through the interface: found, read, taken as PDF, and drafted; signed by people alone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest
from sqlalchemy import update

from suite.accounts.principal import SCOPES_OF_ROLE, Means, Principal, Role, Scope
from suite.jobs.models import WrittenReport
from suite.records.written import WrittenReports
from tests.api_house import Program, json_of, open_service, program, read_study
from tests.web_house import House

ADA = Principal("ada", Role.READER, SCOPES_OF_ROLE[Role.READER], Means.SESSION, 1)
TEXT = {"indication": "", "technique": "PA.", "findings": "Effusion.", "impression": "1. Effusion."}
PATH = "/studies/chest/written-report"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def robot(house: House) -> Program:
    return program(house, Scope.STUDIES_READ, Scope.STUDIES_WRITE, Scope.REVIEWS_WRITE)


@pytest.fixture
def job_id(house: House, robot: Program) -> str:
    return read_study(house, robot)


def draft(job_id: str, version: int = 0, **sections: str) -> dict[str, Any]:
    return {"version": version, "job_id": job_id, "sections": TEXT | sections}


def sign(house: House, job_id: str, study: str = "chest", at: float | None = None) -> None:
    """A person signs, at ``at`` seconds since 1970 or now."""
    parts = house.services
    written = parts.written if at is None else WrittenReports(parts.database, lambda: at, parts.trail)
    seen = parts.written.of(study)
    kept = written.save(study, TEXT, ADA, seen_version=seen.version if seen else 0, job_id=job_id)
    written.sign(study, ADA, seen_version=kept.version, newest_seen=job_id)


def test_a_report_is_read_with_its_state_authors_times_and_reading(
    house: House, robot: Program, job_id: str
) -> None:
    assert robot.get(PATH).status_code == 404
    answer = robot.post(PATH, json=draft(job_id))
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/api/v1{PATH}")
    first = json_of(robot.get(PATH))
    assert first == json_of(answer)
    assert (first["state"], first["version"], first["changed_by"]) == ("draft", 1, "robot")
    assert (first["sections"], first["signed_by"], first["addenda"]) == (TEXT, None, [])
    assert first["links"]["reading"] == f"/api/v1/jobs/{job_id}/report"
    assert robot.get(first["links"]["reading"]).status_code == 200

    sign(house, job_id)
    house.services.written.add("chest", "Seen again.", ADA)
    signed = json_of(robot.get(PATH))
    assert (signed["state"], signed["signed_by"], signed["job_id"]) == ("signed", "ada", job_id)
    assert signed["sha256"] == house.services.written.of("chest").sha256
    assert [(item["text"], item["signed_by"]) for item in signed["addenda"]] == [("Seen again.", "ada")]
    assert signed["addenda"][0]["sha256"] == house.services.written.of("chest").addenda[0].sha256
    assert signed["updated_at"] == signed["addenda"][0]["signed_at"] > signed["signed_at"]
    assert json_of(robot.get("/studies/chest"))["links"]["written"] == f"/api/v1{PATH}"


def test_what_has_not_changed_is_not_sent_again(house: House, robot: Program, job_id: str) -> None:
    seen = []
    for change in (
        lambda: robot.post(PATH, json=draft(job_id)),
        lambda: sign(house, job_id),
        lambda: house.services.written.add("chest", "More.", ADA),
    ):
        change()
        for path in (PATH, f"{PATH}/pdf"):
            answer = robot.get(path)
            again = robot.get(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert (answer.status_code, again.status_code, again.data) == (200, 304, b"")
        seen.append(answer.headers["ETag"])
    assert len(set(seen)) == 3


def test_the_pdf_is_that_of_the_page(house: House, robot: Program, job_id: str) -> None:
    assert robot.get(f"{PATH}/pdf").status_code == 404
    robot.post(PATH, json=draft(job_id))

    def text() -> str:
        answer = robot.get(f"{PATH}/pdf")
        assert answer.content_type == "application/pdf"
        pages = pypdf.PdfReader(io.BytesIO(answer.data)).pages
        return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))

    assert "DRAFT" in text()
    sign(house, job_id)
    assert "Signed by ada" in text()
    assert f"job {job_id[:8]}" in text()
    assert "DRAFT" not in text()


class TestDrafting:
    """Another system may prepare the text; it never overwrites what it has not seen, and signs nothing."""

    def test_a_draft_replaces_the_version_it_names(self, house: House, robot: Program, job_id: str) -> None:
        robot.post(PATH, json=draft(job_id))
        answer = robot.post(PATH, json=draft(job_id, 1, findings="12\tmm\r\nEffusion."))
        assert (answer.status_code, json_of(answer)["version"]) == (200, 2)
        assert json_of(answer)["sections"]["findings"] == "12 mm\nEffusion."
        late = robot.post(PATH, json=draft(job_id, 1))
        assert (late.status_code, json_of(late)["type"]) == (412, "urn:radsuite:problem:stale")

    def test_a_signed_report_is_not_drafted_again(self, house: House, robot: Program, job_id: str) -> None:
        sign(house, job_id)
        late = robot.post(PATH, json=draft(job_id, 1))
        assert (late.status_code, "add an addendum" in json_of(late)["detail"]) == (409, True)
        assert house.services.written.of("chest").sections == TEXT

    def test_it_names_a_finished_reading_of_its_study(
        self, house: House, robot: Program, job_id: str
    ) -> None:
        other = read_study(house, robot, "other", 2)
        waiting = json_of(robot.post("/studies/chest/jobs", json={}))["id"]
        for wrong in (other, waiting, "0" * 32):
            answer = robot.post(PATH, json=draft(wrong))
            assert (answer.status_code, "finished one of this study" in json_of(answer)["detail"]) == (
                422,
                True,
            )
        assert robot.post("/studies/nothing/written-report", json=draft(job_id)).status_code == 404
        assert robot.get("/studies/nothing/written-report").status_code == 404

    @pytest.mark.parametrize(
        "change",
        [
            {"signed_by": "ada"},
            {"action": "sign"},
            {"version": -1},
            {"sections": {"summary": "x"}},
            {"sections": {"findings": "x" * 10_001}},
        ],
    )
    def test_what_it_does_not_know_is_refused(
        self, robot: Program, job_id: str, change: dict[str, Any]
    ) -> None:
        assert robot.post(PATH, json=draft(job_id) | change).status_code == 422
        assert robot.get(PATH).status_code == 404

    def test_the_same_draft_sent_twice_is_kept_once(self, house: House, robot: Program, job_id: str) -> None:
        key = {"Idempotency-Key": "4711"}
        first, again = (robot.post(PATH, json=draft(job_id), headers=key) for _ in range(2))
        assert (first.status_code, again.status_code, first.data) == (201, 201, again.data)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert house.services.written.of("chest").version == 1
        drafted = [line for line in house.services.trail.lines() if line.action == "report.drafted"]
        assert [(line.actor, line.subject, line.detail["job"]) for line in drafted] == [
            ("robot", "chest", job_id)
        ]

    def test_scopes_are_those_of_reading_and_of_reviews(self, house: House, job_id: str) -> None:
        reader = program(house, Scope.STUDIES_READ)
        blind = program(house, Scope.NODES_READ)
        assert reader.get("/written-reports").status_code == 200
        for who, path, wanted in (
            (blind, PATH, "studies:read"),
            (blind, f"{PATH}/pdf", "studies:read"),
            (blind, "/written-reports", "studies:read"),
        ):
            answer = who.get(path)
            assert (answer.status_code, wanted in json_of(answer)["detail"]) == (403, True)
        refused = reader.post(PATH, json=draft(job_id))
        assert (refused.status_code, "reviews:write" in json_of(refused)["detail"]) == (403, True)
        assert Program(house.app.test_client(), None).get(PATH).status_code == 401

    def test_no_address_signs(self, house: House, robot: Program, job_id: str) -> None:
        robot.post(PATH, json=draft(job_id))
        for method in ("PUT", "PATCH", "DELETE"):
            assert robot.call(method, PATH, json={}).status_code == 405
        for path in (f"{PATH}/signature", f"{PATH}/addenda", f"{PATH}/sign"):
            assert robot.post(path, json={}).status_code == 404
        assert not house.services.written.of("chest").is_signed


class TestList:
    """The list is followed by systems that want to know what is new."""

    @pytest.fixture
    def four(self, house: House, robot: Program) -> list[str]:
        """Studies a to d, changed at 100, 200, ... seconds since 1970; b and d are signed."""
        names = list("abcd")
        for seed, name in enumerate(names):
            job_id = read_study(house, robot, name, seed)
            at, parts = 100.0 * (seed + 1), house.services
            if name in "bd":
                sign(house, job_id, name, at)
            else:
                written = WrittenReports(parts.database, lambda at=at: at, parts.trail)
                written.save(name, TEXT, replace(ADA, name="rita"), seen_version=0, job_id=job_id)
        return names

    def listed(self, robot: Program, query: str = "") -> list[str]:
        return [item["study_id"] for item in json_of(robot.get(f"/written-reports?{query}"))["items"]]

    @pytest.mark.usefixtures("four")
    def test_it_is_narrowed_by_state_and_time(self, robot: Program) -> None:
        assert self.listed(robot) == ["a", "b", "c", "d"]
        assert self.listed(robot, "state=signed") == ["b", "d"]
        assert self.listed(robot, "state=draft") == ["a", "c"]
        since = datetime.fromtimestamp(200, UTC).isoformat().replace("+00:00", "Z")
        assert self.listed(robot, f"updated_from={since}") == ["b", "c", "d"]
        assert robot.get("/written-reports?state=lost").status_code == 422

    @pytest.mark.usefixtures("four")
    def test_texts_are_not_in_it(self, robot: Program) -> None:
        first = json_of(robot.get("/written-reports?limit=1"))["items"][0]
        assert (first["changed_by"], first["links"]["self"]) == ("rita", "/api/v1/studies/a/written-report")
        assert "Effusion" not in robot.get("/written-reports").text

    @pytest.mark.usefixtures("four")
    def test_what_changes_while_it_is_paged_through_comes_again(self, house: House, robot: Program) -> None:
        page = json_of(robot.get("/written-reports?limit=2"))
        assert [item["study_id"] for item in page["items"]] == ["a", "b"]
        house.services.written.add("b", "More.", ADA)
        answer = robot.get(f"/written-reports?limit=2&cursor={page['next']}")
        rest = json_of(answer)
        assert [item["study_id"] for item in rest["items"]] == ["c", "d"]
        assert f"cursor={rest['next']}" in answer.headers["Link"]
        last = json_of(robot.get(f"/written-reports?limit=2&cursor={rest['next']}"))
        assert ([item["study_id"] for item in last["items"]], last["next"]) == (["b"], None)
        assert robot.get("/written-reports?cursor=nonsense").status_code == 422

    def test_equal_times_are_told_apart(self, house: House, robot: Program) -> None:
        for seed, name in enumerate("cab"):
            sign(house, read_study(house, robot, name, seed), name, 100.0)
        page = json_of(robot.get("/written-reports?limit=2"))
        rest = json_of(robot.get(f"/written-reports?limit=2&cursor={page['next']}"))
        assert [item["study_id"] for item in page["items"] + rest["items"]] == ["a", "b", "c"]


def test_a_text_that_was_altered_is_not_given_out(house: House, robot: Program, job_id: str) -> None:
    sign(house, job_id)
    with house.services.database.write() as session:
        session.execute(update(WrittenReport).values(sections=TEXT | {"findings": "Nothing."}))
    for path in (PATH, f"{PATH}/pdf"):
        answer = robot.get(path)
        assert (answer.status_code, "altered" in json_of(answer)["detail"]) == (503, True)
