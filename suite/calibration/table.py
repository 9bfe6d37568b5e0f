"""What changed, before and after, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from suite.calibration.contract import CalibrationPlan, HeadReport
from suite.training.evaluation import Figure

COLUMNS = ("ece_width", "ece_mass", "brier", "slope", "intercept", "sensitivity", "specificity")


def title_of(plan: CalibrationPlan, used: int, left_out: int) -> str:
    """What was read and how it was judged, above the tables."""
    return (
        f"# Calibration\n\nFilms: {plan.source}; {used} read, {left_out} left out (left_out.txt). "
        f"Operating points: {plan.rule}.\n\nBefore: the calibration in the card so far. After: each film "
        "judged by a calibration fitted on other patients, five folds. 95 % intervals by bootstrap over "
        "patients.\n"
    )


def section_of(stage: str, heads: Sequence[HeadReport]) -> str:
    """One stage's table, a line a head."""
    columns = (
        "with",
        "without",
        "ECE-15",
        "Brier",
        "sensitivity",
        "specificity",
        "operating point",
        "uncertain",
    )
    lines = [f"## {stage}\n", f"| head | {' | '.join(columns)} | what was done |", "|---" * 10 + "|"]
    for head in heads:
        cells = [_change(head, name) for name in ("ece_width", "brier", "sensitivity", "specificity")]
        cells += [_pair(*head.operating_point), _pair(*head.uncertain, share=True)]
        words = head.kept or head.method
        lines.append(f"| {head.head} | {head.positives} | {head.negatives} | {' | '.join(cells)} | {words} |")
    return "\n".join(lines) + "\n"


def _change(head: HeadReport, name: str) -> str:
    before, after = head.before.get(name), head.after.get(name)
    if before is None and after is None:
        return "-"
    return f"{_short(before)} → {_short(after)}"


def _short(figure: Figure | None) -> str:
    if figure is None or math.isnan(figure.value):
        return "-"
    interval = "" if math.isnan(figure.low) else f" ({figure.low:.3f}-{figure.high:.3f})"
    return f"{figure.value:.3f}{interval}"


def _pair(before: float, after: float, *, share: bool = False) -> str:
    words = [
        "-" if math.isnan(each) else f"{each:.0%}" if share else f"{each:.3f}" for each in (before, after)
    ]
    return "-" if words == ["-", "-"] else " → ".join(words)


def head_as_json(head: HeadReport) -> dict[str, Any]:
    """The same numbers of one head for programs."""

    def figures(of: Mapping[str, Figure]) -> dict[str, Any]:
        return {name: of[name].as_json() for name in COLUMNS if name in of}

    def pair(of: tuple[float, float]) -> list[float | None]:
        return [None if math.isnan(value) else round(value, 5) for value in of]

    return {
        "head": head.head,
        "positives": head.positives,
        "negatives": head.negatives,
        "method": head.method,
        "kept": head.kept,
        "operating_point": pair(head.operating_point),
        "uncertain": pair(head.uncertain),
        "before": figures(head.before),
        "after": figures(head.after),
    }
