"""JSRT: films (Shiraishi 2000), SCR organ outlines (van Ginneken 2006), BSE-JSRT bone layers (Juhász 2010).

Layout::

    index.csv         id, image_px, bits, has_bone, group (nodule | no nodule)
    images/ID.png     the film, bone bright
    organs/ID.png     bit field: 1 right lung, 2 left lung, 4 heart, 8 right clavicle, 16 left clavicle
    bone/ID.png       16 bit, what suppression takes away: value - 4096, on the scale of a 12-bit film

Lungs follow the SCR convention: the visible field, without the heart's shadow.
"""

from __future__ import annotations

from pathlib import Path

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES

LICENCE = "research use; cite, do not redistribute"
LAYOUT = "index.csv, images/ID.png, organs/ID.png, bone/ID.png"
BONE_OFFSET = 4096
BONE_WHITE = 4095
GROUPS = {"nodule": 1.0, "no nodule": 0.0}
ORGAN_BITS = {"right_lung": 1, "left_lung": 2, "heart": 4, "right_clavicle": 8, "left_clavicle": 16}


def read(folder: Path) -> Manifest:
    """All films of the folder; ``bone`` is a target only where the film has 12 bits.

    Raises:
        DatasetError: the folder does not have the layout, or a film's group is unknown.
    """
    index = require_file(folder, "index.csv", "jsrt", LAYOUT)
    rows = read_table(index, ("id", "bits", "has_bone", "group"))
    records = [_record(folder, row) for row in rows]
    return Manifest("jsrt", tuple(records))


def _record(folder: Path, row: dict[str, str]) -> Record:
    name = row["id"]
    if row["group"] not in GROUPS:
        raise DatasetError(f"{folder}: film {name} is of group {row['group']!r}; use {', '.join(GROUPS)}.")
    nodule = GROUPS[row["group"]]
    targets = {"organs": folder / "organs" / f"{name}.png"}
    if row["has_bone"] == "1":
        targets["bone"] = folder / "bone" / f"{name}.png"
    labels = list(UNKNOWN)
    labels[CODES.index("lung_lesion")] = nodule
    return Record(
        id=name,
        patient_id=f"jsrt-{name}",
        frontal=FilmFile(folder / "images" / f"{name}.png"),
        labels=tuple(labels),
        abnormal=nodule,
        targets={key: path for key, path in targets.items() if path.exists()},
        attributes={"bits": row["bits"], "view": "PA"},
    )
