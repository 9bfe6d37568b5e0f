"""The parts of a ``multipart/related`` request (RFC 2387), one in memory at a time."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from typing import IO

from werkzeug.http import parse_options_header

from web.api.problems import ProblemError

_CHUNK = 1 << 20
_MAX_HEADER = 8192


def parts_of(stream: IO[bytes], content_type: str) -> Iterator[bytes]:
    """The DICOM files in a request's body; the body itself when it is one file.

    Raises:
        ProblemError: 415 for another kind of body, 400 for one whose parts cannot be told apart.
    """
    kind, options = parse_options_header(content_type)
    if kind == "application/dicom":
        yield stream.read()
        return
    if kind != "multipart/related" or options.get("type", "application/dicom") != "application/dicom":
        raise ProblemError(
            415,
            "unsupported-media-type",
            'Send multipart/related; type="application/dicom", or one DICOM file.',
        )
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= 200:
        raise _malformed("its Content-Type names no boundary")
    with tempfile.TemporaryFile() as spool:
        while chunk := stream.read(_CHUNK):
            spool.write(chunk)
        if spool.tell() == 0:
            raise _malformed("it is empty")
        spool.flush()
        with mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) as body:
            yield from _split(body, b"--" + boundary.encode("latin-1", "replace"))


def _split(body: mmap.mmap, marker: bytes) -> Iterator[bytes]:
    at = body.find(marker)
    if at < 0:
        raise _malformed("its boundary does not occur in it")
    while True:
        start = at + len(marker)
        if body[start : start + 2] == b"--":
            return
        head = body.find(b"\r\n\r\n", start, start + _MAX_HEADER)
        end = body.find(b"\r\n" + marker, start)
        if head < 0 or end < 0 or head > end:
            raise _malformed("a part has no end, or no header")
        yield body[head + 4 : end]
        at = end + 2


def _malformed(what: str) -> ProblemError:
    return ProblemError(
        400, "malformed-multipart", f"The request's body is not multipart: {what}; send it again."
    )
