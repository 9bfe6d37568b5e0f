"""Real films twice: as they are, and with a computed pneumothorax, whose place is known.

``python -m segmentation.pneumothorax.inserted`` makes such a folder from a set of real films. Layout::

    index.csv        image, patient_id, pneumothorax (0, 1), view
    images/NAME.png  the film, 8 bit
    masks/NAME.png   where the gas is, 255, on the film's own matrix; empty where there is none

Patients keep the ids of the set that the films are of, so that a measurement on that set can leave out
whoever was learned from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from suite.datasets.layout import read_table, require_file, require_films
from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES

NAME: Final = "inserted-pneumothorax"
TARGET: Final = "pneumothorax_mask"
LICENCE = "that of the films it was made from"
LAYOUT = "index.csv (image, patient_id, pneumothorax, view), images/NAME.png, masks/NAME.png"
COLUMNS: Final = ("image", "patient_id", "pneumothorax", "view")


def read(folder: Path) -> Manifest:
    """All films of the folder; nothing but the pneumothorax is known of them.

    Raises:
        DatasetError: the folder does not have the layout, or a film's ``pneumothorax`` is neither 0 nor 1.
    """
    index = require_file(folder, "index.csv", NAME, LAYOUT)
    records = [_record(folder, index, row) for row in read_table(index, COLUMNS)]
    require_films((path for each in records for path in (each.frontal.path, *each.targets.values())), index)
    return Manifest(NAME, tuple(records))


def _record(folder: Path, index: Path, row: dict[str, str]) -> Record:
    name = row["image"]
    if row["pneumothorax"] not in ("0", "1"):
        raise DatasetError(f"{index}: {name} has pneumothorax {row['pneumothorax']!r}; use 0 or 1.")
    labels = list(UNKNOWN)
    labels[CODES.index("pneumothorax")] = float(row["pneumothorax"])
    return Record(
        id=Path(name).stem,
        patient_id=row["patient_id"],
        frontal=FilmFile(folder / "images" / name),
        labels=tuple(labels),
        targets={TARGET: folder / "masks" / name},
        attributes={"view": row["view"]} if row["view"] else {},
    )
