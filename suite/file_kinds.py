"""What a file is, by its first bytes; names and suffixes lie."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from suite.errors import UnreadableFileError

HEAD_BYTES = 1024

_BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")


class FileKind(StrEnum):
    """Kinds of files that matter to intake."""

    DICOM = "DICOM"
    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    OTHER_PICTURE = "a picture format that is not read"
    ARCHIVE = "an archive"
    PDF = "a PDF document"
    EMPTY = "empty"
    OTHER = "unknown"


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", FileKind.PNG),
    (b"\xff\xd8\xff", FileKind.JPEG),
    (b"II*\x00", FileKind.TIFF),
    (b"MM\x00*", FileKind.TIFF),
    (b"II+\x00", FileKind.TIFF),
    (b"MM\x00+", FileKind.TIFF),
    (b"BM", FileKind.OTHER_PICTURE),
    (b"GIF8", FileKind.OTHER_PICTURE),
    (b"RIFF", FileKind.OTHER_PICTURE),
    (b"\x00\x00\x00\x0cjP  ", FileKind.OTHER_PICTURE),
    (b"\xff\x4f\xff\x51", FileKind.OTHER_PICTURE),
    (b"%PDF", FileKind.PDF),
    (b"PK\x03\x04", FileKind.ARCHIVE),
    (b"\x1f\x8b", FileKind.ARCHIVE),
    (b"7z\xbc\xaf", FileKind.ARCHIVE),
)

PICTURE_KINDS = frozenset({FileKind.PNG, FileKind.JPEG, FileKind.TIFF})

IMAGE_SUFFIXES = frozenset(
    {
        ".dcm",
        ".dicom",
        ".dic",
        ".ima",
        ".png",
        ".jpg",
        ".jpeg",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".webp",
        ".jp2",
    }
)
"""Suffixes by which a file claims to be an image."""


def read_head(path: Path, source: str) -> bytes:
    """The first bytes of a file.

    Raises:
        UnreadableFileError: there is no such file, it cannot be opened, or it is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{source}: there is no such file; check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableFileError(
            f"{source}: cannot be opened ({reason}); check the file and its rights."
        ) from error
    if not head:
        raise UnreadableFileError(f"{source}: the file is empty; fetch or export it again.")
    return head


def file_kind(head: bytes) -> FileKind:
    """What a file is, from its first ``HEAD_BYTES`` bytes."""
    if not head:
        return FileKind.EMPTY
    if head[128:132] == b"DICM":
        return FileKind.DICOM
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    return FileKind.DICOM if _starts_like_dicom(head) else FileKind.OTHER


def _starts_like_dicom(head: bytes) -> bool:
    """Whether a file without preamble begins with an element of group 2 or 8, as old exports do."""
    if len(head) < 8:
        return False
    for order in _BYTE_ORDERS:
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        length = int.from_bytes(head[4:8], order)
        if explicit or length <= 128:
            return True
    return False
