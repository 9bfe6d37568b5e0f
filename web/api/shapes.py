"""What requests and answers of several resources share."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from flask import json, request
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from suite.findings import CODES
from web.api.problems import ProblemError

MAX_PAGE = 200


def _moment(value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""Seconds since 1970 inside, RFC 3339 in UTC outside."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _written_moment(value: Any) -> Any:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("give date, time and zone, such as 2026-01-31T08:00:00Z")
    return value


AskedMoment = Annotated[AwareDatetime, BeforeValidator(_written_moment)]
"""A moment in a request, in RFC 3339 with its zone."""


def _known_finding(code: str) -> str:
    if code not in CODES:
        raise ValueError(f"is no finding; the findings are {', '.join(CODES)}")
    return code


FindingCode = Annotated[str, AfterValidator(_known_finding), Field(json_schema_extra={"enum": list(CODES)})]

Cursor = Annotated[str, Field(max_length=600, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Rows on a page")]


class Shape(BaseModel):
    """An answer; built from the kernel's frozen values."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Wanted(BaseModel):
    """A request: a key nobody knows is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def to_cursor(*parts: float | str | bool) -> str:
    """A position in a list as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *types: type | tuple[type, ...]) -> list[Any]:
    """The parts of a position.

    Raises:
        ProblemError: it is none of ours, or of another list.
    """
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        isinstance(parts, list)
        and len(parts) == len(types)
        and all(isinstance(part, kind) for part, kind in zip(parts, types, strict=True))
    ):
        return parts
    raise ProblemError(422, "invalid-cursor", "The cursor is not from this list; begin again without one.")


PAGE_HEADERS = {"Link": 'Address of the next page, with `rel="next"` (RFC 8288)'}


def link_header(following: str | None) -> dict[str, str]:
    """The address of the next page, with what else was asked for."""
    if following is None:
        return {}
    asked = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
    return {"Link": f'<{request.path}?{urlencode([*asked, ("cursor", following)])}>; rel="next"'}
