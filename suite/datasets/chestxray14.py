"""NIH ChestX-ray14 (Wang 2017): frontal films with 14 findings mined from reports by language processing.

Layout of the subset read here::

    labels.csv        image, patient_id, age, sex, view (PA | AP), findings ('|'-separated), follow_up
    images/IMAGE      512 x 512, 8 bit, bone bright

The 14 names map to the suite's 13 codes by exact membership. What the set never labels (fracture, support
devices, enlarged cardiomediastinum) is NaN: unknown, not absent. ``lung_opacity`` is the union CheXpert's
hierarchy gives it.
"""

from __future__ import annotations

import math
from pathlib import Path

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES

LICENCE = "open, attribution (Wang et al. 2017)"
LAYOUT = "labels.csv, images/IMAGE"

SYNONYMS: dict[str, frozenset[str]] = {
    "cardiomegaly": frozenset({"Cardiomegaly"}),
    "lung_lesion": frozenset({"Mass", "Nodule"}),
    "edema": frozenset({"Edema"}),
    "consolidation": frozenset({"Consolidation"}),
    "pneumonia": frozenset({"Pneumonia"}),
    "atelectasis": frozenset({"Atelectasis"}),
    "pneumothorax": frozenset({"Pneumothorax"}),
    "pleural_effusion": frozenset({"Effusion"}),
    "pleural_other": frozenset({"Pleural_Thickening"}),
    "lung_opacity": frozenset(
        {"Infiltration", "Consolidation", "Pneumonia", "Edema", "Atelectasis", "Mass", "Nodule"}
    ),
}
NORMAL = "No Finding"
NAMES = frozenset().union(*SYNONYMS.values()) | {"Emphysema", "Fibrosis", "Hernia", NORMAL}


def names_in(findings: str) -> frozenset[str]:
    """The set's own names in a '|'-separated list.

    Raises:
        DatasetError: a name is not one of the set's fifteen, or "No Finding" stands beside a finding.
    """
    names = frozenset(name.strip() for name in findings.split("|"))
    unknown = sorted(names - NAMES)
    if unknown:
        raise DatasetError(f"findings {unknown} are not ChestX-ray14 names; use {', '.join(sorted(NAMES))}.")
    if NORMAL in names and len(names) > 1:
        raise DatasetError(f"findings {findings!r} name {NORMAL!r} beside others; give one or the other.")
    return names


def labels_from(findings: str) -> tuple[float, ...]:
    """The 13 labels of a '|'-separated list of the set's own names.

    Raises:
        DatasetError: as for ``names_in``.
    """
    names = names_in(findings)
    return tuple(float(bool(names & SYNONYMS[code])) if code in SYNONYMS else math.nan for code in CODES)


def read(folder: Path) -> Manifest:
    """All films of the folder.

    Raises:
        DatasetError: the folder does not have the layout, or a finding's name is unknown.
    """
    table = require_file(folder, "labels.csv", "nih", LAYOUT)
    rows = read_table(table, ("image", "patient_id", "view", "findings"))
    records = [_record(folder, row) for row in rows]
    return Manifest("nih", tuple(records))


def _record(folder: Path, row: dict[str, str]) -> Record:
    return Record(
        id=Path(row["image"]).stem,
        patient_id=f"nih-{row['patient_id']}",
        frontal=folder / "images" / row["image"],
        labels=labels_from(row["findings"]),
        abnormal=0.0 if names_in(row["findings"]) == {NORMAL} else 1.0,
        attributes={key: row[key] for key in ("view", "age", "sex") if row.get(key)},
    )
