"""From report values to what a page says: words, percent, the geometry of an interval bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Flask

STATE_WORDS = {
    "suggested": "suggested",
    "uncertain": "uncertain",
    "not_suggested": "not suggested",
    "not_trained": "not trained",
    "normal": "normal",
    "abnormal": "abnormal",
}
STAGE_WORDS = {
    "gate": "Checking the film",
    "lungs": "Outlining the lungs",
    "whole-lungs": "Estimating the whole lungs",
    "organs": "Outlining heart and clavicles",
    "pneumothorax": "Looking for a pneumothorax",
    "bone": "Separating bone",
    "tissues": "Telling bone from soft tissue",
    "triage": "Triage",
    "diagnosis": "Looking for findings",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval bar on a scale of 0 to 100: the span, the point, the operating point."""

    low: float
    high: float
    point: float
    threshold: float | None

    @property
    def span(self) -> float:
        """Width of the interval, wide enough to be seen."""
        return max(self.high - self.low, 0.8)


@dataclass(frozen=True, slots=True)
class TriageCard:
    """The triage result as the panel shows it."""

    state: str
    words: str
    number: str
    detail: str
    bar: Bar | None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check of the gate: its name in reports, that name as a label, and its value or message."""

    name: str
    label: str
    passed: bool
    words: str
    overruled: bool


def init_app(app: Flask) -> None:
    """Give templates the words and numbers of this module."""
    app.jinja_env.filters.update(percent=percent, moment=moment, duration=duration, stage_words=stage_words)
    app.jinja_env.globals["state_words"] = STATE_WORDS


def percent(value: float | None) -> str:
    """A probability in [0, 1] as a reader says it; the ends are not rounded to certainty."""
    if value is None:
        return "–"
    if value < 0.01:
        return "< 1 %"
    if value > 0.99:
        return "> 99 %"
    return f"{value * 100:.0f} %"


def moment(epoch: float) -> str:
    """A time in UTC; pages turn it into the reader's own."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float | None) -> str:
    """Seconds in words short enough for a table."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def stage_words(name: str) -> str:
    """What a stage does, for people who wait for it."""
    return STAGE_WORDS.get(name, name.replace("_", " ").capitalize())


def triage_card(report: Mapping[str, Any]) -> TriageCard | None:
    """The triage section, or ``None`` when that stage did not run."""
    triage = report.get("triage")
    if not triage:
        return None
    state = triage["state"]
    return TriageCard(state, STATE_WORDS.get(state, state), number(triage), detail(triage), bar(triage))


def check_rows(checks: Mapping[str, Mapping[str, Any]]) -> list[CheckRow]:
    """The gate's single checks."""
    return [
        CheckRow(
            name,
            name.replace("_", " ").capitalize(),
            bool(check["passed"]),
            _check_words(check),
            bool(check.get("overridden")),
        )
        for name, check in checks.items()
    ]


def number(item: Mapping[str, Any]) -> str:
    """A calibrated probability in percent; a score that was not calibrated is called a score."""
    if item.get("probability") is not None:
        return percent(item["probability"])
    return f"score {item['score']:.2f}" if item.get("score") is not None else "–"


def detail(item: Mapping[str, Any]) -> str:
    """Interval and operating point of a triage or finding entry in words."""
    if item.get("probability") is None:
        return f"A score, not a probability: {item.get('no_probability') or 'it was not calibrated'}."
    parts = []
    if _has_interval(item):
        low, high = item["interval"]
        parts.append(f"95 % interval {percent(low)} to {percent(high)}")
    if item.get("operating_point") is not None:
        parts.append(f"operating point {percent(item['operating_point'])}")
    return ", ".join(parts)


def lateral(item: Mapping[str, Any]) -> str:
    """What the lateral film did to a finding's score; empty where none was read."""
    effect = item.get("lateral_effect")
    if effect is None:
        return ""
    if abs(effect) < 0.005:
        return "The lateral film did not change the score."
    verb = "raised" if effect > 0 else "lowered"
    return f"The lateral film {verb} the score by {abs(effect):.2f}, to {item['score']:.2f}."


def bar(item: Mapping[str, Any]) -> Bar | None:
    """The interval bar of a triage or finding entry; ``None`` without a calibrated probability."""
    probability = item.get("probability")
    if probability is None:
        return None
    low, high = item["interval"] if _has_interval(item) else (probability, probability)
    threshold = item.get("operating_point")
    return Bar(low * 100, high * 100, probability * 100, None if threshold is None else threshold * 100)


def _has_interval(item: Mapping[str, Any]) -> bool:
    interval = item.get("interval")
    return isinstance(interval, Sequence) and len(interval) == 2 and None not in interval


def _check_words(check: Mapping[str, Any]) -> str:
    value = check.get("value")
    shown = f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
    return shown if check["passed"] else " ".join(part for part in (shown, check.get("message", "")) if part)
