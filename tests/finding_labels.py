"""Labels of a data set's records in words, and what is said of a set that cannot be read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.findings import CODES


def refusal(name: str, folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(name, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.exit_code == 2
    return message


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def said(record: Record) -> dict[str, float]:
    """The known labels."""
    return {code: value for code, value in zip(CODES, record.labels, strict=True) if not math.isnan(value)}


def positives(record: Record) -> set[str]:
    return {code for code, value in said(record).items() if value == 1.0}


def unknown(record: Record) -> set[str]:
    return set(CODES) - set(said(record))
