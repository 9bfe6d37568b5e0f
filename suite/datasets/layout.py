"""Checks that a folder has the layout its data set documents, with the message a user can act on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from suite.errors import DatasetError


def require_file(folder: Path, name: str, dataset: str, layout: str) -> Path:
    """``folder/name``, or the error that says what the layout should be.

    Raises:
        DatasetError: it is not there.
    """
    path = folder / name
    if not path.is_file():
        raise DatasetError(f"{folder}: {name} is missing; data set {dataset} needs {layout}.")
    return path


def require_columns(path: Path, columns: Sequence[str] | None, needed: Sequence[str]) -> None:
    """Fail unless the table at ``path`` has all ``needed`` columns.

    Raises:
        DatasetError: a column is missing.
    """
    missing = [name for name in needed if name not in (columns or ())]
    if missing:
        raise DatasetError(
            f"{path}: column {', '.join(missing)} is missing; compare the table with the set's own."
        )


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV table, each with a value in every ``needed`` column; spaces after commas are skipped.

    Raises:
        DatasetError: the file is no text in UTF-8, or a column or a value is missing.
    """
    rows = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream, skipinitialspace=True)
            require_columns(path, table.fieldnames, needed)
            for row in table:
                empty = [name for name in needed if not row[name]]
                if empty:
                    raise DatasetError(
                        f"{path}: line {table.line_num} has no {', '.join(empty)}; "
                        "compare the table with the set's own."
                    )
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: is no readable table ({error}); save it as CSV in UTF-8.") from error
    return rows
