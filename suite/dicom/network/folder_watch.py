"""A folder into which others put films: complete files are taken, and the fate of each is written down.

Names of such files often are names of patients, so the log speaks of a digest; the fates with names stand in
``<data>/watch.csv``, beside the films themselves.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from suite.dicom.network.reception import Reception
from suite.errors import InputError, StorageError, SuiteError
from suite.file_kinds import FileKind, file_kind, read_head
from suite.intake import safe_id
from suite.jobs.queue import Clock
from suite.jobs.store import Store
from suite.jobs.submission import Submission, Upload

_log = logging.getLogger(__name__)

SENDER = "folder"
TAKEN, REFUSED = "taken", "refused"
JOURNAL = "watch.csv"
_UNFINISHED = frozenset({".part", ".partial", ".tmp", ".filepart", ".crdownload"})

_Seen = tuple[str, int, int]
"""Relative path, size and time of change (ns): what tells one state of a file from another."""


class FolderWatch:
    """Looks at a folder; a file is taken when two looks in a row find it unchanged.

    DICOM files wait for the rest of their study as if they came over the network; pictures are handed in one
    by one.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        reception: Reception,
        store: Store,
        submission: Submission,
        *,
        move: bool = False,
        clock: Clock = time.time,
    ) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder to watch; make it or check the path.")
        self._folder = folder
        self._journal = data / JOURNAL
        self._reception = reception
        self._store = store
        self._submission = submission
        self._move = move
        self._clock = clock
        self._before: set[_Seen] = set()
        self._done = set(self._read_journal())

    def look(self) -> dict[str, str]:
        """Take what is complete and new; gives the fate of each file looked into, by its relative path.

        Raises:
            StorageError: the disk or the database refused; the file is looked at again.
        """
        now = set(self._states())
        ready = sorted((now & self._before) - self._done)
        self._before = now
        return {seen[0]: self._handle(seen) for seen in ready}

    def _states(self) -> Iterator[_Seen]:
        for parent, folders, names in os.walk(self._folder):
            folders[:] = [
                name for name in folders if not name.startswith(".") and not self._is_ours(parent, name)
            ]
            for name in names:
                path = Path(parent) / name
                if name.startswith(".") or path.suffix.lower() in _UNFINISHED or path.is_symlink():
                    continue
                try:
                    state = path.stat()
                except OSError:
                    continue
                if state.st_size:
                    relative = path.relative_to(self._folder).as_posix()
                    yield relative, state.st_size, state.st_mtime_ns

    def _is_ours(self, parent: str, name: str) -> bool:
        return self._move and Path(parent) == self._folder and name in (TAKEN, REFUSED)

    def _handle(self, seen: _Seen) -> str:
        path = self._folder / seen[0]
        name = hashlib.sha256(seen[0].encode("utf-8", "replace")).hexdigest()[:12]
        try:
            fate, reason = self._take(path), ""
        except StorageError:
            self._before.discard(seen)
            raise
        except (SuiteError, OSError) as error:
            fate, reason = REFUSED, str(error).replace(str(path), path.name)
        _log.info("file %s of the watched folder: %s", name, fate)
        self._done.add(seen)
        self._write_journal(seen, fate, reason)
        if self._move:
            self._put_away(path, seen[0], TAKEN if fate != REFUSED else REFUSED)
        return fate

    def _take(self, path: Path) -> str:
        """``new``, ``known``; raises what intake raises."""
        if path.stat().st_size > self._reception.max_bytes:
            raise InputError(f"{path.name}: it is larger than is taken here; give the single film.")
        if file_kind(read_head(path, path.name)) is FileKind.DICOM:
            return str(self._reception.take(path.read_bytes(), SENDER).fate)
        with self._store.staging() as staging:
            copy = staging / (safe_id(path.name) + path.suffix.lower())
            shutil.copyfile(path, copy)
            outcome = self._submission.submit(staging, [Upload(copy, path.name)], {})
        for refused in outcome.refused:
            raise InputError(refused.sentence)
        return "new" if any(item.is_new for item in outcome.accepted) else "known"

    def _put_away(self, path: Path, relative: str, folder: str) -> None:
        target = self._folder / folder / relative
        if target.exists():
            target = target.with_name(f"{target.stem}-{time.time_ns()}{target.suffix}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        except OSError as error:
            _log.error("a file of the watched folder could not be moved to %s: %s", folder, error.strerror)

    def _read_journal(self) -> Iterator[_Seen]:
        if not self._journal.is_file():
            return
        with self._journal.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            for row in csv.reader(stream):
                if len(row) == 6 and row[2].isdigit() and row[3].isdigit():
                    yield row[1], int(row[2]), int(row[3])

    def _write_journal(self, seen: _Seen, fate: str, reason: str) -> None:
        """One line: when, relative path, size, time of change, fate, reason."""
        try:
            descriptor = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(descriptor, "w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
                csv.writer(stream).writerow([f"{self._clock():.0f}", *seen, fate, reason])
        except OSError as error:
            _log.error("the watched folder's journal could not be written: %s", error.strerror)
