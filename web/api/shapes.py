"""What requests and answers of several resources share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict


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


class Shape(BaseModel):
    """An answer; built from the kernel's frozen values."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Wanted(BaseModel):
    """A request: a key nobody knows is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)
