"""``radsuite simulate-queue``: what a triage order would do to the waiting times of a site."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from suite.commands.console import output
from suite.errors import InputError, UnreadableFileError
from suite.jobs.simulation import Assumptions, Row, Studies, compare, suggestions

_COLUMNS = "arrived, minutes and, if you have them, finding and suggested"


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads: how many, between which hours of the day, and the longest a study may wait."""

    count: int
    shift: tuple[float, float]
    cap_minutes: float


def simulate_queue(
    assumptions: Assumptions, readers: Readers, *, data: Path | None, seed: int, as_json: bool
) -> int:
    """Print mean, 95th percentile and worst waiting by kind of study and order; returns the exit status."""
    random = np.random.default_rng(seed)
    studies = assumptions.draw(random) if data is None else read_studies(data, assumptions, random)
    if not len(studies.arrivals):
        raise InputError("Not a single study arrives; simulate more hours.")
    rows = compare(studies, readers=readers.count, cap_minutes=readers.cap_minutes, shift=readers.shift)
    if as_json:
        output(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    output(_load(studies, readers))
    output(_table(rows))
    return 0


def card_operating_point() -> tuple[float, float]:
    """Sensitivity and specificity of the shipped triage network on its held-out films.

    Raises:
        InputError: no such weights are installed.
    """
    from suite.stages.weights import shipped_cards

    for card in shipped_cards():
        metrics = card.content["metrics"]
        if card.name == "triage" and {"sensitivity", "specificity"} <= metrics.keys():
            return float(metrics["sensitivity"]["value"]), float(metrics["specificity"]["value"])
    raise InputError("No triage network is installed; give --sensitivity and --specificity.")


def parse_prevalence(values: Sequence[str]) -> dict[str, float]:
    """``NAME=SHARE`` options as numbers.

    Raises:
        InputError: an option of another form.
    """
    found = {}
    for value in values:
        name, _, share = value.partition("=")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            raise InputError(f"--prevalence {value}: write NAME=SHARE, such as pneumothorax=0.02.") from None
    return found


def parse_shift(value: str) -> tuple[float, float]:
    """``8-18`` as hours of the day.

    Raises:
        InputError: no such hours.
    """
    begin, _, end = value.partition("-")
    try:
        hours = (float(begin), float(end))
    except ValueError:
        hours = (0.0, 0.0)
    if not 0.0 <= hours[0] < hours[1] <= 24.0:
        raise InputError(f"--shift {value}: write two hours of the day, such as 8-18.")
    return hours


def read_studies(path: Path, assumptions: Assumptions, random: np.random.Generator) -> Studies:
    """Arrivals and reading times of a site: a CSV file with the columns arrived, minutes, finding, suggested.

    ``arrived`` is a time such as ``2026-03-01 08:15`` or minutes since the start; ``finding`` is empty for
    normal; where ``suggested`` (0 or 1) is missing it is drawn after the assumed sensitivity and specificity.

    Raises:
        UnreadableFileError: missing or no text.
        InputError: a column or a value that is not understood; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error}); give a CSV file.") from error
    if not lines or not {"arrived", "minutes"} <= lines[0].keys():
        raise InputError(f"{path}: needs the columns {_COLUMNS}.")
    read = sorted((_line(path, number, line) for number, line in enumerate(lines, start=2)))
    arrivals = np.array([entry[0] for entry in read])
    findings = np.array([entry[2] for entry in read], dtype=np.str_)
    drawn = suggestions(findings, assumptions.sensitivity, assumptions.specificity, random)
    given = np.array([entry[3] for entry in read])
    raised = np.where(np.isnan(given), drawn, given)
    urgent = (raised > 0) & np.isin(findings, list(assumptions.urgent))
    durations = np.array([entry[1] for entry in read])
    return Studies(arrivals - arrivals.min(), durations, findings, raised + urgent)


def _line(path: Path, number: int, line: dict[str, str]) -> tuple[float, float, str, float]:
    try:
        arrived = _minutes(line["arrived"])
        minutes = float(line["minutes"])
        suggested = float(line["suggested"]) if line.get("suggested") else np.nan
    except (ValueError, TypeError):
        raise InputError(f"{path}: line {number} is not understood; it needs {_COLUMNS}.") from None
    known = np.isnan(suggested) or suggested in (0.0, 1.0)
    if not (known and np.isfinite(arrived) and 0.0 <= minutes < np.inf):
        raise InputError(f"{path}: line {number} holds an impossible number; correct it.")
    return arrived, minutes, (line.get("finding") or "").strip(), suggested


def _minutes(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.strip()).timestamp() / 60.0


def _load(studies: Studies, readers: Readers) -> str:
    span = max(float(studies.arrivals[-1]), 1.0)
    open_share = (readers.shift[1] - readers.shift[0]) / 24.0
    load = float(studies.durations.sum()) / (span * readers.count * open_share)
    raised = float((studies.priorities > 0).mean())
    return (
        f"{len(studies.arrivals):,} studies, {readers.count} reader(s), load {load:.2f}, "
        f"{100 * raised:.0f} % raised, cap {readers.cap_minutes:g} min; waiting in minutes:"
    )


def _table(rows: list[Row]) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Kind", "Studies"):
        table.add_column(name)
    for order in dict.fromkeys(row.order for row in rows):
        table.add_column(f"{order}: mean / p95 / worst", justify="right")
    for kind, group in groupby(rows, key=lambda row: row.kind):
        cells = list(group)
        numbers = (f"{row.mean:.1f} / {row.p95:.1f} / {row.worst:.1f}" for row in cells)
        table.add_row(kind, str(cells[0].studies), *numbers)
    return table
