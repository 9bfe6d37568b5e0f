"""What the outline of the lungs says of films that were cut, and that the gate lets pass.

    python benchmarks/cut_films.py --data nih=NIH --data jsrt=JSRT --films 200 --out OUT

Takes films of the test parts, whole and cut as the gate's own measurement cuts them: one half, one end, or a
small window, with most of the lungs missing. Those that the installed gate accepts go through the installed
lungs stage. Printed is how many are accepted, in how many of those the stage warns, and by which sign:
one lung or none was found; a lung covers much of one side of the film. ``OUT/films.csv`` has a row a film.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch

from classifiers.gate.distortions import part_of_chest
from classifiers.gate.stage import GateStage
from classifiers.learned_sets import part_of
from segmentation.lungs.doubts import CUT_OFF
from segmentation.lungs.stage import SIDES, LungsStage
from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset, parse_sources
from suite.errors import SuiteError
from suite.film_edge import share_at_edge
from suite.grid import Grid
from suite.stages.contract import Artifact
from suite.storage import make_folder, write_text
from suite.study import FloatImage, Radiograph
from suite.training.films import open_film
from suite.training.intervals import mean_figure

EDGES = (CUT_OFF, 0.1, 0.15, 0.2, 0.3)
"""Shares of a side that a lung covers, from which a film may be called cut."""

Row = Mapping[str, Any]


def chosen(sources: Mapping[str, Path], count: int) -> list[tuple[str, Record]]:
    """At most ``count`` films of the test parts, the sets by turns in the order of their records."""
    parts = [
        [(name, record) for record in part_of(open_dataset(name, folder), "test", 0, lambda _: True)]
        for name, folder in sorted(sources.items())
    ]
    longest = max(map(len, parts), default=0)
    return [part[row] for row in range(longest) for part in parts if row < len(part)][:count]


def pictures(film: Radiograph, rng: np.random.Generator) -> dict[str, FloatImage]:
    """The pixels of a film as it is, and cut."""
    return {"whole": film.pixels, "cut": np.ascontiguousarray(part_of_chest(film.pixels, rng))}


def measured(films: Sequence[tuple[str, Record]], gate: Any, lungs: Any) -> Iterator[dict[str, Any]]:
    """A row a picture; ``lungs`` found and the ``edge`` share are NaN where the gate refused it."""
    for number, (name, record) in enumerate(films):
        film = open_film(record.frontal)
        for kind, pixels in pictures(film, np.random.default_rng(number)).items():
            shown = Radiograph(pixels, film.projection, film.source)
            given = {"frontal": Artifact(shown, Grid.of(shown.shape))}
            row = {"set": name, "film": record.id, "patient": f"{name}-{record.patient_id}", "kind": kind}
            row |= {"accepted": float(gate.run([given])[0]["gate"].value.accepted)}
            row |= {"lungs": np.nan, "edge": np.nan}
            if row["accepted"]:
                mask = lungs.run([given])[0]["lung_mask"].value
                found = [mask == value for value in SIDES.values()]
                row["lungs"] = float(sum(bool(lung.any()) for lung in found))
                row["edge"] = max(share_at_edge(lung.astype(np.uint8)) for lung in found)
            yield row


def table(rows: Sequence[Row]) -> str:
    """Shares with their 95 % intervals, whole and cut films side by side."""
    rng = np.random.default_rng(0)
    lines = ["| | whole films | cut films |", "|---|---|---|"]
    kinds = [[row for row in rows if row["kind"] == kind] for kind in ("whole", "cut")]
    signs = {"accepted by the gate": lambda row: row["accepted"]}
    accepted = [[row for row in own if row["accepted"]] for own in kinds]
    told = {"one lung or none was found": lambda row: float(row["lungs"] < len(SIDES))}
    told |= {
        f"a lung covers more than {edge:g} of a side": lambda row, edge=edge: float(row["edge"] > edge)
        for edge in EDGES
    }
    for of_rows, group in ((kinds, signs), (accepted, told)):
        for words, sign in group.items():
            cells = []
            for own in of_rows:
                values = np.array([sign(row) for row in own], dtype=np.float64)
                figure = mean_figure(values, [row["patient"] for row in own], rng)
                cells.append(f"{figure} of {len(own)}")
            lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """All rows as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def main() -> None:
    """Measure, print; write ``films.csv`` and ``table.md``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", type=int, default=200, help="whole films at most (200)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        films = chosen(parse_sources(arguments.data), arguments.films)
        rows = list(measured(films, GateStage(), LungsStage()))
    except SuiteError as error:
        sys.exit(f"error: {error}")
    make_folder(arguments.out)
    write_rows(arguments.out / "films.csv", rows)
    write_text(arguments.out / "table.md", table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
