"""The artifact store: one folder per study, in which everything is whole or absent.

::

    <data>/incoming/<token>/              an upload while it is looked at; removed afterwards
    <data>/studies/<id>/source/           the films as handed in, under safe names
    <data>/studies/<id>/readings/<name>/  report.json and its images, one folder per finished attempt
    <data>/studies/<id>/stages/           results of stages of a reading that is not finished

Files are complete before the row that names them is committed. What a crash leaves is a folder no row names.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from suite.errors import StorageError, UnreadableFileError
from suite.jobs.contracts import Reading
from suite.settings import Settings
from suite.storage import write_bytes

REPORT = "report.json"
STALE_SECONDS = 24 * 3600.0
"""Age at which a staging folder cannot belong to a running upload any more."""

_COPY_CHUNK = 1 << 20
_SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class Store:
    """The folders of all studies below one data folder."""

    def __init__(self, data: Path) -> None:
        self._studies = data / "studies"
        self._incoming = data / "incoming"

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder of its own for one upload, on the same file system as the studies; gone afterwards.

        Raises:
            StorageError: the disk is full or the data folder is not writable.
        """
        folder = self._incoming / secrets.token_hex(8)
        with _disk_errors(folder):
            folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def stage_study(self, staging: Path, films: Mapping[str, Path]) -> tuple[Path, dict[str, str]]:
        """Arrange films (``{"frontal": path, "lateral": path}``) inside a staging folder as a study's folder.

        Returns:
            The folder to hand to :meth:`adopt`, and the film's file names inside its ``source``.
        """
        folder = staging / f"study-{secrets.token_hex(4)}"
        names = {view: view + _suffix(path) for view, path in films.items()}
        with _disk_errors(folder):
            (folder / "source").mkdir(parents=True)
            (folder / "readings").mkdir()
            for view, path in films.items():
                os.link(path, folder / "source" / names[view])
            _sync_folder(folder / "source")
        return folder, names

    def adopt(self, staged: Path, study_id: str) -> None:
        """Make a staged folder the study's own. Called inside the transaction that inserts the study's row.

        A folder of that name without a row is what a crash left, and is replaced.
        """
        target = self._studies / study_id
        with _disk_errors(target):
            self._studies.mkdir(parents=True, exist_ok=True)
            if target.exists():
                leftover = staged.with_name(f"{staged.name}-leftover")
                target.rename(leftover)
            staged.rename(target)
            _sync_folder(self._studies)

    def set_aside(self, study_id: str) -> Path | None:
        """Take a study's folder out of the way, inside the transaction that removes its row; ``None`` without
        one.

        Films of the same id that are handed in right afterwards get a folder of their own.
        """
        folder, aside = self._studies / study_id, self._incoming / secrets.token_hex(8)
        with _disk_errors(folder):
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                folder.rename(aside)
            except FileNotFoundError:
                return None
        return aside

    def discard(self, aside: Path | None) -> None:
        """Remove what was set aside. What a crash leaves of it goes with the stale staging folders."""
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)

    def source(self, study_id: str, name: str | None) -> Path | None:
        """Path of a film's file, or ``None`` for a view that does not exist."""
        return None if name is None else self._studies / study_id / "source" / name

    def write_reading(self, study_id: str, name: str, reading: Reading) -> str:
        """Write a result under a name of its own; returns the name to put into the job's row."""
        folder = self._studies / study_id / "readings"
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            written = reading.write(folder / name)
            report = written if written.name == REPORT else written / REPORT
            _sync_folder(folder)
        return report.parent.relative_to(folder).as_posix()

    def reading(self, study_id: str, name: str) -> Path:
        """A reading's folder on this machine."""
        return self._studies / study_id / "readings" / name

    def discard_readings(self, study_id: str, prefix: str, keep: str | None = None) -> None:
        """Remove readings whose name starts with ``prefix``, hidden leftovers included, except ``keep``."""
        folder = self._studies / study_id / "readings"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.lstrip(".").startswith(prefix) and path.name != (keep or "").split("/")[0]:
                shutil.rmtree(path, ignore_errors=True)

    def write_stage(self, study_id: str, name: str, content: bytes) -> str:
        """Keep the bytes of a stage's result; returns the path to put into its row."""
        folder = self._studies / study_id / "stages"
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / name, content)
            _sync_folder(folder)
        return f"stages/{name}"

    def read_stage(self, study_id: str, path: str) -> bytes:
        """The bytes of a kept stage result.

        Raises:
            UnreadableFileError: they are not there any more.
        """
        try:
            return (self._studies / study_id / path).read_bytes()
        except OSError as error:
            raise UnreadableFileError(
                f"{study_id}: a kept stage result is gone ({error.strerror}); it is made again."
            ) from error

    def discard_stages(self, study_id: str) -> None:
        """Remove all kept stage results of a study."""
        shutil.rmtree(self._studies / study_id / "stages", ignore_errors=True)

    def report(self, study_id: str, reading: str) -> dict[str, Any]:
        """The report of a reading.

        Raises:
            UnreadableFileError: it is missing or not JSON.
        """
        path = self.file(study_id, reading, REPORT)
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UnreadableFileError(
                f"{study_id}: the stored report cannot be read ({type(error).__name__}); analyse it again."
            ) from error
        if not isinstance(content, dict):
            raise UnreadableFileError(
                f"{study_id}: the stored report is not an object; read the study again."
            )
        return content

    def file(self, study_id: str, reading: str, relative: str) -> Path:
        """Path of a file of a reading.

        Raises:
            UnreadableFileError: ``relative`` leads out of the reading's folder.
        """
        folder = (self._studies / study_id / "readings" / reading).resolve()
        path = (folder / relative).resolve()
        if not path.is_relative_to(folder):
            raise UnreadableFileError(f"{relative}: lies outside the study's folder; read the study again.")
        return path

    def clean(self, now: float | None = None) -> None:
        """Remove staging folders that a crash left behind more than a day ago."""
        limit = (time.time() if now is None else now) - STALE_SECONDS
        for folder in self._incoming.iterdir() if self._incoming.is_dir() else ():
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)


def open_store(settings: Settings) -> Store:
    """The store of an installation: its data folder, or the object store its settings name.

    Raises:
        StorageError: the store's URL cannot be used.
    """
    if settings.store_url is None:
        return Store(settings.data)
    from suite.jobs.remote_store import RemoteStore  # needs this module

    return RemoteStore(settings.data, settings.store_url)


def receive(stream: IO[bytes], path: Path) -> None:
    """Copy an upload's bytes to ``path`` and flush them to the disk.

    Raises:
        StorageError: the disk is full.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            shutil.copyfileobj(stream, target, _COPY_CHUNK)
            target.flush()
            os.fsync(target.fileno())


def _suffix(path: Path) -> str:
    """The file's ending where it is harmless; readers look at the content, people at the ending."""
    suffix = path.suffix.lower()
    return suffix if _SAFE_SUFFIX.fullmatch(suffix) else ""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path.name}: could not be stored ({error.strerror}); free space in the data folder or "
            "check its permissions, then repeat."
        ) from error
