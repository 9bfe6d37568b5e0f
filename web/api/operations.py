"""One operation of the interface: declared once, for the router, the checks before it, and the document.

A view is a typed function. Its declaration says which scope it needs, what it takes and answers, and what the
audit trail calls it; :mod:`web.api.document` writes the same declaration down as OpenAPI. The checks run in
one order for all of them: who, from where, how much, what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel

from suite.accounts.principal import Principal, Scope
from web.api import bodies
from web.api.names import PATH_PARAMETERS
from web.api.problems import ProblemError, answer, of_exception, too_large
from web.api.repetition import answer_once
from web.identity import address, check_origin, identify
from web.services import services

ROOT = "/api/v1"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

IF_MATCH = r'^(\*|"[0-9a-f]{32}")$'
"""Any version, or the one that ``ETag`` gave."""

CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Nothing that comes from here is a page: a browser that is led to it executes nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One good answer.

    Attributes:
        shape: of the JSON body; ``None`` for none, or for the kinds in ``media``.
        media: JSON Schema by media type, for bodies that are not one shape of JSON.
        headers: what each header says.
    """

    description: str
    shape: type[BaseModel] | None = None
    media: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a view gives back.

    Attributes:
        subject: for the audit trail; ``None`` takes the first part of the address that names something.
        detail: for the audit trail: codes and counts, no names of patients, no free text.
    """

    body: BaseModel | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    detail: Mapping[str, Any] | None = None


View = Callable[..., BaseModel | Reply | Response]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    Attributes:
        rule: below :data:`ROOT`, in Flask's form.
        scope: needed to use it; ``None`` for everybody.
        query, body: shapes of the query string and of a JSON body.
        media: JSON Schema by media type, for request bodies that are not JSON.
        max_body: bytes of the request's body; ``None`` is the service's upload limit.
        problems: statuses it may answer with besides those all share.
        audit: its name in the audit trail; ``""`` where the kernel writes the line with the change itself.
        repeatable: whether a POST answers an Idempotency-Key by its stored answer.
        if_match: whether ``If-Match`` is looked at.
    """

    method: str
    rule: str
    view: View
    tag: str
    scope: Scope | None
    answers: Mapping[int, Answers]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    media: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    request_headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_body: int | None = bodies.MAX_JSON
    problems: tuple[int, ...] = ()
    audit: str | None = None
    repeatable: bool = True
    if_match: bool = False

    @property
    def path_names(self) -> list[str]:
        """Names of the parts of the address that vary."""
        return re.findall(r"<(\w+)>", self.rule)


class Api:
    """All operations, and the blueprint that answers them."""

    def __init__(self) -> None:
        self.blueprint = Blueprint("api", __name__, url_prefix=ROOT)
        self.operations: list[Operation] = []
        self.blueprint.register_error_handler(Exception, lambda error: answer(of_exception(error)))
        self.blueprint.after_request(_protect)

    def operation(self, method: str, rule: str, **declared: Any) -> Callable[[View], View]:
        """Declare the operation a view is. See :class:`Operation` for the names."""

        def declare(view: View) -> View:
            operation = Operation(method, rule, view, **declared)
            if method in UNSAFE and operation.audit is None:
                raise TypeError(f"{method} {rule} changes something and has no name in the audit trail")
            self.operations.append(operation)

            def run(**path: str) -> Response:
                return _run(operation, path)

            name = view.__name__
            self.blueprint.add_url_rule(rule, f"{name}_{method.lower()}", run, methods=[method])
            return view

        return declare


def _run(operation: Operation, path: Mapping[str, str]) -> Response:
    limit = services().settings.max_upload_bytes if operation.max_body is None else operation.max_body
    request.max_content_length = limit + bodies.FORM_ALLOWANCE
    principal = _admitted(operation)
    if (request.content_length or 0) > request.max_content_length:
        raise too_large(limit)  # before a byte of it is read
    arguments: dict[str, Any] = {name: _path_value(name, text) for name, text in path.items()}
    if operation.query is not None:
        arguments["query"] = bodies.query_of(operation.query)
    elif request.args:
        raise ProblemError(422, "invalid-request", "This address takes no parameters; leave them out.")
    if operation.body is not None:
        arguments["body"] = bodies.json_of(operation.body)

    def act() -> Response:
        reply = operation.view(**arguments)
        if isinstance(reply, BaseModel):
            reply = Reply(reply)
        if operation.audit and principal is not None:
            _note(operation, principal, path, reply)
        return _response(reply)

    if operation.method != "POST" or principal is None:
        return act()
    return answer_once(principal, act, keep=operation.repeatable)


def _admitted(operation: Operation) -> Principal | None:
    """Who asks, once it is sure that they may."""
    if operation.scope is None:
        return None
    principal = identify()
    if not principal.may(operation.scope):
        raise ProblemError(
            403, "scope-missing", f"This needs the scope {operation.scope}; ask an administrator for a token "
            "with it."
        )  # fmt: skip
    if operation.method in UNSAFE:
        check_origin(principal)
    return principal


def _path_value(name: str, text: str) -> str | int:
    wanted = PATH_PARAMETERS[name]
    if wanted["type"] == "integer":
        if re.fullmatch(r"[1-9][0-9]{0,8}", text):
            return int(text)
    elif re.fullmatch(wanted["pattern"], text):
        return text
    raise ProblemError(404, "not-found", "There is nothing at this address; look for it in the list.")


def _note(
    operation: Operation, principal: Principal, path: Mapping[str, str], reply: Reply | Response
) -> None:
    subject, detail = (reply.subject, reply.detail) if isinstance(reply, Reply) else (None, None)
    services().trail.record(
        principal,
        operation.audit or "",
        subject or next(iter(path.values()), None),
        detail=detail,
        address=address(),
    )


def _response(reply: Reply | Response) -> Response:
    if isinstance(reply, Response):
        return reply
    body = reply.body.model_dump_json() if reply.body is not None else ""
    kind = "application/json" if reply.body is not None else None
    return Response(body, reply.status, dict(reply.headers), content_type=kind)


def _protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    return response


api = Api()
"""The one interface; resources declare their operations on it."""
