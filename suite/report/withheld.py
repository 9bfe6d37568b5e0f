"""Findings with a score and no probability: nobody may take them for looked at and not suggested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_NO_REASON = "not calibrated"
Finding = Mapping[str, Any]
"""An entry of ``findings`` in ``report.json``."""


def has_score_only(finding: Finding) -> bool:
    """Whether the network gave a score that was not calibrated."""
    return finding.get("score") is not None and finding.get("probability") is None


def without_probability(count: int) -> str:
    """How many they are, in words."""
    return f"no probability for {count} finding{'' if count == 1 else 's'}"


def reasons(findings: Iterable[Finding]) -> list[str]:
    """A sentence for each reason why findings have a score and no probability, with their names."""
    names: dict[str, list[str]] = {}
    for finding in findings:
        if has_score_only(finding):
            names.setdefault(finding.get("no_probability") or _NO_REASON, []).append(finding["name"])
    return [f"No probability, {reason}: {', '.join(dict.fromkeys(own))}." for reason, own in names.items()]
