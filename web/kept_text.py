"""Text that a database does not keep, refused at every entry of the service with one sentence.

PostgreSQL keeps no NUL, and no database half of a surrogate pair; both come from programs, never from a
keyboard. SQLite would take a NUL, and then end the text there for some who read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask import abort, request
from pydantic_core import from_json

from web.api.problems import ProblemError

_UNKEPT = re.compile("[\x00\ud800-\udfff]")


def check_address() -> None:
    """Let an address pass whose path and parameters a database keeps. 400 for others."""
    parameters = (part for pair in request.args.items(multi=True) for part in pair)
    if any(map(_UNKEPT.search, (request.path, *parameters))):
        abort(400, "This address holds a NUL; write it without.")


def check_form() -> None:
    """Let a form pass whose fields a database keeps. 400 for others; names of files are cleaned elsewhere."""
    for name, value in request.form.items(multi=True):
        if _UNKEPT.search(name) or _UNKEPT.search(value):
            abort(400, f"The field {_UNKEPT.sub('', name)} holds a NUL; write it without.")


def check_json(content: bytes) -> None:
    """Let a JSON body pass whose texts a database keeps.

    Args:
        content: well-formed JSON; its parser refuses half surrogate pairs.

    Raises:
        ProblemError: 422, which value holds a NUL.
    """
    if rb"\u0000" not in content:  # JSON has no other way to write one
        return
    for where, text in _texts(from_json(content)):
        if _UNKEPT.search(text):
            sentence = "holds a NUL; write it without"
            errors = [{"where": where or "request", "sentence": sentence}]
            raise ProblemError(422, "invalid-request", f"{where or 'request'}: {sentence}.", errors=errors)


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, names of members too, with its place."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list | dict):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            place = f"{where}.{key}".lstrip(".") if not _UNKEPT.search(str(key)) else where
            if isinstance(key, str):
                yield place, key
            yield from _texts(part, place)
