"""Attributes of a data set as plain Python values, whatever the file wrote there.

Real files hold empty values, texts in number fields, and the wrong value representation. Nothing here raises
for that: an attribute that cannot be understood counts as absent.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.valuerep import PersonName

from suite.dicom.grayscale import LookupTable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
    EOFError,
    struct.error,
    BytesLengthException,
    InvalidDicomError,
)
"""What pydicom raises when a value does not have the form its representation demands."""


@contextmanager
def parser_silenced() -> Iterator[None]:
    """Without the parser's warnings on values that break the standard: those that matter are worded here.

    Values are converted, and complained about, when they are asked for, not only when the file is read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


Attribute = str | tuple[int, int]
"""An attribute by its keyword, or by group and element where it repeats in several groups."""


def raw(dataset: Dataset, keyword: Attribute) -> Any:
    """The value of an attribute, or ``None`` when it is absent, empty or malformed."""
    try:
        with parser_silenced():
            value = dataset.get(keyword)
            if isinstance(keyword, tuple) and value is not None:  # pydicom answers tags with elements
                value = value.value
    except MALFORMED:
        return None
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        return None
    return value


def text(dataset: Dataset, keyword: Attribute) -> str | None:
    """An attribute as one line of text; several values are joined by a backslash, as the file has them."""
    value = raw(dataset, keyword)
    if value is None:
        return None
    try:
        parts = [str(part) for part in value] if _is_multiple(value) else [str(value)]
    except MALFORMED:
        return None
    joined = "".join(sign if sign.isprintable() else " " for sign in "\\".join(parts))
    return " ".join(joined.split()) or None


def numbers(dataset: Dataset, keyword: Attribute) -> tuple[float, ...]:
    """All finite numbers of an attribute; empty when one of them is not a finite number."""
    value = raw(dataset, keyword)
    if value is None:
        return ()
    try:
        parts = tuple(float(part) for part in (value if _is_multiple(value) else (value,)))
    except MALFORMED:
        return ()
    return parts if all(math.isfinite(part) for part in parts) else ()


def number(dataset: Dataset, keyword: Attribute) -> float | None:
    """The first number of an attribute, or ``None``."""
    values = numbers(dataset, keyword)
    return values[0] if values else None


def integer(dataset: Dataset, keyword: Attribute) -> int | None:
    """The first number of an attribute as an integer, or ``None`` when it is not one."""
    value = number(dataset, keyword)
    return int(value) if value is not None and value == int(value) else None


def items(dataset: Dataset, keyword: Attribute) -> list[Dataset]:
    """The items of a sequence; empty when it is absent or not a sequence."""
    from pydicom.dataset import Dataset as Item

    value = raw(dataset, keyword)
    if value is None or not isinstance(value, Iterable):
        return []
    try:
        return [item for item in value if isinstance(item, Item)]
    except MALFORMED:
        return []


def lookup_tables(dataset: Dataset, sequence: str, *, signed_input: bool) -> tuple[list[LookupTable], int]:
    """The readable tables of a LUT sequence, and how many items of it could not be read.

    Args:
        dataset: where the sequence stands.
        sequence: keyword, such as ``VOILUTSequence``.
        signed_input: whether the values that go into the table can be negative; decides what a first mapped
            value above 32767 means.
    """
    found = [_lookup_table(item, signed_input) for item in items(dataset, sequence)]
    tables = [table for table in found if table is not None]
    return tables, len(found) - len(tables)


def to_uid(value: str) -> UID:
    """A UID without complaint about its form: it came from a file and may be anything."""
    from pydicom import config, uid

    return uid.UID(value, config.IGNORE)


def _lookup_table(item: Dataset, signed_input: bool) -> LookupTable | None:
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    count, first, bits = (int(part) for part in descriptor)
    count = count & 0xFFFF or 65536  # 0 stands for 65536 entries, and a signed reading of it for the same
    if signed_input and first > 32767:
        first -= 65536
    data = _lut_data(item, count)
    if data is None or not 1 <= bits <= 16:
        return None
    return LookupTable(first, bits, data, text(item, "LUTExplanation") or "")


def _lut_data(item: Dataset, count: int) -> np.ndarray[Any, np.dtype[np.uint16]] | None:
    """The entries of a table, from words, from bytes holding words, or from bytes holding 8-bit entries."""
    value = raw(item, "LUTData")
    if value is None:
        return None
    try:
        if isinstance(value, bytes | bytearray):
            big_endian = item.original_encoding[1] is False
            words = np.frombuffer(value, dtype=">u2" if big_endian else "<u2", count=len(value) // 2)
            if len(value) in (count, count + 1) and count > 1:
                words = np.frombuffer(value, dtype=np.uint8)
        else:
            words = np.array(list(value) if _is_multiple(value) else [value], dtype=np.int64) & 0xFFFF
    except MALFORMED:
        return None
    # One padding entry is allowed: values have even length.
    if not count <= words.size <= count + 1:
        return None
    return words[:count].astype(np.uint16)


def _is_multiple(value: Any) -> bool:
    # a person's name can be iterated, letter by letter
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | PersonName)
