"""The label columns of the CheXpert labeller (Irvin 2019), as CheXpert and MIMIC-CXR-JPG have them.

Each of 13 columns holds 1 (present), 0 (absent), -1 (uncertain) or nothing. Nothing means that the report
does not mention the finding, and counts as absent, as in the labeller's own baseline; -1 is unknown, and
flagged as uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from suite.datasets.manifest import CERTAIN, UNKNOWN
from suite.errors import DatasetError
from suite.findings import CODES

NORMAL = "No Finding"
COLUMNS: dict[str, str] = {
    "enlarged_cardiomediastinum": "Enlarged Cardiomediastinum",
    "cardiomegaly": "Cardiomegaly",
    "lung_opacity": "Lung Opacity",
    "lung_lesion": "Lung Lesion",
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "pleural_effusion": "Pleural Effusion",
    "pleural_other": "Pleural Other",
    "fracture": "Fracture",
    "support_devices": "Support Devices",
}
_VALUES = {"": 0.0, "0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0, "-1": -1.0, "-1.0": -1.0}
_DEVICES = CODES.index("support_devices")


@dataclass(frozen=True, slots=True)
class StudyLabels:
    """What the labeller says of one study; the fields are those of ``Record``."""

    labels: tuple[float, ...] = UNKNOWN
    uncertain: tuple[bool, ...] = CERTAIN
    abnormal: float = math.nan

    @classmethod
    def of(cls, row: Mapping[str, str], table: Path, line: int) -> StudyLabels:
        """From a row of a table.

        A study is normal where "No Finding" is 1, abnormal where it is 0 or any finding but a support device
        is present, and unknown otherwise.

        Raises:
            DatasetError: a value is none of 1, 0, -1 and nothing.
        """
        values = tuple(_value(row, COLUMNS[code], table, line) for code in CODES)
        uncertain = tuple(value < 0 for value in values)
        labels = tuple(math.nan if value < 0 else value for value in values)
        said = (row.get(NORMAL) or "").strip()
        if said and _value(row, NORMAL, table, line) == 1.0:
            abnormal = 0.0
        elif said or any(label == 1.0 for index, label in enumerate(labels) if index != _DEVICES):
            abnormal = 1.0
        else:
            abnormal = math.nan
        return cls(labels, uncertain if any(uncertain) else CERTAIN, abnormal)


def _value(row: Mapping[str, str], column: str, table: Path, line: int) -> float:
    text = (row[column] or "").strip()
    if text not in _VALUES:
        raise DatasetError(
            f"{table}: line {line} has {text!r} for {column}; a label is 1, 0, -1 (uncertain) or empty."
        )
    return _VALUES[text]
