"""Addresses of pages name studies by their pseudonym; views get the id whichever of the two came."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import Flask

from suite.jobs.display_ids import PATTERN
from web.services import services


def init_app(app: Flask) -> None:
    """Translate pseudonyms before any view is called."""
    app.url_value_preprocessor(_translate)
    app.jinja_env.globals["display_id"] = display_id


def display_id(study_id: str) -> str:
    """The pseudonym of one study; a study that is gone has none, and its id may name a patient."""
    return services().catalogue.display_ids([study_id]).get(study_id, "removed study")


def of_all(study_ids: Collection[str]) -> dict[str, str]:
    """Pseudonyms by id."""
    return services().catalogue.display_ids(study_ids)


def _translate(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    given = (values or {}).get("study_id")
    if values is not None and isinstance(given, str) and PATTERN.fullmatch(given):
        values["study_id"] = services().catalogue.named(given) or given
