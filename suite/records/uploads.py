"""Files that arrive in pieces, may be interrupted, and go on where they stopped.

The bytes lie in ``<data>/uploads/<id>``; a piece is appended and flushed before its row says so, and what a
crash left behind the row's count is cut off by the next piece.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from suite.accounts.principal import Principal
from suite.errors import ConflictError, NotFoundError, StorageError, TooLargeError
from suite.jobs.database import Database
from suite.jobs.models import Upload
from suite.jobs.queue import Clock

LIFETIME_SECONDS = 24 * 3600.0
MAX_OPEN = 256
"""Unfinished uploads of one sender."""

SPARE_BYTES = 200_000_000
"""Left free on the disk whatever is announced."""

_CHUNK = 1 << 20


class DigestError(ConflictError):
    """The bytes that came are not those that were announced."""


@dataclass(frozen=True, slots=True)
class UploadView:
    """How far one upload is.

    Attributes:
        state: ``open``, ``complete`` (all bytes are here and checked), ``taken`` (became a study or was
            refused), ``abandoned``.
    """

    id: str
    filename: str
    size: int
    received: int
    sha256: str | None
    state: str
    created_at: float
    expires_at: float


class Uploads:
    """All uploads that are under way."""

    def __init__(self, database: Database, data: Path, clock: Clock) -> None:
        self._database = database
        self._data = data
        self._clock = clock

    def create(
        self, by: Principal, filename: str, size: int, sha256: str | None, *, max_bytes: int
    ) -> UploadView:
        """Announce a file.

        Raises:
            TooLargeError: it is larger than is taken, or the sender has too many unfinished ones.
            StorageError: the disk has no room for it.
        """
        if size > max_bytes:
            raise TooLargeError(
                f"{filename}: has {size} bytes and one file may have {max_bytes}; hand in fewer films."
            )
        self.clean()
        upload_id, now = secrets.token_urlsafe(24), self._clock()
        path = self._folder() / upload_id
        if shutil.disk_usage(path.parent).free < size + SPARE_BYTES:
            raise StorageError(f"{filename}: the disk has no room for it; free space in the data folder.")
        path.touch(mode=0o600, exist_ok=False)
        with self._database.write() as session:
            open_ones = select(func.count()).where(Upload.owner == by.owner, Upload.state == "open")
            if (session.scalar(open_ones) or 0) >= MAX_OPEN:
                path.unlink()
                raise TooLargeError(
                    f"{filename}: {MAX_OPEN} uploads are unfinished; finish or remove some of them first."
                )
            row = Upload(
                id=upload_id,
                owner=by.owner,
                filename=filename,
                size=size,
                received=0,
                sha256=sha256,
                path=path.relative_to(self._data).as_posix(),
                state="open" if size else "complete",
                created_at=now,
                expires_at=now + LIFETIME_SECONDS,
            )
            session.add(row)
            return _view(row)

    def get(self, by: Principal, upload_id: str) -> UploadView:
        """One's own upload.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
        """
        with self._database.read() as session:
            return _view(_row(session, by, upload_id))

    def all(self, by: Principal, *, limit: int = 1000) -> list[UploadView]:
        """One's own uploads that are not taken yet, the oldest first."""
        mine = select(Upload).where(Upload.owner == by.owner, Upload.state.in_(("open", "complete")))
        with self._database.read() as session:
            return [_view(row) for row in session.scalars(mine.order_by(Upload.created_at).limit(limit))]

    def append(self, by: Principal, upload_id: str, offset: int, stream: IO[bytes]) -> UploadView:
        """Add a piece at ``offset``; what arrived before an interruption counts.

        Raises:
            NotFoundError: there is no such upload.
            ConflictError: another piece is being written, or the offset is not where the file ends.
            TooLargeError: the piece goes beyond the announced size.
            DigestError: the file is whole, and is not the announced one; it begins anew.
            StorageError: the disk refused.
        """
        with self._database.read() as session:
            before = _view(_row(session, by, upload_id))
        path = self.path(upload_id)
        with _alone(path, upload_id):
            with self._database.read() as session:
                before = _view(_row(session, by, upload_id))
            _check_offset(before, offset)
            received = _append(path, before, stream)
            if received < before.size:
                return self._note(upload_id, received, "open")
            if before.sha256 is not None and _sha256(path) != before.sha256:
                os.truncate(path, 0)
                self._note(upload_id, 0, "open")
                raise DigestError(
                    f"{before.filename}: the bytes that came do not have the announced sha256; send it again "
                    "from offset 0."
                )
            return self._note(upload_id, received, "complete")

    def remove(self, by: Principal, upload_id: str) -> None:
        """Give an upload up.

        Raises:
            NotFoundError: there is no such upload.
        """
        with self._database.write() as session:
            row = _row(session, by, upload_id)
            row.state = "abandoned"
        self.path(upload_id).unlink(missing_ok=True)

    def take(self, by: Principal, upload_id: str, target: Path) -> UploadView:
        """Put a complete file at ``target`` (on the same file system) for the intake to look at.

        Raises:
            NotFoundError: there is no such upload.
            ConflictError: it is not complete.
        """
        view = self.get(by, upload_id)
        if view.state != "complete":
            raise ConflictError(
                f"{view.filename}: {view.received} of {view.size} bytes are here; send the rest first."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.path(upload_id), target)
        return view

    def finish(self, upload_id: str) -> None:
        """Note that a file was looked at; its bytes now belong to a study, or are gone."""
        with self._database.write() as session:
            session.execute(update(Upload).where(Upload.id == upload_id).values(state="taken"))
        self.path(upload_id).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what nobody went on with for a day, and the rows of what is long done."""
        now = self._clock()
        with self._database.write() as session:
            old = list(session.scalars(select(Upload).where(Upload.expires_at < now)))
            for row in old:
                session.delete(row)
            names = [row.id for row in old]
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def path(self, upload_id: str) -> Path:
        """Where the bytes of an upload lie."""
        return self._data / "uploads" / upload_id

    def _folder(self) -> Path:
        folder = self._data / "uploads"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _note(self, upload_id: str, received: int, state: str) -> UploadView:
        with self._database.write() as session:
            row = session.get_one(Upload, upload_id)
            row.received, row.state = received, state
            row.expires_at = self._clock() + LIFETIME_SECONDS
            return _view(row)


@contextmanager
def _alone(path: Path, upload_id: str) -> Iterator[None]:
    """Hold the upload's lock, which ends with the process whatever happens."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        raise NotFoundError(f"Upload {upload_id} is gone; begin a new one.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConflictError(
            f"Upload {upload_id}: another piece is being written; ask for the offset and go on from there."
        ) from None
    finally:
        os.close(descriptor)


def _check_offset(view: UploadView, offset: int) -> None:
    if view.state != "open":
        raise ConflictError(f"{view.filename}: is {view.state} and takes no more bytes; begin a new upload.")
    if offset != view.received:
        raise ConflictError(
            f"{view.filename}: {view.received} bytes are here and the piece begins at {offset}; go on at "
            f"{view.received}."
        )


def _append(path: Path, view: UploadView, stream: IO[bytes]) -> int:
    """Write the piece behind what is there; gives the new size."""
    size = view.received
    try:
        with path.open("r+b") as target:
            target.truncate(size)
            target.seek(size)
            while chunk := _read(stream):
                if size + len(chunk) > view.size:
                    raise TooLargeError(
                        f"{view.filename}: was announced with {view.size} bytes and more came; begin anew."
                    )
                target.write(chunk)
                size += len(chunk)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise StorageError(
            f"{view.filename}: could not be stored ({error.strerror}); free space in the data folder, then "
            "go on with the upload."
        ) from error
    return size


def _read(stream: IO[bytes]) -> bytes:
    """The next bytes; none when the sender went away, which ends the piece and not the upload."""
    try:
        return stream.read(_CHUNK)
    except (ConnectionError, TimeoutError):
        return b""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _row(session: Session, by: Principal, upload_id: str) -> Upload:
    row = session.get(Upload, upload_id)
    if row is None or row.owner != by.owner or row.state == "abandoned":
        raise NotFoundError(f"Upload {upload_id} does not exist; begin a new one.")
    return row


def _view(row: Upload) -> UploadView:
    return UploadView(
        row.id,
        row.filename,
        row.size or 0,
        row.received,
        row.sha256,
        row.state,
        row.created_at,
        row.expires_at,
    )
