"""Opening the database, and bringing its tables to this version."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from suite.errors import InputError, StorageError
from suite.settings import Settings

BUSY_MILLISECONDS = 15_000
"""How long a SQLite writer waits for another one; web, worker and sweeper write a few rows a second."""

_MIGRATION_LOCK = 0x5261644D
"""Any number that no other program takes for its own in the same database."""


class Database:
    """One process's way to the tables. Reading and writing are told apart, because SQLite lets one writer in.

    Raises:
        StorageError: the folder cannot be written or the database refuses.
    """

    def __init__(self, settings: Settings) -> None:
        migrate(settings)
        self._engine = open_engine(settings)
        self._read = sessionmaker(self._engine.execution_options(read_only=True), expire_on_commit=False)
        self._write = sessionmaker(self._engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for queries; never waits for writers."""
        with _translated(), self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction, committed when the block ends without an exception."""
        with _translated(), self._write.begin() as session:
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Full disk, lost connection, lock timeout as StorageError; a value that cannot be kept as InputError."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StorageError(
            f"The database refused ({str(error.orig).splitlines()[0]}); check free disk space and "
            "RADSUITE_DATABASE_URL, then repeat."
        ) from error
    except DataError as error:
        raise InputError(
            f"The database cannot keep a value that was given ({str(error.orig).splitlines()[0]}); "
            "correct it."
        ) from error


def open_engine(settings: Settings, *, changing_tables: bool = False) -> Engine:
    """An engine for the settings' database; SQLite in write-ahead mode with foreign keys enforced.

    Args:
        changing_tables: leave foreign keys alone: SQLite changes a table by copying it and dropping the old
            one, which would take every row along that refers to it.
    """
    url = settings.resolved_database_url
    if not url.startswith("sqlite"):
        return create_engine(_with_driver(url), pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_MILLISECONDS / 1000})
    event.listen(engine, "connect", partial(_prepare_sqlite, foreign_keys=not changing_tables))
    event.listen(engine, "begin", _begin)
    return engine


def _with_driver(url: str) -> str:
    """``postgresql://`` means psycopg 3 here, whatever SQLAlchemy's own choice is."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") and separator else url


def migrate(settings: Settings) -> None:
    """Create or upgrade the tables; safe to call from several processes at once.

    Raises:
        StorageError: the folder cannot be written or the database refuses.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (settings.data / "migrate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _upgrade(settings)
    except OSError as error:
        raise StorageError(
            f"{settings.data}: the data folder cannot be used ({error.strerror}); choose another one "
            "with --data or RADSUITE_DATA."
        ) from error
    except SQLAlchemyError as error:
        raise StorageError(
            f"The database refused ({type(error).__name__}: {str(error).splitlines()[0]}); check "
            "RADSUITE_DATABASE_URL."
        ) from error


def _upgrade(settings: Settings) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = open_engine(settings, changing_tables=True)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # the lock file is this machine's only
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any, *, foreign_keys: bool) -> None:
    # The driver's own transaction handling begins late and would let two claims read the same row first;
    # with it off, _begin decides.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.close()


def _begin(connection: Any) -> None:
    # A read that later writes cannot be upgraded once another writer was faster ("database is locked" at
    # once, whatever the timeout); taking the write lock first turns that into waiting.
    read_only = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
