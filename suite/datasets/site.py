"""A site's own labelled films: one table, whatever folder the films are in.

Layout::

    films.csv    file, patient_id; optional: lateral, inverted, lateral_inverted, abnormal, age, sex, view,
                 and any of the 13 codes

``file`` and ``lateral`` are paths, from the table's folder where they are not absolute; DICOM, PNG, JPEG and
TIFF are read. ``inverted`` and ``lateral_inverted`` are 1 for a film whose file holds bone dark and does not
say so itself, as a DICOM header does; 0 or empty for the others. A label is 1, 0 or empty (unknown); a code
without a column is unknown for all films.
"""

from __future__ import annotations

import math
from pathlib import Path

from suite.datasets.layout import require_file, require_films, table_rows
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES

NAME = "site"
LICENCE = "your own"
CITATION = "your own"
LAYOUT = "films.csv (file, patient_id, and lateral, abnormal or codes of findings)"
TABLE = "films.csv"
ATTRIBUTES = ("view", "age", "sex")
INVERTED, LATERAL_INVERTED = "inverted", "lateral_inverted"
_VALUES = {"": math.nan, "0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}


def read(folder: Path) -> Manifest:
    """All films of ``films.csv`` in the folder.

    Raises:
        DatasetError: as for ``read_site_table``; also when the table is not there.
    """
    return read_site_table(require_file(folder, TABLE, NAME, LAYOUT))


def read_site_table(table: Path) -> Manifest:
    """All films of a table of that form, under whatever name.

    Raises:
        DatasetError: the table cannot be read, knows no label, has a column that is close to a code but none,
            a label or a polarity that is not 1, 0 or empty, or names a film twice or one that is not there.
    """
    records = []
    columns: list[str] = []
    for line, row in table_rows(table, ("file", "patient_id")):
        columns = columns or _checked_columns(table, row)
        records.append(_record(table, line, row))
    require_films((film.path for each in records for film in (each.frontal, each.lateral) if film), table)
    return Manifest(NAME, tuple(records))


def _checked_columns(table: Path, row: dict[str, str]) -> list[str]:
    """The columns with labels; a misspelt one must not pass as one that is not there."""
    known = {"file", "patient_id", "lateral", INVERTED, LATERAL_INVERTED, "abnormal", *ATTRIBUTES, *CODES}
    for column in row:
        alike = "_".join((column or "").strip().lower().replace("-", " ").split())
        if column not in known and alike in known:
            raise DatasetError(f"{table}: column {column!r} is not known; call it {alike}.")
    labels = [column for column in row if column in CODES or column == "abnormal"]
    if not labels:
        raise DatasetError(f"{table}: has no label; add a column abnormal, or one of {', '.join(CODES)}.")
    return labels


def _record(table: Path, line: int, row: dict[str, str]) -> Record:
    lateral = (row.get("lateral") or "").strip()
    lateral_inverted = _is_inverted(table, line, row, LATERAL_INVERTED)
    if lateral_inverted and not lateral:
        raise DatasetError(f"{table}: line {line} has {LATERAL_INVERTED} and no lateral; name the film.")
    return Record(
        id=row["file"],
        patient_id=f"{NAME}-{row['patient_id']}",
        frontal=FilmFile(table.parent / row["file"], _is_inverted(table, line, row, INVERTED)),
        lateral=FilmFile(table.parent / lateral, lateral_inverted) if lateral else None,
        labels=tuple(_label(table, line, row, code) for code in CODES),
        abnormal=_label(table, line, row, "abnormal"),
        attributes={key: value for key in ATTRIBUTES if (value := row.get(key) or "")},
    )


def _is_inverted(table: Path, line: int, row: dict[str, str], column: str) -> bool:
    text = (row.get(column) or "").strip()
    if text not in _VALUES:
        raise DatasetError(
            f"{table}: line {line} has {text!r} for {column}; write 1 where the file holds bone dark, "
            "else 0 or nothing."
        )
    return _VALUES[text] == 1.0


def _label(table: Path, line: int, row: dict[str, str], column: str) -> float:
    text = (row.get(column) or "").strip()
    if text not in _VALUES:
        raise DatasetError(
            f"{table}: line {line} has {text!r} for {column}; a label is 1, 0 or empty for unknown."
        )
    return _VALUES[text]
