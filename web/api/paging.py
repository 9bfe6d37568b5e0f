"""Lists that come in pages: where a page begins, and how the next one is asked for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlencode

from flask import json, request
from pydantic import BaseModel, Field

from web.api.operations import Reply
from web.api.problems import ProblemError
from web.api.shapes import Wanted

MAX_PAGE = 200

Cursor = Annotated[str, Field(max_length=600, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Rows on a page")]

PAGE_HEADERS = {"Link": 'Address of the next page, with `rel="next"` (RFC 8288)'}

_LARGEST = 2**53

R = TypeVar("R")


class Paged(Protocol):
    """A query that asks for a page, besides what else it asks for."""

    @property
    def limit(self) -> int: ...

    @property
    def cursor(self) -> str | None: ...


class PageQuery(Wanted):
    """Which page."""

    limit: Limit = 50
    cursor: Cursor | None = None


def rows_for(query: Paged) -> int:
    """Rows to ask the tables for: one more than the page has tells whether another page follows."""
    return query.limit + 1


def page_of(
    shape: type[BaseModel],
    rows: Sequence[R],
    query: Paged,
    item: Callable[[R], BaseModel],
    position: Callable[[R], tuple[float | str, ...]],
) -> Reply:
    """A page of a list.

    Args:
        shape: of the page: ``items`` and ``next``.
        rows: at most :func:`rows_for` the query.
        item: a row as it is sent.
        position: what tells where a row stands in the list, for the cursor.
    """
    shown = rows[: query.limit]
    following = to_cursor(*position(shown[-1])) if len(rows) > query.limit else None
    return paged(shape(items=[item(row) for row in shown], next=following), following)


def paged(page: BaseModel, following: str | None) -> Reply:
    """A page, with the address of the next one in its headers."""
    return Reply(page, headers=_link(following))


def to_cursor(*parts: float | str) -> str:
    """A position in a list as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def position_of(query: Paged, *types: type | tuple[type, ...]) -> list[Any] | None:
    """The parts of the position behind which the page begins; ``None`` for the first page.

    Raises:
        ProblemError: the cursor is none of ours, or of another list.
    """
    cursor = query.cursor
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        isinstance(parts, list)
        and len(parts) == len(types)
        and all(isinstance(part, kind) and _can_be(part) for part, kind in zip(parts, types, strict=True))
    ):
        return parts
    raise ProblemError(422, "invalid-cursor", "The cursor is not from this list; begin again without one.")


def _can_be(part: Any) -> bool:
    """Whether a database takes the value: no number beyond its integers, none that is none, no NUL."""
    return "\x00" not in part if isinstance(part, str) else abs(part) <= _LARGEST


def _link(following: str | None) -> dict[str, str]:
    """The address of the next page, with what else was asked for."""
    if following is None:
        return {}
    asked = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
    return {"Link": f'<{request.path}?{urlencode([*asked, ("cursor", following)])}>; rel="next"'}
