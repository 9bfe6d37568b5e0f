"""The audit trail's page says in words what was done, with the code below for who searches."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import suite
import web
from suite.accounts.principal import Role
from suite.jobs.models import AuditEvent
from tests.pages_house import signed_in
from tests.web_house import House, open_house
from web.audit_words import ACTIONS

CODE = re.compile(r"[a-z]+(-[a-z]+)?\.[a-z]+([-_][a-z]+)*")
FILES = r".*\.(csv|db|ini|json|key|lock|md|pdf|pgdump|png|safetensors|txt)"
PACKAGES = r"(radsuite|suite|oidc)\..*"
"""The pages of a provider's sign-in are there only where a provider is set."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("audit"), sign_in=True) as opened:
        opened.services.users.create("root", Role.ADMIN)
        yield opened


def written_codes() -> set[str]:
    """All texts of the form ``noun.verb`` in the packages that write the trail, without names of files."""
    found: set[str] = set()
    for package in (suite, web):
        for module in Path(str(package.__file__)).parent.rglob("*.py"):
            if "migrations" not in module.parts:
                texts = (node for node in ast.walk(ast.parse(module.read_text("utf-8"))))
                found |= {
                    node.value
                    for node in texts
                    if isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and CODE.fullmatch(node.value)
                }
    return {text for text in found if not re.fullmatch(f"{FILES}|{PACKAGES}", text)}


def test_every_action_that_the_code_writes_has_words_and_no_other(house: House) -> None:
    columns = {
        f"{table.name}.{column.name}" for table in AuditEvent.metadata.tables.values() for column in table.c
    }
    codes = written_codes() - set(house.app.view_functions) - columns
    assert codes == set(ACTIONS)


def test_words_are_words_and_each_action_has_its_own() -> None:
    assert len(set(ACTIONS.values())) == len(ACTIONS)
    assert [said for said in ACTIONS.values() if not re.fullmatch(r"[A-Z][A-Za-z', -]+", said)] == []


def test_the_page_says_words_and_the_code_below_them(house: House) -> None:
    root = signed_in(house, "root")
    root.post("/people", name="hugo", role="reader")
    house.services.trail.record("system", "thing.of-an-older-release", "hugo")
    page = root.get("/people/audit?subject=hugo").text
    assert re.search(r"<td>User created<code [^>]*>user\.created</code></td>", page)
    assert re.search(r"<td>thing\.of-an-older-release</td>", page)
