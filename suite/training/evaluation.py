"""What a measurement leaves behind: figures with intervals, one row a film, and a table in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.storage import make_folder, write_text
from suite.training.plots import Curve, plot_roc, plot_spread


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number with its 95 % interval and the count it rests on."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0

    def as_json(self) -> dict[str, Any]:
        """``{"value", "interval", "n"}``, NaN as null."""
        interval = (
            None
            if math.isnan(self.low) or math.isnan(self.high)
            else [round(self.low, 5), round(self.high, 5)]
        )
        return {
            "value": None if math.isnan(self.value) else round(self.value, 5),
            "interval": interval,
            "n": self.n,
        }

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return f"{self.value:.4g}"
        return f"{self.value:.4g} ({self.low:.4g} - {self.high:.4g})"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by name, and the per-film rows they came from."""

    figures: Mapping[str, Figure]
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    notes: Sequence[str] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Further results that belong into the model card, such as a calibration."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Labels and scores by name, to be drawn as ROC curves."""
    spread: Sequence[str] = ()
    """Columns of ``rows`` whose spread over films is drawn."""
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    """Further pictures by file name, each drawn by a function of the path it is written to."""

    def scalars(self) -> dict[str, float]:
        return {name: figure.value for name, figure in self.figures.items()}

    def as_json(self) -> dict[str, Any]:
        return {name: figure.as_json() for name, figure in self.figures.items()}

    def table(self) -> str:
        """The figures as a Markdown table."""
        lines = ["| figure | value (95 % interval) | n |", "|---|---|---|"]
        lines += [f"| {name} | {figure} | {figure.n} |" for name, figure in self.figures.items()]
        return "\n".join([*lines, "", *self.notes]) + "\n"

    def write(self, folder: Path) -> None:
        """``metrics.json``, ``table.md``, and where they make sense ``films.csv`` and plots."""
        make_folder(folder)
        write_text(folder / "metrics.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(folder / "table.md", self.table())
        if self.rows:
            write_text(folder / "films.csv", _csv(self.rows))
        if self.curves:
            plot_roc(self.curves, folder / "roc.png")
        if self.spread:
            plot_spread(self.rows, self.spread, folder / "spread.png")
        for name, draw in self.pictures.items():
            draw(folder / name)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0])
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(column, "")) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
