"""The instances themselves: files that are whole or absent, each once, found by their UIDs.

::

    <data>/instances/incoming/<token>.dcm              while it is looked at
    <data>/instances/objects/<xx>/<SOP UID>.dcm        every instance, under the hash of its UID
    <data>/instances/studies/<study UID>/<SOP UID>.dcm the same file (a hard link) in its study
    <data>/instances/results/<study UID>/<SOP UID>.dcm the same for objects this suite made
    <data>/instances/arrivals/<study UID>              something came for this study and was not submitted yet

The files are the truth: taking an instance needs no database, and a listener that was killed goes on where it
was. UIDs were checked (digits and dots), so they are safe as names.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from suite.dicom.attributes import MALFORMED, parser_silenced
from suite.dicom.network.acceptance import Announced, Received, content_sha256, examine, is_uid, with_preamble
from suite.dicom.network.statuses import RefusedInstanceError, Status
from suite.dicom.pixel_layout import read_layout
from suite.dicom.pixels import decode
from suite.errors import InputError, StorageError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_log = logging.getLogger(__name__)

STALE_SECONDS = 3600.0
"""Age at which a file in ``incoming`` cannot be looked at any more."""


class Fate(StrEnum):
    """What became of an instance that was taken."""

    NEW = "new"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Taken:
    """An instance that lies in the archive."""

    received: Received
    fate: Fate
    path: Path


class Archive:
    """All instances below one data folder. Any number of processes may use it at once."""

    def __init__(self, data: Path) -> None:
        root = data / "instances"
        self._incoming = root / "incoming"
        self._objects = root / "objects"
        self._studies = root / "studies"
        self._results = root / "results"
        self._arrivals = root / "arrivals"

    def take(self, content: bytes, announced: Announced | None = None, *, awaited: bool = True) -> Taken:
        """Examine an instance and keep it; what is refused leaves nothing behind.

        Args:
            content: a DICOM file.
            announced: what the sender said it would send.
            awaited: its study is to be handed in once it is quiet; false for a film that was handed in.

        Raises:
            RefusedInstanceError, InputError: it is not taken; nothing was stored.
            StorageError: the disk is full or broken; nothing was stored.
        """
        with self._received(with_preamble(content)) as path:
            received = examine(path, announced)
            if received.is_computed and self.instance(received.instance_uid) is None:
                raise RefusedInstanceError(
                    Status.WRONG_CLASS,
                    "instance: a computed picture is no film to read; send the film itself.",
                )
            final, fate = self._keep(path, received.instance_uid, received.transfer_syntax, received.sha256)
            # What comes back from a PACS may be a result of our own, which is no film to read.
            if self._result(received.study_uid, received.instance_uid) is None:
                self._enlist(final, received.study_uid, fate, awaited=awaited)
            return Taken(received, fate, final)

    def add_result(self, path: Path, study_uid: str, instance_uid: str) -> Path:
        """Keep an object this suite made, in the study it belongs to; made twice, it is kept once.

        Raises:
            StorageError: the disk refused.
        """
        final = self._object(instance_uid)
        with _disk_errors("result"):
            final.parent.mkdir(parents=True, exist_ok=True)
            _link(path, final)
            self._join(final, self._results / study_uid)
        return final

    def find(self, study_uid: str, instance_uid: str) -> Path | None:
        """The file of an instance of a study, received or made here."""
        if not (is_uid(study_uid) and is_uid(instance_uid)):
            return None
        path = self._studies / study_uid / f"{instance_uid}.dcm"
        return path if path.is_file() else self._result(study_uid, instance_uid)

    def instance(self, instance_uid: str) -> Path | None:
        """The file of an instance, whatever its study."""
        path = self._object(instance_uid)
        return path if is_uid(instance_uid) and path.is_file() else None

    def films(self, study_uid: str) -> list[Path]:
        """The files received for a study in a stable order; empty when nothing came for it."""
        return _files(self._studies / study_uid) if is_uid(study_uid) else []

    def results(self, study_uid: str) -> list[Path]:
        """The files of objects this suite made for a study."""
        return _files(self._results / study_uid) if is_uid(study_uid) else []

    def expect(self, study_uid: str) -> None:
        """Have a study submitted again as it stands."""
        with _disk_errors("study"):
            self._arrivals.mkdir(parents=True, exist_ok=True)
            (self._arrivals / study_uid).touch()

    def waiting(self) -> dict[str, float]:
        """Studies for which something came that was not submitted, and when (seconds since 1970)."""
        found = {}
        for marker in self._arrivals.iterdir() if self._arrivals.is_dir() else ():
            try:
                found[marker.name] = marker.stat().st_mtime
            except FileNotFoundError:
                continue
        return {name: when for name, when in found.items() if is_uid(name)}

    def settle(self, study_uid: str, seen: float) -> bool:
        """Note that a study was submitted as it stood at ``seen``; false when more came meanwhile."""
        marker = self._arrivals / study_uid
        try:
            if marker.stat().st_mtime != seen:
                return False
            marker.unlink()
        except FileNotFoundError:
            return True
        return True

    def remove(self, study_uid: str, instance_uid: str) -> None:
        """Remove an instance under all its names; a study without instances vanishes with its last.

        Raises:
            StorageError: the disk refused.
        """
        if not (is_uid(study_uid) and is_uid(instance_uid)):
            return
        with _disk_errors("instance"):
            for folder in (self._studies / study_uid, self._results / study_uid):
                (folder / f"{instance_uid}.dcm").unlink(missing_ok=True)
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            self._object(instance_uid).unlink(missing_ok=True)
            if not self.films(study_uid):
                (self._arrivals / study_uid).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what a crash left in ``incoming``."""
        limit = time.time() - STALE_SECONDS
        for path in self._incoming.iterdir() if self._incoming.is_dir() else ():
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    @contextmanager
    def _received(self, content: bytes) -> Iterator[Path]:
        path = self._incoming / f"{secrets.token_hex(8)}.dcm"
        try:
            with _disk_errors("instance"):
                self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_bytes(content)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, path: Path, instance_uid: str, syntax: str, sha256: str) -> tuple[Path, Fate]:
        """Give the file its name, unless that is taken: then both must be the same."""
        final = self._object(instance_uid)
        with _disk_errors("instance"):
            final.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            if _link(path, final):
                return final, Fate.NEW
            if content_sha256(final, syntax) == sha256 or _same_content(final, path):
                return final, Fate.KNOWN
        raise RefusedInstanceError(
            Status.OTHER_CONTENT,
            "instance: UID known with other content; remove that study here first.",
        )

    def _enlist(self, final: Path, study_uid: str, fate: Fate, *, awaited: bool) -> None:
        """Put an instance into its study. A known one may lack that, if the process died in between."""
        with _disk_errors("instance"):
            joined = self._join(final, self._studies / study_uid)
        if awaited and (joined or fate is Fate.NEW):
            self.expect(study_uid)

    def _result(self, study_uid: str, instance_uid: str) -> Path | None:
        path = self._results / study_uid / f"{instance_uid}.dcm"
        return path if path.is_file() else None

    def _join(self, final: Path, folder: Path) -> bool:
        folder.mkdir(parents=True, exist_ok=True)
        return _link(final, folder / final.name)

    def _object(self, instance_uid: str) -> Path:
        shelf = hashlib.sha256(instance_uid.encode()).hexdigest()[:2]
        return self._objects / shelf / f"{instance_uid}.dcm"


def made_folder(data: Path, job_id: str) -> Path:
    """Where the objects made of a reading lie."""
    return data / "instances" / "made" / job_id


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm")) if folder.is_dir() else []


def _link(path: Path, final: Path) -> bool:
    """Give a file a second name, durably; false when that name is taken."""
    try:
        os.link(path, final)
    except FileExistsError:
        return False
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _same_content(first: Path, second: Path) -> bool:
    """Whether two files of other bytes hold the same data set, as one sent under two transfer syntaxes."""
    from pydicom import dcmread

    try:
        with parser_silenced():
            one, other = dcmread(first), dcmread(second)
            return bool(one == other) or _same_picture(one, other)
    except (*MALFORMED, InputError, RuntimeError, MemoryError, OSError):
        return False


def _same_picture(one: FileDataset, other: FileDataset) -> bool:
    """Whether two data sets differ in nothing but the compression of the same stored values."""
    if one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID:
        return False
    pixels = []
    for dataset in (one, other):
        pixels.append(decode(dataset, read_layout(dataset, "instance"), "instance"))
        del dataset.PixelData
    return bool(one == other) and np.array_equal(pixels[0], pixels[1])


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "error")
        _log.error("an %s could not be stored: %s (%s)", what, error.strerror, code)
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "free space in the data folder" if is_full else "check the data folder's rights and its disk"
        raise StorageError(
            f"{what}: could not be stored ({error.strerror}); {cure}, then send again."
        ) from error
