"""What the tests of the pages share: people who sign in, and forms as browsers send them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from suite.accounts.principal import Role
from tests.web_house import House

HTML = {"Accept": "text/html"}
PASSWORD = "a sentence of my own"


@dataclass
class Person:
    """Somebody in front of a browser."""

    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=HTML)

    def post(self, path: str, *, accept: str = "text/html", **form: Any) -> TestResponse:
        """A form as the signed-in reader sends it."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.get("/login").text)
        assert found
        form = {name: value for name, value in form.items() if value is not None}
        return self.client.post(path, data={"csrf_token": found[1], **form}, headers={"Accept": accept})

    def sign_in(self, name: str, password: str = PASSWORD, wanted: str = "/") -> TestResponse:
        return self.post("/login", name=name, password=password, next=wanted)

    def hand_in(self, *files: tuple[str, bytes], accept: str = "text/html") -> TestResponse:
        return self.post("/studies", accept=accept, files=[(io.BytesIO(data), name) for name, data in files])


def person(house: House) -> Person:
    """Somebody who has not signed in."""
    return Person(house.app.test_client())


def signed_in(house: House, name: str, role: Role = Role.READER) -> Person:
    """A user of that name and role, made if there is none, and signed in by a one-time link: no hashing."""
    if name not in {user.name for user in house.services.users.all()}:
        house.services.users.create(name, role)
    somebody = person(house)
    assert somebody.get(f"/enter/{house.services.links.create(name)}").status_code == 303
    return somebody


def pseudonym(house: House, study_id: str) -> str:
    """The name under which pages show a study."""
    return house.services.catalogue.display_ids([study_id])[study_id]
