"""The rooms of the house, for the pages' head: each reader sees those that are open to them."""

from __future__ import annotations

import time

from flask import Flask

from suite.accounts.principal import Scope
from suite.errors import AccessError
from web.identity import identify

WORKLIST = (frozenset({"worklist", "studies", "reports", "exports"}), "worklist.index", "Worklist")
RESEARCH = (
    frozenset({"cards", "calibration", "ablations", "agreement", "playground", "runs"}),
    "cards.index",
    "Research",
)
PEOPLE = (frozenset({"people", "audit"}), "people.index", "People")

Room = tuple[frozenset[str], str, str]
"""Blueprints that belong to it, its first page, and what it is called."""


def init_app(app: Flask) -> None:
    """Give templates the list of rooms, and the time."""
    app.jinja_env.globals.update(rooms=rooms, now=time.time)


def rooms() -> list[Room]:
    """The rooms of whoever asks."""
    try:
        principal = identify()
    except AccessError:
        return []
    return [WORKLIST, RESEARCH, *([PEOPLE] if principal.may(Scope.ADMIN) else [])]
