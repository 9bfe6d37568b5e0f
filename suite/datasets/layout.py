"""Checks that a folder has the layout its data set documents, with the message a user can act on."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO, cast

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


def require_match(folder: Path, patterns: Sequence[str], dataset: str, layout: str) -> Path:
    """The file that matches the first of ``patterns`` any file matches; the last name where several do.

    Raises:
        DatasetError: there is none.
    """
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found[-1]
    raise DatasetError(f"{folder}: {patterns[0]} is missing; data set {dataset} needs {layout}.")


def require_films(films: Iterable[Path], table: Path) -> None:
    """Fail unless all films that ``table`` names are there. None is opened.

    Raises:
        DatasetError: names the first that is missing, and how many are.
    """
    missing = [film for film in films if not os.path.isfile(film)]
    if missing:
        others = f" and {len(missing) - 1:,} others" if len(missing) > 1 else ""
        raise DatasetError(
            f"{table}: names {missing[0]}{others}, which is not there; "
            "complete the copy, or leave such rows out of the table."
        )


def require_columns(path: Path, columns: Sequence[str] | None, needed: Sequence[str]) -> None:
    """Fail unless the table at ``path`` has all ``needed`` columns.

    Raises:
        DatasetError: a column is missing.
    """
    missing = [name for name in needed if name not in (columns or ())]
    if missing:
        raise DatasetError(f"{path}: {_without(missing, columns or ())}")


def _without(missing: Sequence[str], columns: Sequence[str]) -> str:
    """What is wrong with a header, and what it has: whoever wrote the table sees what to rename."""
    one = columns[0] if len(columns) == 1 else ""
    for sign, words in ((";", "semicolons"), ("\t", "tabs")):
        if sign in one:
            return f"its columns are divided by {words}; save it as CSV with commas."
    name, verb = ("column", "is") if len(missing) == 1 else ("columns", "are")
    found = ", ".join(columns) or "none"
    return f"{name} {', '.join(missing)} {verb} missing; it has {found[:200]}: rename what means the same."


def read_table(path: Path, needed: Sequence[str], present: Sequence[str] = ()) -> list[dict[str, str]]:
    """All rows of ``table_rows``."""
    return [row for _, row in table_rows(path, needed, present)]


def table_rows(
    path: Path, needed: Sequence[str], present: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and row of a CSV table, plain or gzipped, one after the other; spaces after commas are skipped.

    Args:
        path: ending in ``.gz`` where it is compressed.
        needed: columns with a value in every row.
        present: columns that may be empty in a row but must be there.

    Raises:
        DatasetError: the file is no text in UTF-8, or a column or a value is missing.
    """
    try:
        with _open(path) as stream:
            table = csv.DictReader(stream, skipinitialspace=True)
            require_columns(path, table.fieldnames, (*needed, *present))
            for row in table:
                empty = [name for name in needed if not row[name]]
                if empty:
                    raise DatasetError(
                        f"{path}: line {table.line_num} has no {', '.join(empty)}; "
                        "compare the table with the set's own."
                    )
                yield table.line_num, row
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: is no readable table ({error}); save it as CSV in UTF-8.") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, "rt", newline="", encoding="utf-8-sig"))
    return path.open(newline="", encoding="utf-8-sig")
