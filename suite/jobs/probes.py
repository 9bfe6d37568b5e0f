"""Whether what the service stands on is there: database, broker, store, workers, disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kombu.exceptions import KombuError, OperationalError
from sqlalchemy import text

from suite.errors import SuiteError
from suite.jobs.broker import create_celery
from suite.jobs.database import Database
from suite.jobs.workers import present
from suite.settings import Settings

PATIENCE_SECONDS = 3.0
LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that was looked at. ``detail`` is a sentence without addresses, names or secrets."""

    name: str
    well: bool
    detail: str


def database(opened: Database) -> Probe:
    """A query that needs no table."""
    return _probe("database", lambda: _query(opened))


def broker(settings: Settings) -> Probe:
    """A connection to the broker; the embedded one is a folder that can be written."""
    return _probe("broker", lambda: _connect(settings))


def store(settings: Settings) -> Probe:
    """The data folder can be written, and the object store answers where there is one."""
    return _probe("store", lambda: _write(settings))


def workers(opened: Database, settings: Settings) -> Probe:
    """Somebody gave a sign of life within the last lease."""
    return _probe("workers", lambda: _signs(opened, settings))


def disk(settings: Settings) -> Probe:
    """A gigabyte is free."""
    return _probe("disk", lambda: _space(settings))


def readiness(opened: Database, settings: Settings) -> Iterator[Probe]:
    """All of them."""
    yield database(opened)
    yield broker(settings)
    yield store(settings)
    yield workers(opened, settings)
    yield disk(settings)


def free_bytes(settings: Settings) -> int:
    """Free space where the data folder is, or will be."""
    folder = settings.data
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


class _UnwellError(Exception):
    """Reached, and not as it should be."""


def _probe(name: str, look: Callable[[], str]) -> Probe:
    try:
        return Probe(name, True, look())
    except _UnwellError as error:
        return Probe(name, False, str(error))
    except (SuiteError, KombuError, OperationalError, OSError, ImportError, ValueError) as error:
        return Probe(name, False, f"not reachable ({type(error).__name__})")


def _query(opened: Database) -> str:
    with opened.read() as session:
        session.execute(text("SELECT 1"))
    return "answers"


def _connect(settings: Settings) -> str:
    app = create_celery(settings)
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE_SECONDS)
        kind = connection.transport.driver_type
    if settings.broker_url is None:
        with tempfile.TemporaryFile(dir=settings.data / "queue"):
            return "embedded"
    return str(kind)


def _write(settings: Settings) -> str:
    settings.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.data) as stream:
        stream.write(b"probe")
        stream.flush()
    if settings.store_url is None:
        return "folder can be written"
    from fsspec.core import url_to_fs

    files, root = url_to_fs(settings.store_url)
    files.exists(root)
    return "object store answers"


def _signs(opened: Database, settings: Settings) -> str:
    now = time.time()
    alive = present(opened, settings, now)
    if not alive:
        raise _UnwellError(f"no worker in the last {settings.lease_seconds:g} s; start radsuite worker")
    youngest = max(worker.seen_at for worker in alive)
    return f"{len(alive)} at work, the last sign {max(0.0, now - youngest):.0f} s ago"


def _space(settings: Settings) -> str:
    free = free_bytes(settings)
    if free < LEAST_FREE_BYTES:
        raise _UnwellError(f"{free / 1e9:.1f} GB free are less than {LEAST_FREE_BYTES / 1e9:g} GB")
    return f"{free / 1e9:.0f} GB free"


def clock_is_sane(settings: Settings, now: float) -> bool:
    """Whether the clock is not before the newest file of the data folder, beyond a minute."""
    newest = max((path.stat().st_mtime for path in _top_files(settings.data)), default=0.0)
    return now >= newest - 60.0


def _top_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else iter(())
