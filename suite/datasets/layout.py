"""Checks that a folder has the layout its data set documents, with the message a user can act on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.errors import DatasetError


def require_file(folder: Path, name: str, dataset: str, layout: str) -> Path:
    """``folder/name``, or the error that says what the layout should be."""
    path = folder / name
    if not path.is_file():
        raise DatasetError(f"{folder}: {name} is missing; data set {dataset} needs {layout}.")
    return path


def require_columns(path: Path, columns: Sequence[str] | None, needed: Sequence[str]) -> None:
    """Fail unless the table at ``path`` has all ``needed`` columns."""
    missing = [name for name in needed if name not in (columns or ())]
    if missing:
        raise DatasetError(f"{path}: column {', '.join(missing)} is missing; compare the table with the set's own.")
