"""What can be told of a compressed frame without decoding it: its true size, and whether it is all there."""

from __future__ import annotations

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_END_MARKER = b"\xff\xd9"
_STANDALONE = frozenset({0x01, *range(0xD0, 0xDA)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""JPEG SOF markers, and SOF55 of JPEG-LS; C4, C8 and CC are tables."""


def picture_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 codestream announces; ``None`` for anything else."""
    start = _codestream_start(frame)
    if frame[start : start + 4] == _J2K_START:
        # SIZ: marker, length, capabilities, then far corner and offset of the picture (ISO 15444-1 A.5.1).
        x1, y1, x0, y0 = (int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
        return (y1 - y0, x1 - x0) if x1 > x0 and y1 > y0 else None
    if frame[:2] == _JPEG_START:
        return _jpeg_size(frame)
    return None


def ends_properly(frame: bytes) -> bool:
    """Whether a JPEG-family codestream carries its end marker; true for anything else (RLE, unknown)."""
    start = _codestream_start(frame)
    if frame[:2] != _JPEG_START and frame[start : start + 4] != _J2K_START:
        return True
    # Frames are padded to even length, by some writers with more than one byte.
    return _END_MARKER in frame[-64:]


def _codestream_start(frame: bytes) -> int:
    """Some writers wrap JPEG 2000 in the JP2 file format, which the standard forbids."""
    if frame[:8] != _JP2_SIGNATURE:
        return 0
    return max(frame.find(_J2K_START), 0)


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAME_HEADERS:
            rows = int.from_bytes(frame[at + 5 : at + 7], "big")
            columns = int.from_bytes(frame[at + 7 : at + 9], "big")
            return (rows, columns) if rows and columns else None
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
