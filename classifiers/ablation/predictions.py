"""What a run of an ablation leaves behind: its predictions on the test part, a row a study."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from suite.errors import StorageError
from suite.findings import CODES
from suite.storage import write_text

ATTRIBUTES = ("view", "age", "sex")
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions of one run as read back from its file; arrays are (N, 13)."""

    studies: tuple[str, ...]
    patients: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    truth: Values
    scores: Values
    hits: Values
    areas: Values

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """The studies that ``chosen`` (N,) marks."""
        kept = np.flatnonzero(chosen).tolist()
        return type(self)(
            tuple(self.studies[row] for row in kept),
            tuple(self.patients[row] for row in kept),
            {name: tuple(values[row] for row in kept) for name, values in self.attributes.items()},
            self.truth[chosen],
            self.scores[chosen],
            self.hits[chosen],
            self.areas[chosen],
        )


_GROUPS = ("truth", "score", "hit", "area")


def write_predictions(path: Path, predictions: Any, sources: Mapping[str, str]) -> None:
    """One row a study: who it is, and for each finding truth, score, hit and the hit rate by chance."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "study",
            "patient",
            "source",
            *ATTRIBUTES,
            *(f"{group}_{code}" for group in _GROUPS for code in CODES),
        ]
    )
    columns = (predictions.truth, predictions.scores, predictions.hits, predictions.areas)
    for row, record in enumerate(predictions.records):
        numbers = [_cell(value) for column in columns for value in column[row]]
        attributes = [record.attributes.get(name, "") for name in ATTRIBUTES]
        source = sources.get(str(record.frontal), "")
        writer.writerow([record.id, record.patient_id, source, *attributes, *numbers])
    write_text(path, stream.getvalue())


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"


def read_predictions(path: Path) -> Scored:
    """What ``write_predictions`` wrote.

    Raises:
        StorageError: the file is not that.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        arrays = [
            np.array([[float(row[f"{group}_{code}"] or "nan") for code in CODES] for row in rows])
            for group in _GROUPS
        ]
        attributes = {name: tuple(row[name] for row in rows) for name in ("source", *ATTRIBUTES)}
        studies = tuple(row["study"] for row in rows)
        patients = tuple(row["patient"] for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise StorageError(
            f"{path}: is no file of predictions ({error}); remove it and run again."
        ) from error
    return Scored(studies, patients, attributes, *arrays)
