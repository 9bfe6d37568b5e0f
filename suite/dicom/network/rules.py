"""Which results go to a node: the rules in its row, checked when written and when read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from suite.errors import RecipeError
from suite.findings import CODES

Kind = Literal["report", "masks", "images", "contours", "maps", "other"]
"""Objects by what they are: SR; SEG; Secondary Capture; presentation state; parametric map."""

_KINDS: dict[str, Kind] = {
    "1.2.840.10008.5.1.4.1.1.88": "report",
    "1.2.840.10008.5.1.4.1.1.66": "masks",
    "1.2.840.10008.5.1.4.1.1.7": "images",
    "1.2.840.10008.5.1.4.1.1.11": "contours",
    "1.2.840.10008.5.1.4.1.1.30": "maps",
}
"""Kinds by the beginning of their SOP class UID."""


class Rules(BaseModel):
    """When results are sent by themselves, and which of them.

    Attributes:
        when: ``always``; ``accepted``, when the gate took the film; ``abnormal``, when triage says so;
            ``suggested``, when one of ``findings`` (any, if empty) is suggested; ``never``: by hand only.
        findings: codes of :mod:`suite.findings`, for ``suggested``.
        objects: kinds of objects; empty for all.
        commitment: ask the node to commit itself to what it was sent (storage commitment); DIMSE nodes only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Literal["always", "accepted", "abnormal", "suggested", "never"] = "accepted"
    findings: tuple[str, ...] = ()
    objects: tuple[Kind, ...] = ()
    commitment: bool = False

    @field_validator("findings")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in value if code not in CODES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no finding; the codes are {', '.join(CODES)}")
        return value

    def match(self, report: Mapping[str, Any]) -> bool:
        """Whether a reading (schema ``radsuite.report/1``) is sent."""
        gate, triage = report.get("gate"), report.get("triage")
        if self.when in ("always", "never"):
            return self.when == "always"
        if self.when == "accepted":
            return gate is None or bool(gate["accepted"] or gate["overridden"])
        if self.when == "abnormal":
            return triage is not None and triage["state"] == "abnormal"
        suggested = {found["code"] for found in report.get("findings") or () if found["state"] == "suggested"}
        return bool(suggested & set(self.findings) if self.findings else suggested)

    def wants(self, sop_class_uid: str) -> bool:
        """Whether an object of this class is among those sent."""
        return not self.objects or kind_of(sop_class_uid) in self.objects


def parse_rules(values: Mapping[str, Any]) -> Rules:
    """Rules from a node's row or a request.

    Raises:
        RecipeError: an unknown key or value; names it and what is wanted.
    """
    try:
        return Rules(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise RecipeError(
            f"Rules of a node: {key or 'the object'}: {message}; correct that value."
        ) from error


def kind_of(sop_class_uid: str) -> Kind:
    """What an object is, by its SOP class."""
    for beginning, kind in _KINDS.items():
        if sop_class_uid == beginning or sop_class_uid.startswith(f"{beginning}."):
            return kind
    return "other"
