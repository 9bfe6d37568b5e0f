"""Frontal and lateral films of one visit, from the covid-chestxray-dataset (Cohen 2020).

Layout::

    index.csv       frontal, lateral, patient_id, finding, license
    images/IMAGE    longest side 1024
"""

from __future__ import annotations

from pathlib import Path

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import FilmFile, Manifest, Record

LICENCE = "per image, see index.csv"
LAYOUT = "index.csv, images/IMAGE"


def read(folder: Path) -> Manifest:
    """All pairs of the folder.

    Raises:
        DatasetError: the folder does not have the layout.
    """
    index = require_file(folder, "index.csv", "frontal-lateral", LAYOUT)
    rows = read_table(index, ("frontal", "lateral", "patient_id"))
    records = [
        Record(
            id=Path(row["frontal"]).stem,
            patient_id=f"covid-{row['patient_id']}",
            frontal=FilmFile(folder / "images" / row["frontal"]),
            lateral=FilmFile(folder / "images" / row["lateral"]),
            abnormal=1.0,
            attributes={"finding": row.get("finding", "")},
        )
        for row in rows
    ]
    return Manifest("frontal-lateral", tuple(records))
