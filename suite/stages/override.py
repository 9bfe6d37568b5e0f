"""Which checks of the gate may be overridden: a wrong name is told, with the names that there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from suite.errors import InputError
from suite.stages.selection import gate_checks

FRONTAL_PRESENT = "frontal_present"
"""The check of a study without a frontal film, which no gate sees."""


def known_checks() -> tuple[str, ...]:
    """The gate's checks as its class declares them, and the suite's own; empty where it declares none."""
    declared = gate_checks()
    return (*declared, FRONTAL_PRESENT) if declared else ()


def check_override(override: bool | Collection[str], known: Sequence[str]) -> None:
    """Refuse to override what is none of the ``known`` checks; where none is known, nothing is refused.

    Raises:
        InputError: a name is none of them.
    """
    unknown = [] if isinstance(override, bool) else sorted(set(override) - set(known))
    if known and unknown:
        raise InputError(f"check {unknown[0]!r} is none of the gate's; override one of {', '.join(known)}.")
