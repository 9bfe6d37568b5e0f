"""Errors as problem details (RFC 9457): what happened, and what to do now, in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Response, json, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES

from suite.accounts.repetition import KeyReusedError, StillAtWorkError
from suite.errors import (
    AccessError,
    ConflictError,
    InputError,
    NotFoundError,
    SuiteError,
    TooLargeError,
)
from suite.records.reviews import StaleError
from suite.records.uploads import DigestError
from web.identity import ForeignOriginError, NotIdentifiedError, TooManyAttemptsError
from web.services import services

PREFIX = "/api/"
"""Addresses below this never answer with pages."""

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:radsuite:problem:"
_log = logging.getLogger(__name__)


class InvalidPart(BaseModel):
    """One value that is not as wanted."""

    where: str = Field(description="Path of the value, such as body.scopes.0")
    sentence: str


class RefusedFile(BaseModel):
    """A file that was not taken, by its own name, and why."""

    name: str
    sentence: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Identifies the kind of problem; stable, for programs")
    title: str = Field(description="The kind of problem in words")
    status: int
    detail: str = Field(description="What happened, and what to do now")
    instance: str = Field(description="Path of the request")
    errors: list[InvalidPart] | None = Field(None, description="For invalid requests: each wrong value")
    refused: list[RefusedFile] | None = Field(None, description="For uploads: each file's fate")


class ProblemError(Exception):
    """An answer that is a problem."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.detail = status, slug, detail
        self.headers = dict(headers or {})
        self.more = more


_OF_ERROR: tuple[tuple[type[SuiteError], int, str], ...] = (
    (NotIdentifiedError, 401, "not-identified"),
    (TooManyAttemptsError, 429, "too-many-attempts"),
    (ForeignOriginError, 403, "foreign-origin"),
    (AccessError, 401, "not-identified"),
    (KeyReusedError, 422, "idempotency-key-reused"),
    (StillAtWorkError, 409, "still-at-work"),
    (StaleError, 412, "stale"),
    (DigestError, 409, "digest-mismatch"),
    (NotFoundError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (TooLargeError, 413, "too-large"),
    (InputError, 422, "invalid-input"),
)
"""The first class that fits decides."""

_SENTENCES = {
    404: "There is nothing at this address; /api/v1/openapi.json lists what there is.",
    405: "This address does not take that method; /api/v1/openapi.json lists those it takes.",
    500: "Something went wrong on our side; the details are in the server's log.",
}


def is_api() -> bool:
    """Whether the current request is for a program, whatever it says it accepts."""
    return request.path.startswith(PREFIX)


def answer(problem: ProblemError) -> Response:
    """The problem as a response."""
    body = {
        "type": _TYPE + problem.slug,
        "title": HTTP_STATUS_CODES.get(problem.status, "Problem"),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.path,
        **problem.more,
    }
    return Response(json.dumps(body), problem.status, problem.headers, content_type=MEDIA_TYPE)


def of_exception(error: Exception) -> ProblemError:
    """The problem that a failure is."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, SuiteError):
        return _of_suite_error(error)
    if isinstance(error, HTTPException):
        return _of_http_error(error)
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    return ProblemError(500, "internal", _SENTENCES[500])


def too_large(limit: int) -> ProblemError:
    """A body of more bytes than are taken here."""
    return ProblemError(
        413, "too-large", f"The request's body may have {limit} bytes here; send less at once."
    )


def _of_suite_error(error: SuiteError) -> ProblemError:
    headers: dict[str, str] = {}
    if isinstance(error, NotIdentifiedError):
        invalid = ', error="invalid_token"' if error.given else ""
        headers["WWW-Authenticate"] = f'Bearer realm="radsuite"{invalid}'
    elif isinstance(error, TooManyAttemptsError):
        headers["Retry-After"] = str(round(error.seconds) or 1)
    elif isinstance(error, StillAtWorkError):
        headers["Retry-After"] = "1"
    for kind, status, slug in _OF_ERROR:
        if isinstance(error, kind):
            return ProblemError(status, slug, str(error), headers=headers)
    _log.warning("%s %s: %s", request.method, request.path, error)
    return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "5"})


def _of_http_error(error: HTTPException) -> ProblemError:
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        return too_large(request.max_content_length or services().settings.max_upload_bytes)
    allowed = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
    own = type(error).description != error.description and error.description
    sentence = _SENTENCES.get(status) or error.description or "Look at /api/v1/openapi.json."
    slug = HTTP_STATUS_CODES.get(status, "problem").lower().replace(" ", "-")
    return ProblemError(status, slug, own or sentence, headers=headers)


def _invalid(error: ValidationError) -> ProblemError:
    parts = [
        {"where": ".".join(str(piece) for piece in part["loc"]) or "request", "sentence": part["msg"]}
        for part in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = parts[0]
    detail = f"{first['where']}: {first['sentence']}; correct it."
    return ProblemError(422, "invalid-request", detail, errors=parts)
