"""A value that the settings refuse, in one sentence: key, value, what is wanted, where to change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

_HIDDEN = "(hidden)"


def refusal(error: ValidationError, fields: Mapping[str, FieldInfo], prefix: str, config: Path | None) -> str:
    """The first problem of a validation error as one sentence.

    Args:
        fields: of the settings, by key.
        prefix: of the environment variable for a key.
        config: the file that was read too, if there is one.
    """
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f" or in {config}" if config else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(fields)
        return f"Setting {key!r} is not known; the settings are: {known}."
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return f"Settings: {message}."
    value = _HIDDEN if key.endswith("secret") else repr(first["input"])
    kind = _type_name(fields.get(key.split(".")[0]))
    wanted = f"not a valid {kind}: {message}"
    return f"Setting {key} has value {value}, {wanted}; correct it, or {prefix}{key.upper()}{where}."


def _type_name(field: FieldInfo | None) -> str:
    if field is None or field.annotation is None:
        return "value"
    annotation: Mapping[Any, str] = {int: "whole number", float: "number", str: "text", Path: "path"}
    return annotation.get(field.annotation, str(field.annotation).replace("typing.", ""))
