"""Requests that no browser of good will sends, and addresses that one comes back to."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from suite.accounts.principal import Role, Scope
from suite.errors import InputError
from suite.jobs.database import Database
from suite.jobs.models import User
from suite.records.worklist import version_of
from suite.settings import load_settings
from tests.api_house import json_of, open_service, program
from tests.jobs_services import Server, new_database
from tests.pages_house import HTML, person, signed_in
from tests.web_house import House, open_house
from web import kept_text
from web.api.problems import ProblemError
from web.research import playground


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("requests"), sign_in=True) as opened:
        yield opened


def test_signing_in_leads_back_to_what_was_asked_for(house: House) -> None:
    house.services.users.create("carla", Role.READER, "a sentence of my own")
    carla = person(house)
    away = carla.get("/?show=done&q=K7QM%204")
    assert away.headers["Location"] == "/login?next=/?show%3Ddone%26q%3DK7QM%25204"
    page = carla.get(away.headers["Location"]).text
    assert 'name="next" value="/?show=done&amp;q=K7QM%204"' in page
    wanted = "/?show=done&q=K7QM%204"
    assert carla.sign_in("carla", wanted=wanted).headers["Location"] == wanted


@pytest.mark.parametrize("path", ["/", "/people/audit", "/research/phantom", "/nothing"])
def test_bytes_that_are_no_text_break_no_page(house: House, path: str) -> None:
    root = signed_in(house, "root", role=Role.ADMIN)
    raw = {"QUERY_STRING": "q=a+\xff/\xfe&x=1"}
    answer = root.client.get(path, headers=HTML, environ_overrides=raw)
    assert answer.status_code == (404 if path == "/nothing" else 200)
    assert "?q=a+%FF/%FE&amp;x=1" in answer.text  # the form that changes the theme leads back here


def test_bytes_that_are_no_text_are_a_problem_for_programs(house: House) -> None:
    signed_in(house, "root", role=Role.ADMIN)
    raw = {"QUERY_STRING": "\xff=1"}
    for path, status in (("/api/v1/me", 422), ("/api/v1/openapi.json", 422), ("/login", 200)):
        key = house.services.tokens.create("root", path, [Scope.ADMIN])[1]
        headers = {"Authorization": f"Bearer {key}"}
        assert house.client.get(path, headers=headers, environ_overrides=raw).status_code == status


@pytest.mark.parametrize(
    "path", ["/?q=%00", "/people/audit?actor=a%00b", "/studies/%00", "/studies/a%00/report"]
)
def test_a_nul_is_refused_before_a_database_sees_it(house: House, path: str) -> None:
    answer = signed_in(house, "root", role=Role.ADMIN).get(path)
    assert (answer.status_code, "holds a NUL" in answer.text) == (400, True)


def forms(house: House) -> list[str]:
    """The address of every form of the pages, with something in each of its places."""
    rules = [rule for rule in house.app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    return sorted({re.sub("<[^>]+>", "x", rule.rule) for rule in rules if not rule.rule.startswith("/api")})


def test_a_nul_is_refused_in_every_form(house: House) -> None:
    root = signed_in(house, "root", role=Role.ADMIN)
    assert {"/login", "/people", "/studies", "/studies/x/report"} <= set(forms(house))
    for path in forms(house):
        for field in ({"text": "a\0b"}, {"te\0xt": "b"}):
            answer = root.post(path, **field)
            assert (path, answer.status_code) == (path, 400)
            assert "The field text holds a NUL; write it without." in answer.text


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/users", {"name": "eve", "role": "reader", "password": "a sentence\0of my own"}, "password"),
        (
            "/studies/x/written-report",
            {"version": 0, "job_id": "0" * 32, "sections": {"findings": "a\0b"}},
            "sections.findings",
        ),
        ("/studies/x/reviews", {"verdict": "comment", "text": "a\0b"}, "comment.text"),
        ("/tokens", {"name": "a\0b", "scopes": ["studies:read"]}, "name"),
    ],
)
def test_a_nul_is_refused_in_a_body(tmp_path: Path, path: str, body: dict[str, object], where: str) -> None:
    with open_service(tmp_path) as house:
        answer = program(house).post(path, json=body)
        assert (answer.status_code, json_of(answer)["errors"][0]["where"]) == (422, where)


def test_half_a_surrogate_pair_is_no_json(tmp_path: Path) -> None:
    with open_service(tmp_path) as house:
        answer = program(house).post(
            "/tokens", data='{"name": "\\ud800", "scopes": []}', content_type="application/json"
        )
        assert answer.status_code == 400


def test_a_backslash_that_is_written_out_is_no_nul() -> None:
    kept_text.check_json(json.dumps({"a\\u0000": ["\\u0000", 1, None]}).encode())
    with pytest.raises(ProblemError, match=r"^a\.1: holds a NUL"):
        kept_text.check_json(json.dumps({"a": ["b", "c\0"]}).encode())
    with pytest.raises(ProblemError, match=r"^request: holds a NUL"):
        kept_text.check_json(json.dumps({"a\0": 1}).encode())


@pytest.mark.parametrize(
    "address",
    [
        "/studies?PatientID=a%00b",
        "/studies?StudyDate=2026%00",
        "/studies?a%00=1",
        "/studies/1.2%00/series",
        "/studies/1.2/series/1.3%00/instances",
        "/studies/1.2%00/metadata",
    ],
)
def test_a_nul_is_refused_in_a_dicomweb_query(tmp_path: Path, address: str) -> None:
    with open_service(tmp_path) as house:
        answer = program(house).get("/api/dicomweb" + address)
        assert (answer.status_code, "holds a NUL" in json_of(answer)["detail"]) == (400, True)


@pytest.mark.parametrize("before", ["9" * 30, "-" + "9" * 30, "0", "-1", "x"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_trail_begins_at_any_number(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, before: str
) -> None:
    urls = {"database_url": new_database(request.getfixturevalue("postgres"))} if kind == "postgres" else {}
    with open_house(tmp_path, sign_in=True, **urls) as house:
        root = signed_in(house, "root", role=Role.ADMIN)
        assert root.get(f"/people/audit?before={before}").status_code == 200


def test_what_a_database_cannot_keep_is_a_mistake_to_tell(postgres: Server, tmp_path: Path) -> None:
    database = Database(load_settings(data=tmp_path, database_url=new_database(postgres)))
    with pytest.raises(InputError, match=r"cannot keep a value.*too long"), database.write() as session:
        session.add(User(name="x" * 200, role="reader", created_at=1.0))
    with pytest.raises(InputError, match=r"cannot keep a value.*NUL"), database.read() as session:
        session.scalars(select(User).where(User.name == "\0")).all()
    database.close()


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("/tokens", "[1e400]"),
        ("/tokens", f"[{10**30}]"),
        ("/audit", f"[-{10**30}]"),
        ("/jobs", '[NaN, "a"]'),
        ("/jobs", '[1.0, "a\\u0000"]'),
        ("/users", '["a\\u0000"]'),
    ],
)
def test_a_cursor_that_no_list_gave_is_refused(tmp_path: Path, path: str, position: str) -> None:
    json.loads(position)  # it is JSON of a kind
    cursor = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
    with open_service(tmp_path) as house:
        answer = program(house).get(f"{path}?cursor={cursor}")
        assert (answer.status_code, json_of(answer)["type"]) == (422, "urn:radsuite:problem:invalid-cursor")


def test_readers_of_phantoms_leave_threads_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server with few threads one waits for a picture, and the next one is sent away at once."""
    started, go_on = threading.Event(), threading.Event()

    def slowly(_: playground.Wish) -> bytes:
        started.set()
        assert go_on.wait(30)
        return b"picture"

    monkeypatch.setattr(playground, "expose", slowly)
    room = playground.Darkroom(threads=4)
    wishes = [playground.Wish(patient, "", 0, 1, 120, 0, "frontal", False) for patient in (1, 2)]
    with ThreadPoolExecutor(2) as readers:
        first = readers.submit(room.compute, wishes[0])
        assert started.wait(30)
        second = readers.submit(room.compute, wishes[1])
        try:
            assert second.result(timeout=10) is None
        finally:
            go_on.set()
        assert first.result(timeout=30) == b"picture"


def test_the_lists_version_tells_large_counts_apart() -> None:
    assert version_of([1_234_567, 1.0]) != version_of([1_234_568, 1.0])
    assert version_of([3, 1_700_000_000.001]) != version_of([3, 1_700_000_000.002])
    assert version_of([0, None]) == "0-0.000"
