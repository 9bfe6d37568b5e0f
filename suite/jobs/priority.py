"""In which order people read: suggestions only raise a study, and no study waits longer than a cap.

A study without a suggestion keeps its place in the order of arrival. What raises another one above it is
the triage's probability, and a suggested finding that may not wait. Without a cap, the studies that were
wrongly left down would wait the longest of all (Baltruschat 2021: the worst wait of a pneumothorax rose from
890 to 1293 minutes while the mean fell from 80 to 36); so whoever has waited for the cap's time is next,
whatever the film shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CAP_SECONDS = 4 * 3600.0
"""Waiting time after which a study is next; a site sets its own."""

URGENT = frozenset({"pneumothorax"})
"""Findings that go before every other suggestion."""

_URGENT_STEP = 1.0
"""Above any probability."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study stands in a reading list.

    Attributes:
        key: lists are sorted by it, ascending.
        priority: 0 in the order of arrival; up to 1 by probability; above 1 for an urgent finding.
        reason: one line for people.
    """

    key: tuple[int, float, float]
    priority: float
    reason: str


def priority_of(summary: Mapping[str, Any] | None) -> tuple[float, str]:
    """Priority and reason of a finished reading, from its summary (:mod:`suite.jobs.summary`).

    Never negative: a normal, refused or missing reading is in the order of arrival.
    """
    triage = (summary or {}).get("triage") or {}
    probability = triage.get("probability")
    urgent = [
        finding
        for finding in (summary or {}).get("findings") or ()
        if finding["code"] in URGENT and finding["state"] == "suggested"
    ]
    if urgent:
        chance = float(urgent[0].get("probability") or 0.0)
        return _URGENT_STEP + chance, f"{urgent[0]['name']} suggested{_percent(urgent[0].get('probability'))}"
    if triage.get("state") == "abnormal" and probability is not None:
        return float(probability), f"Abnormal suggested{_percent(probability)}"
    return 0.0, "In the order of arrival"


def place(
    summary: Mapping[str, Any] | None, arrived_at: float, now: float, *, cap_seconds: float = CAP_SECONDS
) -> Place:
    """A study's place in the reading list.

    Args:
        summary: of its latest finished reading; ``None`` before there is one.
        arrived_at: when it came, seconds since 1970 as ``now``.
        now: the present.
        cap_seconds: waiting time after which it is next.
    """
    priority, reason = priority_of(summary)
    waited = max(0.0, now - arrived_at)
    if waited >= cap_seconds:
        because = f"Waiting for {_duration(waited)}, longer than {_duration(cap_seconds)}: next in line"
        return Place((0, 0.0, arrived_at), priority, because)
    return Place((1, -priority, arrived_at), priority, reason)


def _percent(probability: float | None) -> str:
    return "" if probability is None else f" ({100 * probability:.0f} %)"


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
