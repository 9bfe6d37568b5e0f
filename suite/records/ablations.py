"""Ablation results as ``radsuite ablate`` leaves them: ``table.csv`` and ``comparisons.csv`` in a folder."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from suite.errors import UnreadableFileError

TABLE, COMPARISONS, WORDS = "table.csv", "comparisons.csv", "table.md"
FOLDERS = ("training", "ablations")
"""Folders below the data folder where results are looked for: of jobs, and put there by hand."""

MAX_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class AreaRow:
    """Area under the curve of one network on one finding, or on a mean of findings. NaN where unknown."""

    network: str
    finding: str
    auc: float
    low: float
    high: float
    n: int
    positives: int
    seeds: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Difference of two networks' areas on one finding, with p before and after Holm's correction."""

    first: str
    second: str
    finding: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """One result.

    Attributes:
        name: of its folder.
        finished_at: when its table was written, seconds since 1970.
    """

    name: str
    finished_at: float
    areas: tuple[AreaRow, ...]
    differences: tuple[DifferenceRow, ...]

    @property
    def networks(self) -> list[str]:
        """In the table's order."""
        return list(dict.fromkeys(row.network for row in self.areas))

    @property
    def findings(self) -> list[str]:
        """In the table's order."""
        return list(dict.fromkeys(row.finding for row in self.areas))


def result_folders(data: Path) -> list[Path]:
    """Folders that hold a result, the newest first."""
    found = [path.parent for part in FOLDERS for path in (data / part).glob(f"*/{TABLE}") if path.is_file()]
    return sorted(found, key=lambda folder: (folder / TABLE).stat().st_mtime, reverse=True)


def read_ablation(folder: Path) -> Ablation:
    """One result.

    Raises:
        UnreadableFileError: a table is missing, too large, or not of the documented form.
    """
    path = folder / TABLE
    areas = tuple(
        AreaRow(
            row["network"],
            row["finding"],
            _number(row["auc"]),
            _number(row["low"]),
            _number(row["high"]),
            _count(row.get("n")),
            _count(row.get("positives")),
            _count(row.get("seeds")),
        )
        for row in _rows(path, ("network", "finding", "auc", "low", "high"))
    )
    names = ("first", "second", "finding", "difference", "low", "high", "p", "p_holm")
    differences = tuple(
        DifferenceRow(
            row["first"], row["second"], row["finding"], *(_number(row[name]) for name in names[3:])
        )
        for row in (_rows(folder / COMPARISONS, names) if (folder / COMPARISONS).is_file() else ())
    )
    return Ablation(folder.name, path.stat().st_mtime, areas, differences)


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableFileError(
                f"{path.name}: has more than {MAX_BYTES} bytes; it is no ablation's table."
            )
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8")))
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise UnreadableFileError(
                f"{path.name}: lacks the columns {', '.join(missing)}; write it with `radsuite ablate`."
            )
        yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(
            f"{path.name}: cannot be read ({type(error).__name__}); write it again with `radsuite ablate`."
        ) from error


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _count(text: str | None) -> int:
    number = _number(text)
    return 0 if math.isnan(number) else int(number)
