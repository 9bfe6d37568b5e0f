"""Addresses of pages name studies by their pseudonym; views get the id whichever of the two came."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask import Flask

from suite.jobs.catalogue import StudyView
from suite.jobs.display_ids import PATTERN
from web.services import services

SHORTEST_NAME = 3
"""A shorter one names nobody, and is part of other words."""


def init_app(app: Flask) -> None:
    """Translate pseudonyms before any view is called."""
    app.url_value_preprocessor(_translate)
    app.jinja_env.filters["without_names"] = without_names


def of_all(study_ids: Collection[str]) -> dict[str, str]:
    """Pseudonyms by id."""
    return services().catalogue.display_ids(study_ids)


def without_names(sentence: str | None, study: StudyView) -> str:
    """A sentence about a study, such as a job's error, with its pseudonym in place of id and file names."""
    text = sentence or ""
    names = {study.id, study.frontal_name or "", study.lateral_name or ""}
    for name in sorted(names | {Path(name).stem for name in names}, key=len, reverse=True):
        if len(name) >= SHORTEST_NAME:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", study.display_id, text)
    return text


def _translate(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    given = (values or {}).get("study_id")
    if values is not None and isinstance(given, str) and PATTERN.fullmatch(given):
        values["study_id"] = services().catalogue.named(given) or given
