"""Answering a repeated POST with the answer it got the first time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from flask import Response, json, request

from suite.accounts.principal import Principal
from suite.accounts.repetition import Answer
from web.api.problems import ProblemError, answer, of_exception
from web.services import services

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PATTERN = r"^[\x21-\x7e]{1,255}$"

_KEPT_HEADERS = ("Location", "ETag", "Content-Type", "Link")
_PASSING = frozenset({401, 403, 409, 412, 429})
"""Refusals that the same request may not meet again."""

_CHUNK = 1 << 20


def answer_once(principal: Principal, act: Callable[[], Response], *, keep: bool) -> Response:
    """Do what a POST asks for, once for each key of each sender.

    Args:
        act: does it.
        keep: whether the answer may be stored; one that shows a secret is not, and cannot be given again.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return act()
    if not re.fullmatch(PATTERN, key):
        raise ProblemError(
            400, "malformed-key", f"{HEADER} has 1 to 255 printable ASCII characters without spaces."
        )
    repetitions = services().repetitions
    earlier = repetitions.begin(principal.owner, key, _digest())
    if earlier is not None:
        return _again(earlier)
    try:
        response = act()
    except Exception as error:  # noqa: BLE001 -- every failure is an answer, and is kept or given back
        response = answer(of_exception(error))
    if response.status_code >= 500 or response.status_code in _PASSING:
        repetitions.forget(principal.owner, key)
    else:
        repetitions.finish(principal.owner, key, _stored(response, keep=keep or response.status_code >= 400))
    return response


def _stored(response: Response, *, keep: bool) -> Answer:
    if not keep:
        return Answer(response.status_code, "")
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Answer(
        response.status_code, json.dumps({"headers": headers, "body": response.get_data(as_text=True)})
    )


def _again(earlier: Answer) -> Response:
    if not earlier.body:
        raise ProblemError(
            409,
            "shown-once",
            "This request was carried out before, and its answer is shown once; revoke what it made and make "
            "another with a new key.",
        )
    content = json.loads(earlier.body)
    response = Response(content["body"], earlier.status, content["headers"])
    response.headers[REPLAYED] = "true"
    return response


def _digest() -> str:
    """What makes a request the same: method, address, and content, however a form is cut into parts."""
    digest = hashlib.sha256(f"{request.method} {request.full_path}\n{request.mimetype}\n".encode())
    if request.mimetype != "multipart/form-data":
        digest.update(request.get_data())
        return digest.hexdigest()
    for name, value in request.form.items(multi=True):
        digest.update(json.dumps([name, value]).encode())
    for name, item in request.files.items(multi=True):
        content = hashlib.sha256()
        while chunk := item.stream.read(_CHUNK):
            content.update(chunk)
        item.stream.seek(0)
        digest.update(json.dumps([name, item.filename, content.hexdigest()]).encode())
    return digest.hexdigest()
