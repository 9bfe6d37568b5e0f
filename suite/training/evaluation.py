"""What a measurement leaves behind: figures with intervals, one row a film, and a table in words."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.storage import make_folder, write_text
from suite.study import FloatImage
from suite.training.gallery import GalleryFilm, draw_gallery
from suite.training.plots import Curve, plot_roc, plot_spread

DATASETS_FILE = "datasets.json"
EXTRAS_FILE = "extras.json"


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

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Figure:
        """The figure that ``as_json`` made ``content`` of, with the digits that are left."""
        value, interval = content["value"], content["interval"]
        low, high = interval or (math.nan, math.nan)
        return cls(math.nan if value is None else float(value), float(low), float(high), int(content["n"]))

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
    """Further results that belong into the model card, such as a calibration, or a comparison."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Labels and scores by name, to be drawn as ROC curves."""
    spread: Sequence[str] | Mapping[str, str] = ()
    """Columns of ``rows`` whose spread over films is drawn, perhaps with words for each."""
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    """Further pictures and tables by file name, each made by a function of the path it is written to."""
    gallery: Sequence[GalleryFilm] = ()
    """Films of which the worst are drawn with their outlines; only those are loaded."""
    samples: Mapping[str, FloatImage] = field(default_factory=dict)
    """Pictures (H, W) in [0, 1] by name, for the log of a run."""
    by_dataset: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    """Figures of each data set that was measured on, for the table across data sets."""
    by_subgroup: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    """Figures of parts of the films, by what they have in common, for a table of their own."""

    def scalars(self) -> dict[str, float]:
        return {name: figure.value for name, figure in self.figures.items()}

    def as_json(self) -> dict[str, Any]:
        return {name: figure.as_json() for name, figure in self.figures.items()}

    def table(self) -> str:
        """The figures as a Markdown table."""
        lines = ["| figure | value (95 % interval) | n |", "|---|---|---|"]
        lines += [f"| {name} | {figure} | {figure.n} |" for name, figure in self.figures.items()]
        return "\n".join([*lines, "", *self.notes]) + "\n"

    def write(self, folder: Path, learned_from: Sequence[str] = ()) -> None:
        """``metrics.json``, ``table.md``, and what else the network has figures for.

        ``extras.json`` - what else goes into a card; ``films.csv`` - one row a film; ``roc.png``,
        ``spread.png`` - plots; ``worst.png`` - the films with the lowest scores, outlined; ``datasets.json``
        - figures by data set and ``learned_from``, the sets the network learned from: what a cross table is
        made of; ``subgroups.md``, ``subgroups.json`` - figures of films of one view, sex or age.
        """
        make_folder(folder)
        write_text(folder / "metrics.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(folder / "table.md", self.table())
        if self.extras:
            write_text(folder / EXTRAS_FILE, json.dumps(self.extras, indent=2) + "\n")
        if self.rows:
            write_text(folder / "films.csv", _csv(self.rows))
        if self.curves:
            plot_roc(self.curves, folder / "roc.png")
        if self.spread:
            plot_spread(self.rows, self.spread, folder / "spread.png")
        for name, draw in self.pictures.items():
            draw(folder / name)
        if self.gallery:
            draw_gallery(self.gallery, folder / "worst.png")
        if self.by_dataset:
            write_text(folder / DATASETS_FILE, json.dumps(self._datasets(learned_from), indent=2) + "\n")
        if self.by_subgroup:
            write_text(folder / "subgroups.md", self.subgroup_table())
            write_text(folder / "subgroups.json", json.dumps(_figures(self.by_subgroup), indent=2) + "\n")

    def subgroup_table(self) -> str:
        """A row a group and a figure that could be measured, as Markdown."""
        lines = ["| films | figure | value (95 % interval) | n |", "|---|---|---|---|"]
        lines += [
            f"| {group} | {name} | {figure} | {figure.n} |"
            for group, figures in self.by_subgroup.items()
            for name, figure in figures.items()
            if not math.isnan(figure.value)
        ]
        return "\n".join(lines) + "\n"

    def _datasets(self, learned_from: Sequence[str]) -> dict[str, Any]:
        return {"learned_from": list(learned_from), "measured_on": _figures(self.by_dataset)}


def _figures(groups: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    return {
        group: {name: figure.as_json() for name, figure in figures.items()}
        for group, figures in groups.items()
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """All columns of all rows, in the order in which they first come; empty where a row lacks one."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column, "")) for column in columns] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
