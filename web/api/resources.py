"""A resource declares in a line each what most of its operations are: a method, an address, an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from suite.accounts.principal import Scope
from web.api.operations import Answers, View, api
from web.api.paging import PAGE_HEADERS


@dataclass(frozen=True, slots=True)
class Resource:
    """The operations of one kind of thing.

    Each method declares one, with the good answer's description and shape, further ``headers`` and
    ``answers``, and whatever else :class:`web.api.operations.Operation` takes.

    Attributes:
        tag: under which the document lists them.
        reads, writes: scopes they need.
    """

    tag: str
    reads: Scope
    writes: Scope

    def get(
        self, rule: str, says: str = "", shape: type[BaseModel] | None = None, **declared: Any
    ) -> Callable[[View], View]:
        """One thing, or all there are."""
        return self._declare("GET", rule, self.reads, 200, says, shape, **declared)

    def page(
        self, rule: str, says: str, shape: type[BaseModel], query: type[BaseModel], **declared: Any
    ) -> Callable[[View], View]:
        """A list that comes in pages."""
        return self.get(rule, says, shape, query=query, headers=PAGE_HEADERS, **declared)

    def post(
        self, rule: str, status: int, says: str, shape: type[BaseModel], *, at: str = "", **declared: Any
    ) -> Callable[[View], View]:
        """Something new, or something to be done; ``at`` says what ``Location`` leads to."""
        located = {"Location": at} if at else {}
        headers = located | dict(declared.pop("headers", {}))
        return self._declare("POST", rule, self.writes, status, says, shape, headers=headers, **declared)

    def patch(self, rule: str, says: str, shape: type[BaseModel], **declared: Any) -> Callable[[View], View]:
        """A part of a thing changed."""
        return self._declare("PATCH", rule, self.writes, 200, says, shape, **declared)

    def delete(
        self, rule: str, status: int, says: str, shape: type[BaseModel] | None = None, **declared: Any
    ) -> Callable[[View], View]:
        """A thing removed, or ended."""
        return self._declare("DELETE", rule, self.writes, status, says, shape, **declared)

    def _declare(
        self,
        method: str,
        rule: str,
        scope: Scope,
        status: int,
        says: str,
        shape: type[BaseModel] | None,
        *,
        headers: Mapping[str, str] | None = None,
        answers: Mapping[int, Answers] | None = None,
        **declared: Any,
    ) -> Callable[[View], View]:
        good = {status: Answers(says, shape, headers=headers or {})} if says else {}
        every = {**good, **(answers or {})}
        return api.operation(method, rule, tag=self.tag, scope=scope, answers=every, **declared)
