"""Requests that no browser of good will sends, and addresses that one comes back to."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from suite.accounts.principal import Role, Scope
from suite.records.worklist import version_of
from tests.api_house import json_of, open_service, program
from tests.pages_house import HTML, person, signed_in
from tests.web_house import House, open_house
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
