"""Where two networks say different things about one film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def disagreement(triage: str | None, findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence where triage calls a film normal on which findings are suggested; else none.

    Args:
        triage: its state; ``None`` where it did not run.
        findings: as the report lists them.
    """
    names = [finding["name"] for finding in findings if finding["state"] == "suggested"]
    if triage != "normal" or not names:
        return []
    return [
        f"Triage calls this film normal, and findings are suggested on it ({', '.join(names)}): "
        "the two networks disagree, so do not take the film for normal."
    ]
