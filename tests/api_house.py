"""What the tests of the interface share: a service with a secret, users, and programs that hold tokens."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from suite import intake
from suite.accounts.principal import Role, Scope
from suite.jobs.submission import Submission, file_name
from tests.jobs_fakes import film_png
from tests.web_house import House, open_house
from web import create_app

ROOT = "/api/v1"
SECRET = "correct horse battery staple"
PASSWORD = "a sentence of my own"


class Program:
    """A program that calls the interface with a token."""

    def __init__(self, client: FlaskClient, key: str | None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, method: str, path: str, **more: Any) -> TestResponse:
        """One request below ``/api/v1``."""
        headers = {**self._headers, **more.pop("headers", {})}
        address = path if path.startswith("/api/") else ROOT + path
        return self._client.open(address, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.call("POST", path, **more)

    def patch(self, path: str, **more: Any) -> TestResponse:
        return self.call("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.call("DELETE", path, **more)

    def hand_in(self, *files: tuple[str, bytes], lateral: tuple[str, bytes] | None = None) -> TestResponse:
        """Films as a form, as ``curl -F`` sends it."""
        form: dict[str, Any] = {"files": [(io.BytesIO(content), name) for name, content in files]}
        if lateral is not None:
            form["lateral"] = (io.BytesIO(lateral[1]), lateral[0])
        return self.post("/studies", data=form)


@contextmanager
def open_service(data: Path, *, real_intake: bool = False, **values: Any) -> Iterator[House]:
    """A service that others reach, so that everything needs credentials."""
    with open_house(data, **({"secret": SECRET, "max_upload_mb": 2} | values)) as house:
        if real_intake:
            parts = house.services
            submission = Submission(
                parts.database, parts.store, house.sent.put, collect=intake.collect, name=file_name
            )
            house.services = replace(parts, submission=submission)
            house.app = create_app(house.settings, services=house.services)
        yield house


def program(house: House, *scopes: Scope, name: str = "robot", role: Role = Role.ADMIN) -> Program:
    """A program with a token of a user of its own."""
    users = house.services.users
    if name not in {user.name for user in users.all()}:
        users.create(name, role)
    number = len(house.services.tokens.all())
    _, key = house.services.tokens.create(name, f"token {number}", scopes or (Scope.ADMIN,))
    return Program(house.app.test_client(), key)


def read_study(house: House, robot: Program, name: str = "chest", seed: int = 1) -> str:
    """A study that was handed in and read; gives the job's id."""
    assert robot.hand_in((f"{name}.png", film_png(seed))).status_code == 200
    house.work()
    done = house.services.search.study(name).done
    assert done is not None
    return done.id


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def json_of(answer: TestResponse) -> Any:
    """The body, which must be JSON of one kind or the other."""
    kind = "application/json" if answer.status_code < 400 else "application/problem+json"
    assert answer.content_type == kind, answer.text
    return answer.get_json(force=True)
