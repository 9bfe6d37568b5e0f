"""Cohorts of computed chests and limbs, as ``radsuite phantom`` writes them; every truth is a target.

Layout::

    manifest.csv          one row a study: paths, the 13 labels, view, sex, age, spacing, ratios
    ID/frontal.png        16 bit, bone bright; lateral.png, low.png, high.png, raw.png, bone.png, soft.png
    ID/lung_mask.png      8 bit: 0, 128 right, 255 left, visible field; lung_whole.png, heart.png ...
    ID/truth.json         labels, boxes, measurements, the patient's parameters

docs/phantom.md says how each picture holds its numbers.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.datasets.layout import require_columns, require_file
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES
from suite.phantom.layout import FILMS, MASKS

if TYPE_CHECKING:
    from suite.study import FloatImage, Mask

LICENCE = "made by the suite; free to use"
LAYOUT = "manifest.csv, ID/frontal.png, ID/lung_mask.png, ID/truth.json as radsuite phantom writes them"
_TARGETS = (*FILMS[2:], *MASKS)


def read(folder: Path) -> Manifest:
    """All studies of a cohort. Limbs have the target ``tissue`` and no known label.

    Targets go by the names of the manifest's columns, ``truth`` is ``truth.json``, and each finding that
    shows is ``finding_CODE`` or ``lateral_finding_CODE``.

    Raises:
        DatasetError: the folder does not have the layout.
    """
    table = require_file(folder, "manifest.csv", "phantom", LAYOUT)
    with table.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        require_columns(table, rows.fieldnames, ("id", "part", "frontal", "lateral", "abnormal", *CODES))
        records = [_record(folder, table, row) for row in rows]
    return Manifest("phantom", tuple(records))


def _record(folder: Path, table: Path, row: dict[str, str]) -> Record:
    home = folder / row["path"]
    targets = {name: folder / row[name] for name in _TARGETS if row.get(name)}
    targets["truth"] = home / "truth.json"
    labels = tuple(_label(row[code], table) for code in CODES)
    for code, label in zip(CODES, labels, strict=True):
        if label == 1.0:
            names = (f"finding_{code}", f"lateral_finding_{code}")
            targets |= {name: home / f"{name}.png" for name in names if (home / f"{name}.png").is_file()}
    return Record(
        id=row["id"],
        patient_id=row["id"],
        frontal=FilmFile(folder / row["frontal"]),
        lateral=FilmFile(folder / row["lateral"]) if row["lateral"] else None,
        labels=labels,
        abnormal=_label(row["abnormal"], table),
        targets=targets,
        attributes={name: row[name] for name in ("part", "view", "sex", "age", "spacing_mm",
                                                 "cardiothoracic_ratio", "lesion_mm") if row.get(name)},
    )  # fmt: skip


def _label(text: str, table: Path) -> float:
    if text not in ("0", "1", ""):
        raise DatasetError(f"{table}: label {text!r} is neither 0, 1 nor empty; make the cohort again.")
    return float(text) if text else math.nan


def read_truth(record: Record) -> dict[str, Any]:
    """A study's ``truth.json``: boxes by view and finding, measurements, parameters.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    path = record.targets["truth"]
    try:
        truth: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read; make the cohort again.") from error
    return truth


def lung_planes(record: Record, *, whole: bool = False) -> Mask:
    """Right and left lung (H, W, 2), 0 or 1: the visible field, or all of it with ``whole``."""
    import numpy as np

    from suite.phantom.encoding import LEFT, RIGHT, read_png

    stored = read_png(record.targets["lung_whole" if whole else "lung_mask"])
    return np.stack([stored == RIGHT, stored == LEFT], axis=-1).astype(np.uint8)


def finding_mask(record: Record, code: str) -> Mask:
    """Where the finding ``code`` shows on the frontal film (H, W), 0 or 1; empty where it does not."""
    import numpy as np

    from suite.phantom.encoding import read_png

    shown = record.targets.get(f"finding_{code}")
    if shown is None:
        return np.zeros_like(read_png(record.targets["lung_mask"]))
    return (read_png(shown) > 0).astype(np.uint8)


def tissue_classes(record: Record) -> Mask:
    """Open beam and shutters 0, soft tissue 1, bone 2 (H, W); metal is bone, as XNet's authors have it."""
    import numpy as np

    from suite.phantom.encoding import read_png

    stored = read_png(record.targets["tissue"])
    return np.minimum(stored, 2).astype(np.uint8)


def bone_layer(record: Record) -> FloatImage:
    """The true bone layer (H, W) on the frontal film's [0, 1] scale: film = soft tissue + bone."""
    from suite.phantom.encoding import bone_layer as decoded
    from suite.phantom.encoding import read_png

    return decoded(read_png(record.targets["bone"]))
