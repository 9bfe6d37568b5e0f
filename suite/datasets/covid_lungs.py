"""Frontal films from the covid-chestxray-dataset (Cohen 2020) with human lung masks: an external check.

Layout::

    index.csv           image, patient_id, view, finding, license
    images/IMAGE        longest side 512
    lung_masks/STEM.png 255 inside either lung

The sides are not told apart, and the left outline includes the lung behind the heart, which SCR's does not:
compare right lungs. Never trained on.
"""

from __future__ import annotations

from pathlib import Path

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import FilmFile, Manifest, Record

LICENCE = "per image, see index.csv; masks CC BY 4.0"
LAYOUT = "index.csv, images/IMAGE, lung_masks/STEM.png"


def read(folder: Path) -> Manifest:
    """All films of the folder.

    Raises:
        DatasetError: the folder does not have the layout.
    """
    index = require_file(folder, "index.csv", "covid-lungs", LAYOUT)
    rows = read_table(index, ("image", "patient_id", "view"))
    records = [
        Record(
            id=Path(row["image"]).stem,
            patient_id=f"covid-{row['patient_id']}",
            frontal=FilmFile(folder / "images" / row["image"]),
            targets={"lung_mask": folder / "lung_masks" / f"{Path(row['image']).stem}.png"},
            attributes={"view": row["view"]},
        )
        for row in rows
    ]
    return Manifest("covid-lungs", tuple(records))
