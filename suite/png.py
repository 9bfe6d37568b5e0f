"""Whether a PNG file is whole, chunk by chunk: decoders paint what is missing grey and say nothing."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from suite.errors import UnreadableFileError, UnsupportedPixelsError
from suite.study import check_size

_SIGNATURE_BYTES = 8
_MAX_ANCILLARY = 16 << 20
"""Largest chunk that is not picture data; colour profiles and texts are far smaller."""

_BLOCK = 1 << 20


def check_png(path: Path, source: str) -> None:
    """Walk through the chunks of a PNG file, checking its size, its check sums and its end.

    Raises:
        UnreadableFileError: the file breaks off or a check sum is wrong.
        UnsupportedPixelsError: the header announces a size that is not read.
    """
    with path.open("rb") as file:
        file.seek(_SIGNATURE_BYTES)
        first = True
        while True:
            length, kind = _chunk_head(file, source)
            if first != (kind == b"IHDR"):
                raise _damaged(source)
            if kind not in (b"IDAT", b"IHDR") and length > _MAX_ANCILLARY:
                raise UnsupportedPixelsError(
                    f"{source}: it carries {length / 1e6:.0f} MB beside its picture; "
                    "save it again without them."
                )
            body = _checked_body(file, kind, length, source)
            if kind == b"IHDR":
                check_size(int.from_bytes(body[4:8], "big"), int.from_bytes(body[:4], "big"), source)
                first = False
            if kind == b"IEND":
                return


def _chunk_head(file: BinaryIO, source: str) -> tuple[int, bytes]:
    head = file.read(8)
    if len(head) < 8:
        raise _truncated(source)
    return int.from_bytes(head[:4], "big"), head[4:]


def _checked_body(file: BinaryIO, kind: bytes, length: int, source: str) -> bytes:
    """The first bytes of a chunk's body, after its check sum was compared in blocks of bounded size."""
    check = zlib.crc32(kind)
    beginning = b""
    remaining = length
    while remaining:
        block = file.read(min(remaining, _BLOCK))
        if not block:
            raise _truncated(source)
        beginning = beginning or block
        check = zlib.crc32(block, check)
        remaining -= len(block)
    stored = file.read(4)
    if len(stored) < 4:
        raise _truncated(source)
    if int.from_bytes(stored, "big") != check:
        raise _damaged(source)
    return beginning


def _truncated(source: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{source}: the PNG picture breaks off before its end; fetch or export it again."
    )


def _damaged(source: str) -> UnreadableFileError:
    return UnreadableFileError(f"{source}: the PNG picture is damaged; fetch or export it again.")
