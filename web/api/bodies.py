"""Reading what a request carries, strictly: a value of another type is a mistake to tell, not to guess at."""

from __future__ import annotations

import types
import typing
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from web.api.problems import ProblemError
from web.kept_text import check_json

MAX_JSON = 1_000_000
"""Bytes of a JSON body."""

FORM_ALLOWANCE = 1_000_000
"""Bytes of a form besides its files."""

T = TypeVar("T", bound=BaseModel)


def query_of(shape: type[T]) -> T:
    """The query string in its shape.

    Raises:
        pydantic.ValidationError: a value or a name is not as wanted.
    """
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        field = shape.model_fields.get(name)
        many = field is not None and _is_list(field.annotation)
        given[name] = values if many or len(values) > 1 else values[0]
    return shape.model_validate(given)


def json_of(shape: type[T]) -> T:
    """The JSON body in its shape.

    Raises:
        ProblemError: 415 when it is called something else, 400 when it is no JSON, 422 for a NUL in a text.
        pydantic.ValidationError: a value or a name is not as wanted.
    """
    if request.mimetype != "application/json":
        raise ProblemError(
            415,
            "unsupported-media-type",
            "The body must be JSON; say so with `Content-Type: application/json`.",
        )
    content = request.get_data()
    try:
        wanted = shape.model_validate_json(content, strict=True)
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            raise ProblemError(400, "malformed-json", "The body is no JSON; correct it.") from None
        raise
    check_json(content)
    return wanted


def _is_list(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_list(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_list(typing.get_args(annotation)[0])
    return typing.get_origin(annotation) in (list, tuple, frozenset)
