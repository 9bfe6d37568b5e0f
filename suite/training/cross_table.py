"""Learned from one data set, measured on another: one table from several evaluations."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suite.errors import InputError
from suite.storage import make_folder, write_text
from suite.training.evaluation import DATASETS_FILE, Figure
from suite.training.intervals import mean_figure


def figures_by_dataset(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], rng: np.random.Generator
) -> dict[str, dict[str, Figure]]:
    """Means of ``columns`` over the films of each data set, with intervals from a bootstrap over patients.

    Args:
        rows: one a film, with ``dataset`` and ``patient``; a data set without a column has no figure for it.
        columns: names of the scores.
        rng: generator of the draws.
    """
    found: dict[str, dict[str, Figure]] = {}
    for name in dict.fromkeys(str(row["dataset"]) for row in rows):
        own = [row for row in rows if row["dataset"] == name]
        patients = [str(row["patient"]) for row in own]
        found[name] = {
            column: mean_figure(np.array([row[column] for row in own], dtype=np.float64), patients, rng)
            for column in columns
            if all(column in row for row in own)
        }
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """One network: its name, what it learned from, and its figures on each data set."""

    name: str
    learned_from: tuple[str, ...]
    measured_on: Mapping[str, Mapping[str, Figure]]


def read_row(folder: Path, name: str = "") -> Row:
    """What ``radsuite evaluate`` wrote into ``folder``; called ``name``, or else by what it learned from.

    Raises:
        InputError: the folder holds no figures by data set.
    """
    path = folder / DATASETS_FILE
    try:
        content = json.loads(path.read_text())
        learned_from = tuple(str(each) for each in content["learned_from"])
        measured_on = {
            dataset: {key: Figure.from_json(value) for key, value in figures.items()}
            for dataset, figures in content["measured_on"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: holds no figures by data set; evaluate a recipe that measures on several data sets."
        ) from None
    return Row(name or " + ".join(learned_from) or folder.name, learned_from, measured_on)


def write_cross_table(rows: Sequence[Row], out: Path) -> str:
    """Write ``cross.md`` and ``cross.csv`` into ``out`` and return the former.

    The Markdown has one table a figure: a row for each network, a column for each data set, bold where a
    network learned from other films of that set. The CSV has one line a cell.
    """
    make_folder(out)
    figures = dict.fromkeys(key for row in rows for on in row.measured_on.values() for key in on)
    text = "\n".join(_table(rows, figure) for figure in figures) + (
        "\nRows: the network, by what it learned from. Columns: what it was measured on; "
        "bold: test films of a set it learned from. 95 % intervals by bootstrap over patients.\n"
    )
    write_text(out / "cross.md", text)
    write_text(out / "cross.csv", _lines(rows))
    return text


def _table(rows: Sequence[Row], figure: str) -> str:
    columns = [
        name
        for name in dict.fromkeys(name for row in rows for name in row.measured_on)
        if any(figure in row.measured_on.get(name, {}) for row in rows)
    ]
    lines = [f"| {figure} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = []
        for column in columns:
            value = row.measured_on.get(column, {}).get(figure)
            words = "-" if value is None else str(value)
            cells.append(f"**{words}**" if column in row.learned_from and value is not None else words)
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _lines(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("figure", "network", "learned_from", "measured_on", "value", "low", "high", "n"))
    for row in rows:
        for dataset, figures in row.measured_on.items():
            for name, figure in figures.items():
                numbers = [f"{number:.6g}" for number in (figure.value, figure.low, figure.high)]
                writer.writerow((name, row.name, " + ".join(row.learned_from), dataset, *numbers, figure.n))
    return stream.getvalue()
