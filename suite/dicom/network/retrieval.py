"""Instances of the archive as WADO-RS gives them out: whole, as metadata, as frames (PS3.18 10.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.dicom.apart import decompress
from suite.dicom.attributes import MALFORMED, integer, parser_silenced, text, to_uid
from suite.dicom.pixels import plugin_for
from suite.dicom.reading import read_dataset
from suite.errors import InputError, NotFoundError, UnsupportedPixelsError

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

EXPLICIT = "1.2.840.10008.1.2.1"
PIXEL_DATA = 0x7FE00010
BULK_BYTES = 16_384
"""Longer binary values are given by address."""

FRAME_TYPES = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
"""Media types of compressed frames by transfer syntax (PS3.18 table 8.7.3-5)."""


def syntax_of(path: Path) -> str:
    """The transfer syntax an instance is stored in."""
    dataset = read_dataset(path, path.stem, pixels=False)
    meta = getattr(dataset, "file_meta", None)
    return (text(meta, "TransferSyntaxUID") if meta is not None else None) or "1.2.840.10008.1.2"


def in_syntax(path: Path, wanted: str | None) -> bytes:
    """An instance as a DICOM file: as it is stored, or uncompressed when that is asked for.

    Raises:
        UnsupportedPixelsError: another transfer syntax is wanted, or it cannot be decompressed.
    """
    stored = syntax_of(path)
    if wanted in (None, "*", stored):
        return path.read_bytes()
    if wanted != EXPLICIT:
        raise UnsupportedPixelsError(
            f"It is stored in {to_uid(stored).name} and only given so, or uncompressed."
        )
    dataset = read_dataset(path, path.stem)
    stream = BytesIO()
    try:
        with parser_silenced():
            if to_uid(stored).is_compressed:
                decompress(dataset, plugin_for(stored))
            dataset.file_meta.TransferSyntaxUID = to_uid(EXPLICIT)
            dataset.save_as(stream, implicit_vr=False, little_endian=True, enforce_file_format=True)
    except (*MALFORMED, RuntimeError) as error:
        raise UnsupportedPixelsError("It cannot be decompressed; ask for transfer-syntax=*.") from error
    return stream.getvalue()


def metadata(path: Path, address: Callable[[str], str]) -> dict[str, Any]:
    """A data set in the DICOM JSON model; long binary values by address.

    Args:
        path: the file.
        address: gives the address of a value by its tag.
    """
    dataset = read_dataset(path, path.stem)
    found: dict[str, Any] = {}
    with parser_silenced():
        for tag in sorted(dataset.keys()):
            if tag.group == 0x0002 or tag.element == 0:
                continue
            name = f"{tag:08X}"
            try:
                element = dataset[tag]
                if _is_bulk(element):
                    found[name] = {"vr": element.VR, "BulkDataURI": address(name)}
                else:
                    found[name] = element.to_json_dict(None, 1 << 30)
            except (*MALFORMED, RuntimeError, RecursionError):
                continue
    return found


def _is_bulk(element: DataElement) -> bool:
    """Whether a value is given by its address: pixels always, other bytes when they are many."""
    value = element.value
    return isinstance(value, bytes) and (element.tag == PIXEL_DATA or len(value) > BULK_BYTES)


def bulk_value(path: Path, tag: str) -> bytes:
    """A binary value as it is stored; of encapsulated pixel data all fragments.

    Raises:
        NotFoundError: there is no such binary value.
    """
    dataset = read_dataset(path, path.stem)
    try:
        with parser_silenced():
            value = dataset[int(tag, 16)].value
    except MALFORMED:
        value = None
    if not isinstance(value, bytes):
        raise NotFoundError(f"{tag}: there is no binary value of that tag; look at the metadata.")
    return value


def frames(path: Path, numbers: list[int], *, decoded: bool) -> tuple[list[bytes], str]:
    """Frames by number from 1 on, and their media type.

    Args:
        path: the file.
        numbers: which.
        decoded: uncompressed, or as stored.

    Raises:
        NotFoundError: there is no such frame.
        InputError: they cannot be decoded.
    """
    from pydicom.encaps import get_frame

    dataset = read_dataset(path, path.stem)
    count = integer(dataset, "NumberOfFrames") or 1
    if "PixelData" not in dataset or any(not 1 <= number <= count for number in numbers):
        raise NotFoundError(
            f"{path.stem}: it has {count if 'PixelData' in dataset else 0} frames; ask for those."
        )
    syntax = to_uid(syntax_of(path))
    try:
        with parser_silenced():
            if not syntax.is_encapsulated:
                return [_native(dataset, number - 1) for number in numbers], "application/octet-stream"
            if not decoded:
                content = [
                    get_frame(dataset.PixelData, number - 1, number_of_frames=count) for number in numbers
                ]
                return content, FRAME_TYPES.get(str(syntax), "application/octet-stream")
            decompress(dataset, plugin_for(str(syntax)))
            return [_native(dataset, number - 1) for number in numbers], "application/octet-stream"
    except (*MALFORMED, RuntimeError) as error:
        raise UnsupportedPixelsError("Its frames cannot be taken apart or decompressed.") from error


def _native(dataset: Dataset, index: int) -> bytes:
    sides = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    bits = math.prod(integer(dataset, side) or 1 for side in sides)
    if bits % 8:
        raise InputError(
            "Frames of single bits that do not end at a byte are not given; ask for the instance."
        )
    size = bits // 8
    data: bytes = dataset.PixelData[index * size : (index + 1) * size]
    if len(data) != size:
        raise NotFoundError("The pixel data end before that frame.")
    return data
