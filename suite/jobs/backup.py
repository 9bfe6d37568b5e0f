"""A copy of everything that cannot be computed again: the database, films and readings, the signing key.

The database is copied first, by its own means, so that it is consistent while the service runs; files are
complete before a row names them, so the files copied afterwards hold all that the copied rows name. The queue
is left out: it carries ids only, and jobs that wait are handed out again by their rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy.engine import make_url

from suite.errors import InputError, StorageError
from suite.settings import Settings
from suite.version import __version__

FORMAT = "radsuite.backup/1"
MANIFEST = "manifest.json"
SQLITE, POSTGRESQL = "database.sqlite3", "database.pgdump"
_CHUNK = 1 << 20
_FOLDERS = ("studies",)
_FILES = ("session.key",)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds."""

    files: int
    bytes: int
    version: str
    created_at: float


def backup(settings: Settings, target: Path) -> Summary:
    """Write a backup as one tar file (compressed when its name ends in ``.gz``), whole or not at all.

    Raises:
        StorageError: the disk is full, or the database cannot be dumped.
        InputError: the data folder holds no service, or the target exists.
    """
    if target.exists():
        raise InputError(f"{target}: exists already; choose another name.")
    if settings.database_url is None and not _sqlite_path(settings).is_file():
        raise InputError(f"{settings.data}: holds no service; give its data folder with --data.")
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent or Path()) as scratch:
            summary = _write(settings, partial, Path(scratch), compressed=target.suffix == ".gz")
        partial.replace(target)
    except OSError as error:
        raise StorageError(
            f"{target}: could not be written ({error.strerror or error}); free space or choose another place."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return summary


def _write(settings: Settings, partial: Path, scratch: Path, *, compressed: bool) -> Summary:
    sums: dict[str, str] = {}
    total = 0
    with partial.open("wb") as stream:
        with tarfile.open(fileobj=stream, mode="w:gz" if compressed else "w") as archive:
            for name, path in (_database(settings, scratch), *_files(settings.data)):
                written = _add(archive, name, path)
                if written is None:
                    continue
                sums[name], size = written
                total += size
            manifest = {
                "format": FORMAT,
                "version": __version__,
                "created_at": time.time(),
                "sha256": sums,
            }
            content = json.dumps(manifest, indent=1).encode()
            entry = tarfile.TarInfo(MANIFEST)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
        stream.flush()
        os.fsync(stream.fileno())
    return Summary(len(sums), total, __version__, float(str(manifest["created_at"])))


def _database(settings: Settings, scratch: Path) -> tuple[str, Path]:
    """A consistent copy of the database, and its name in the archive."""
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() == "sqlite":
        copy = scratch / SQLITE
        source = sqlite3.connect(f"file:{_sqlite_path(settings)}?mode=ro", uri=True)
        with _Closing(source), _Closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return SQLITE, copy
    copy = scratch / POSTGRESQL
    _run(["pg_dump", "--format=custom", f"--file={copy}"], settings)
    return POSTGRESQL, copy


class _Closing:
    """sqlite3's own context manager commits and does not close."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _sqlite_path(settings: Settings) -> Path:
    url = make_url(settings.resolved_database_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else Path()


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    """Films and finished readings; temporary names begin with a dot."""
    for name in _FILES:
        if (data / name).is_file():
            yield name, data / name
    for folder in _FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            relative = path.relative_to(data)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), path


def _add(archive: tarfile.TarFile, name: str, path: Path) -> tuple[str, int] | None:
    """Copy one file; ``None`` when it went away meanwhile, as a superseded reading does."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return None
    with stream:
        entry = archive.gettarinfo(arcname=name, fileobj=stream)
        entry.uname = entry.gname = ""
        counted = _Hashed(stream)
        archive.addfile(entry, counted)
        return counted.digest.hexdigest(), entry.size


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self.digest.update(content)
        return content


def restore(settings: Settings, source: Path) -> Summary:
    """Bring a backup back into an empty data folder; everything is checked before anything is put in place.

    Raises:
        InputError: no backup, a damaged one, or a data folder that is in use.
        StorageError: the disk is full, or the database refuses.
    """
    if settings.data.exists() and any(settings.data.iterdir()):
        raise InputError(f"{settings.data}: is not empty; restore into a new folder with --data.")
    parent = settings.data.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{settings.data.name}.", suffix=".tmp", dir=parent))
        try:
            summary = _unpack(source, scratch)
            _place_database(settings, scratch)
            settings.data.mkdir(mode=0o700, exist_ok=True)
            settings.data.rmdir()
            scratch.rename(settings.data)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{settings.data}: could not be restored ({error.strerror or error}); check space and rights."
        ) from error
    return summary


def _unpack(source: Path, folder: Path) -> Summary:
    try:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
        sums = dict(manifest["sha256"])
        if manifest["format"] != FORMAT:
            raise ValueError(manifest["format"])
    except tarfile.ReadError as error:  # its message lists every compression that was tried
        raise InputError(
            f"{source}: is no file of radsuite backup, or a damaged one; take another."
        ) from error
    except (tarfile.TarError, ValueError, KeyError, EOFError, FileNotFoundError, OSError) as error:
        raise InputError(f"{source}: is no whole backup ({error}); take another one.") from error
    (folder / MANIFEST).unlink()
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise InputError(f"{source}: {name} is not as it was backed up; take another backup.")
    size = sum((folder / name).stat().st_size for name in sums)
    return Summary(len(sums), size, str(manifest["version"]), float(manifest["created_at"]))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _place_database(settings: Settings, folder: Path) -> None:
    """Put the database where the settings want it; backends cannot be changed on the way."""
    url = make_url(settings.resolved_database_url)
    sqlite = url.get_backend_name() == "sqlite"
    held = folder / (SQLITE if sqlite else POSTGRESQL)
    if not held.is_file():
        raise InputError(
            "The backup is of another kind of database than RADSUITE_DATABASE_URL names; restore it into "
            "one of its own kind."
        )
    if not sqlite:
        _run(["pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", str(held)], settings)
        held.unlink()
        return
    wanted = _sqlite_path(settings)
    if wanted.is_relative_to(settings.data):
        held.rename(folder / wanted.relative_to(settings.data))
        return
    if wanted.exists():
        raise InputError(f"{wanted}: the database exists already; move it away first.")
    shutil.move(held, wanted)


def _run(command: list[str], settings: Settings) -> None:
    """One of PostgreSQL's programs; the password travels by environment, never on the command line."""
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() != "postgresql":
        raise InputError(f"Databases of the kind {url.get_backend_name()} are backed up by their own means.")
    environment = {
        **os.environ,
        "PGHOST": url.host or str(url.query.get("host", "")),
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database or "",
    }
    extra = [f"--dbname={url.database}"] if command[0] == "pg_restore" else []
    program = shutil.which(command[0])
    if program is None:
        raise StorageError(f"{command[0]} is not installed; install PostgreSQL's client programs.")
    done = subprocess.run(
        [program, *extra, *command[1:]],
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise StorageError(f"{command[0]} failed ({said}); check RADSUITE_DATABASE_URL.")
