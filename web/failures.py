"""Pages for what goes wrong: what happened, and what to do now. Scripts get the same as problem+json."""

from __future__ import annotations

import logging
import re

from flask import Flask, Response, json, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge, SecurityError

from suite.errors import InputError, SuiteError
from web.api import problems
from web.services import services

_log = logging.getLogger(__name__)

_TITLES = {
    400: "That request was not understood",
    401: "Please sign in",
    403: "That is for another role",
    404: "There is nothing at this address",
    405: "That is not possible here",
    409: "Something else happened meanwhile",
    413: "That is too much at once",
    422: "That cannot be taken as it is",
    429: "Too many attempts",
    500: "Something went wrong on our side",
    503: "The service cannot do that now",
}
_SENTENCES = {
    404: "The study may have been removed, or the address mistyped; look for it in the list of studies.",
    405: "Go back to the list of studies and start from there.",
    500: "The details are in the server's log. Go back and try again; report it if it happens twice.",
}


def init_app(app: Flask) -> None:
    """Answer every error with a page of the house, and programs with problem details."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SuiteError, _suite_error)
    app.register_error_handler(Exception, _unforeseen)


def wants_page() -> bool:
    """Whether a person looks at the answer, and not a script."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return best == "text/html"


def problem(status: int, sentence: str) -> Response:
    """An error as a page, or as problem+json (RFC 9457) for scripts."""
    title = _TITLES.get(status, "That did not work")
    if wants_page():
        return Response(
            render_template("failures/page.html", title=title, sentence=sentence, status=status), status
        )
    body = {"title": title, "status": status, "detail": sentence}
    return Response(json.dumps(body), status, content_type="application/problem+json")


def _http_error(error: HTTPException) -> Response:
    if problems.is_api():
        return problems.answer(problems.of_exception(error))
    status = error.code or 500
    if isinstance(error, SecurityError):  # the host is not ours: no address of this site can be built
        return Response("This service does not answer to that host name.\n", 400, content_type="text/plain")
    if isinstance(error, RequestEntityTooLarge):
        limit = services().settings.max_upload_mb
        return problem(status, f"One upload may hold {limit} MB; hand in fewer films at a time.")
    if isinstance(error, InternalServerError) or type(error).description == error.description:
        return problem(status, _SENTENCES.get(status, error.description or "Go back and try again."))
    return problem(status, error.description or _SENTENCES.get(status, "Go back and try again."))


def _suite_error(error: SuiteError) -> Response:
    if problems.is_api():
        return problems.answer(problems.of_exception(error))
    sentence = _without_id(str(error))
    _log.warning("%s %s: %s", request.method, _without_id(request.path), sentence)
    return problem(_status_of(error), sentence)


def _without_id(text: str) -> str:
    """A study's id may be a file's name, and so a patient's."""
    study_id = str((request.view_args or {}).get("study_id") or "")
    return re.sub(rf"(?<!\w){re.escape(study_id)}(?!\w)", "this study", text) if study_id else text


def _status_of(error: SuiteError) -> int:
    """The status the interface for programs would answer with, or 503 where the suite is at fault."""
    return problems.of_exception(error).status if isinstance(error, InputError) else 503


def _unforeseen(error: Exception) -> Response:
    if problems.is_api():
        return problems.answer(problems.of_exception(error))
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, _SENTENCES[500])
