"""Uploads in pieces: interrupted, gone on with, checked, and handed in."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.accounts.principal import LOCAL, Scope
from suite.records.uploads import LIFETIME_SECONDS, Uploads
from tests.api_house import SECRET, Program, json_of, open_service, program, zipped
from tests.jobs_fakes import film_png
from tests.web_house import House

PIECE = {"Content-Type": "application/offset+octet-stream"}
FILM = film_png(1)
SHA256 = hashlib.sha256(FILM).hexdigest()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_service(tmp_path / "data", real_intake=True) as opened:
        yield opened


@pytest.fixture
def robot(house: House) -> Program:
    return program(house, Scope.STUDIES_READ, Scope.STUDIES_WRITE)


def begin(robot: Program, size: int = len(FILM), name: str = "chest.png", **more: Any) -> str:
    answer = robot.post("/uploads", json={"filename": name, "size": size, **more})
    assert answer.status_code == 201
    assert answer.headers["Location"].startswith("/api/v1/uploads/")
    return str(json_of(answer)["id"])


def send(robot: Program, upload: str, offset: int, content: bytes) -> Any:
    headers = {**PIECE, "Upload-Offset": str(offset)}
    return robot.patch(f"/uploads/{upload}", data=content, headers=headers)


def test_a_film_arrives_in_pieces_and_becomes_a_study(house: House, robot: Program) -> None:
    upload = begin(robot, sha256=SHA256)
    middle = len(FILM) // 2
    assert send(robot, upload, 0, FILM[:middle]).headers["Upload-Offset"] == str(middle)
    assert json_of(send(robot, upload, middle, FILM[middle:]))["state"] == "complete"
    answer = json_of(robot.post("/imports", json={"items": [{"upload": upload}]}))
    assert answer["accepted"][0]["id"] == "chest"
    source = house.settings.data / "studies" / "chest" / "source" / "frontal.png"
    assert source.read_bytes() == FILM
    assert json_of(robot.get(f"/uploads/{upload}"))["state"] == "taken"
    assert not list((house.settings.data / "uploads").iterdir())


def test_two_uploads_are_paired_and_an_archive_is_opened(robot: Program) -> None:
    side, archive = film_png(2), zipped({"a.png": film_png(3), "b.png": film_png(4)})
    contents = {"f.png": FILM, "s.png": side, "z.zip": archive}
    names = [begin(robot, len(content), name) for name, content in contents.items()]
    for name, content in zip(names, (FILM, side, archive), strict=True):
        send(robot, name, 0, content)
    items = [{"upload": names[0], "lateral": names[1]}, {"upload": names[2]}]
    answer = json_of(robot.post("/imports", json={"items": items}))
    taken = {item["id"]: item["names"] for item in answer["accepted"]}
    assert taken == {"f": ["f.png", "s.png"], "a": ["a.png"], "b": ["b.png"]}


def test_a_piece_begins_where_the_file_ends(robot: Program) -> None:
    upload = begin(robot)
    send(robot, upload, 0, FILM[:1000])
    for wrong in (0, 999, 1001):
        answer = send(robot, upload, wrong, b"x")
        assert answer.status_code == 409
        assert "go on at 1000" in json_of(answer)["detail"]
    head = robot.call("HEAD", f"/uploads/{upload}")
    assert (head.headers["Upload-Offset"], head.data) == ("1000", b"")


def test_more_than_announced_is_refused_and_counts_for_nothing(robot: Program) -> None:
    upload = begin(robot, 10)
    assert send(robot, upload, 0, b"12345678901").status_code == 413
    assert json_of(robot.get(f"/uploads/{upload}"))["received"] == 0
    assert json_of(send(robot, upload, 0, b"1234567890"))["state"] == "complete"


def test_altered_bytes_are_noticed_and_the_file_begins_anew(robot: Program) -> None:
    upload = begin(robot, sha256=SHA256)
    answer = send(robot, upload, 0, b"X" + FILM[1:])
    assert answer.status_code == 409
    assert json_of(answer)["type"] == "urn:radsuite:problem:digest-mismatch"
    assert json_of(robot.get(f"/uploads/{upload}"))["received"] == 0
    assert json_of(send(robot, upload, 0, FILM))["state"] == "complete"


def test_too_large_a_file_is_refused_when_it_is_announced(robot: Program) -> None:
    answer = robot.post("/uploads", json={"filename": "large.zip", "size": 2 * 1024**3})
    assert answer.status_code == 413
    assert "may have 2000000" in json_of(answer)["detail"]


def test_an_incomplete_upload_is_not_handed_in(robot: Program) -> None:
    upload = begin(robot)
    send(robot, upload, 0, FILM[:100])
    answer = robot.post("/imports", json={"items": [{"upload": upload}]})
    assert answer.status_code == 409
    assert f"100 of {len(FILM)} bytes" in json_of(answer)["detail"]
    assert json_of(robot.get(f"/uploads/{upload}"))["state"] == "open"


def test_an_upload_belongs_to_who_began_it(house: House, robot: Program) -> None:
    upload = begin(robot)
    other = program(house, name="other")
    for answer in (
        other.get(f"/uploads/{upload}"),
        send(other, upload, 0, FILM),
        other.delete(f"/uploads/{upload}"),
        other.post("/imports", json={"items": [{"upload": upload}]}),
    ):
        assert answer.status_code == 404
    assert json_of(other.get("/uploads"))["items"] == []
    assert [item["id"] for item in json_of(robot.get("/uploads"))["items"]] == [upload]


def test_an_upload_that_is_given_up_leaves_nothing(house: House, robot: Program) -> None:
    upload = begin(robot)
    send(robot, upload, 0, FILM[:100])
    assert robot.delete(f"/uploads/{upload}").status_code == 204
    assert not list((house.settings.data / "uploads").iterdir())
    assert send(robot, upload, 100, FILM[100:]).status_code == 404


def test_a_forgotten_upload_is_removed_after_a_day(house: House) -> None:
    now = time.time()
    uploads = Uploads(house.services.database, house.settings.data, lambda: now)
    old = uploads.create(LOCAL, "a.png", 10, None, max_bytes=100)
    now += LIFETIME_SECONDS + 1
    uploads.create(LOCAL, "b.png", 10, None, max_bytes=100)
    assert [upload.filename for upload in uploads.all(LOCAL)] == ["b.png"]
    assert not uploads.path(old.id).exists()


def test_a_broken_connection_costs_only_what_was_not_sent(house: House) -> None:
    """Over a real socket that is cut in the middle of a piece."""
    key = {"Authorization": f"Bearer {SECRET}"}
    with house.open_for_browsers() as address:
        port = int(address.rpartition(":")[2])

        def call(method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, f"/api/v1{path}", body, {**key, **headers})
            return connection.getresponse()

        body = f'{{"filename": "chest.png", "size": {len(FILM)}, "sha256": "{SHA256}"}}'.encode()
        upload = call("POST", "/uploads", body, **{"Content-Type": "application/json"}).headers["Location"]
        path = upload.removeprefix("/api/v1")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            head = (
                f"PATCH {upload} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
                "Upload-Offset: 0\r\n"
                f"Content-Type: {PIECE['Content-Type']}\r\nContent-Length: {len(FILM)}\r\n\r\n"
            )
            raw.sendall(head.encode() + FILM[:5000])
        offset = _settled(lambda: int(call("HEAD", path).headers["Upload-Offset"]), 5000)
        assert offset == 5000
        answer = call("PATCH", path, FILM[offset:], **PIECE, **{"Upload-Offset": str(offset)})
        assert b'"state":"complete"' in answer.read()


def _settled(look: Any, wanted: int) -> int:
    """What is seen once the server has noticed, or after ten seconds."""
    deadline = time.monotonic() + 10
    while (seen := look()) != wanted and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    return int(seen)


def test_two_pieces_at_once_are_told_apart(house: House) -> None:
    """One that writes holds the file; another one is told to ask for the offset."""
    uploads = house.services.uploads
    upload = uploads.create(LOCAL, "a.bin", 8, None, max_bytes=100)
    answers: list[str] = []

    class Slow:
        chunks = iter([b"1234", b"5678", b""])

        def read(self, size: int = -1) -> bytes:
            try:
                uploads.append(LOCAL, upload.id, 0, Slow())  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001 -- whatever it is, its sentence is looked at
                answers.append(str(error))
            return next(self.chunks)

    assert uploads.append(LOCAL, upload.id, 0, Slow()).state == "complete"  # type: ignore[arg-type]
    assert "another piece is being written" in answers[0]
    assert uploads.path(upload.id).read_bytes() == b"12345678"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json", "Upload-Offset": "0"}, 415),
        (PIECE, 400),
        ({**PIECE, "Upload-Offset": "-1"}, 400),
        ({**PIECE, "Upload-Offset": "٣"}, 400),
    ],
)
def test_a_piece_says_what_it_is_and_where_it_begins(
    robot: Program, headers: dict[str, str], status: int
) -> None:
    upload = begin(robot)
    answer = robot.patch(f"/uploads/{upload}", data=b"x", headers=headers)
    assert answer.status_code == status
