"""What the documents name is there: settings, commands with their options, files, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from suite.cli import main
from suite.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NO_SETTINGS = {"config", "deidentify_secret", "url", "token"}
"""Names in the environment that are none of the service's settings."""

of_each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def test_every_setting_is_described() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert [
        name
        for name in Settings.model_fields
        if f"RADSUITE_{name.upper()}" not in text and f"`{name}`" not in text
    ] == []


@of_each_document
def test_every_setting_that_is_named_is_there(document: Path) -> None:
    named = {name.lower() for name in re.findall(r"RADSUITE_([A-Z][A-Z_]*[A-Z])", document.read_text())}
    assert named - NO_SETTINGS - set(Settings.model_fields) == set()


@of_each_document
def test_every_option_of_a_command_is_there(document: Path) -> None:
    unknown = [(command, option) for command, option, known in _options(document) if option not in known]
    assert unknown == []


def _options(document: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Each option behind a ``radsuite COMMAND`` of a document, with those that the command has."""
    text = re.sub(r"\\\n\s*", " ", document.read_text())
    for line in re.findall(r"radsuite ([a-z][^\n`;|&]*)", text):
        words, command, name = line.partition("#")[0].split(), main, ""
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            name = words.pop(0)
            command = command.commands[name]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        for word in words if name else ():
            if option := re.match(r"--[a-z][a-z-]*[a-z]", word):
                yield name, option.group(), known | {"--help"}


@of_each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in _headings(target)):
            broken.append(link)
    assert broken == []


def _headings(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
