"""Zip archives of films, unpacked without trusting anything they say of themselves.

Sizes are counted while bytes come out, not read from headers; names never become paths. An archive that
breaks a limit is refused as a whole: what it holds is not what it claims.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from suite.errors import InputError, TooLargeError, UnreadableFileError
from suite.intake import safe_id
from suite.jobs.submission import Refused, Upload

MAX_MEMBERS = 2_000
MAX_RATIO = 200
"""Deflate reaches at most 1032:1; a 16-bit film with a black border compresses 2 to 20 times."""

RATIO_FREE_BYTES = 1_000_000
"""Small members may be as compressible as they like."""

_CHUNK = 1 << 20
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_NESTED_STARTS = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
)
"""zip, gzip, 7-Zip, RAR, bzip2, xz, Zstandard."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")
_PASSED_OVER = frozenset({"DICOMDIR", "THUMBS.DB", "DESKTOP.INI"})


@dataclass(slots=True)
class Unpacked:
    """What came out of one archive."""

    films: list[Upload] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def is_zip(path: Path) -> bool:
    """Whether the file's content is a zip archive."""
    with path.open("rb") as stream:
        return stream.read(4) in _ZIP_STARTS


def unpack(archive: Path, name: str, folder: Path, *, max_bytes: int) -> Unpacked:
    """Unpack the files of an archive into a new folder, under numbers.

    Directories, hidden files, DICOMDIR and what operating systems add are passed over. A member that is
    encrypted, a link, an archive itself, or whose name leads elsewhere, is refused on its own.

    Args:
        archive: the zip file.
        name: what it is called in messages.
        folder: made here; the caller removes it.
        max_bytes: all members together, unpacked.

    Raises:
        UnreadableFileError: it is damaged.
        TooLargeError: too many members, too many bytes, or more compressed than films are.
    """
    found = Unpacked()
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            _unpack_members(opened, name, folder, max_bytes, found)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UnreadableFileError(
            f"{name}: is no sound zip archive ({type(error).__name__}); make it again, with deflate."
        ) from error
    return found


def _unpack_members(
    opened: zipfile.ZipFile, name: str, folder: Path, max_bytes: int, found: Unpacked
) -> None:
    members = opened.infolist()
    if len(members) > MAX_MEMBERS:
        raise TooLargeError(
            f"{name}: holds {len(members)} files and {MAX_MEMBERS} are taken at once; split it."
        )
    left = max_bytes
    for index, member in enumerate(_wanted(members)):
        try:
            _check_member(member)
            target = folder / str(index) / _safe_name(member)
            left -= _extract(opened, member, target, left, name, max_bytes)
            found.films.append(Upload(target, _shown(member)))
        except _MemberError as error:
            found.refused.append(Refused(_shown(member), f"{_shown(member)}: {error}"))


class _MemberError(InputError):
    """One member is not taken."""


def _wanted(members: list[zipfile.ZipInfo]) -> Iterator[zipfile.ZipInfo]:
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
        if member.is_dir() or hidden or "__MACOSX" in parts:
            continue
        if parts and parts[-1].upper() not in _PASSED_OVER:
            yield member


def _check_member(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise _MemberError("its name leads out of the archive; pack the films again.")
    if member.flag_bits & 0x1:
        raise _MemberError("it is encrypted; pack it without a password.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _MemberError("it is a link, not a file; pack the film itself.")


def _extract(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, name: str, max_bytes: int
) -> int:
    """Write one member; gives its size."""
    target.parent.mkdir()
    written = 0
    allowed = max(RATIO_FREE_BYTES, member.compress_size * MAX_RATIO)
    with opened.open(member) as source, target.open("xb") as stream:
        while chunk := source.read(_CHUNK):
            if written == 0 and chunk.startswith(_NESTED_STARTS):
                raise _MemberError("it is an archive inside the archive; unpack it and hand in its films.")
            written += len(chunk)
            if written > left:
                raise TooLargeError(
                    f"{name}: unpacks to more than {max_bytes // 1_000_000} MB; split it into several."
                )
            if written > allowed:
                raise TooLargeError(
                    f"{name}: unpacks to more than {MAX_RATIO} times its size, which films do not; hand in "
                    "the films themselves."
                )
            stream.write(chunk)
    return written


def _shown(member: zipfile.ZipInfo) -> str:
    """The member's own name, for people to read."""
    text = "".join(character for character in member.filename if character.isprintable())
    return text[-200:] or "film"


def _safe_name(member: zipfile.ZipInfo) -> str:
    """A harmless file name that keeps the ending by which readers know pictures."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    return safe_id(path.name) + (path.suffix if _ENDING.fullmatch(path.suffix) else "")
