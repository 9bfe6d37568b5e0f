"""Which workers there are: each writes a row when it starts and at every sweep."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Worker
from suite.settings import Settings
from suite.version import __version__

FORGOTTEN_AFTER_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that gave a sign of life not long ago."""

    identity: str
    queues: tuple[str, ...]
    device: str
    version: str
    started_at: float
    seen_at: float


def announce(database: Database, identity: WorkerIdentity, settings: Settings, now: float) -> None:
    """Write this worker's row; rows of workers that have been silent for a day are removed."""
    row = Worker(
        identity=str(identity),
        queues=list(settings.queues),
        device=settings.device,
        version=__version__,
        started_at=now,
        seen_at=now,
    )
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.seen_at < now - FORGOTTEN_AFTER_SECONDS))
        session.merge(row)


def give_sign(database: Database, identity: WorkerIdentity, now: float) -> bool:
    """Note that this worker lives; False where it has no row, and must announce itself (again)."""
    with database.write() as session:
        own = update(Worker).where(Worker.identity == str(identity)).values(seen_at=now)
        return bool(session.connection().execute(own).rowcount)


def take_leave(database: Database, identity: WorkerIdentity) -> None:
    """Remove this worker's row: it ends as it was told to."""
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.identity == str(identity)))


def present(database: Database, settings: Settings, now: float, queue: str | None = None) -> list[WorkerView]:
    """Workers seen within the last lease, those of one queue if it is named."""
    alive = select(Worker).where(Worker.seen_at > now - settings.lease_seconds).order_by(Worker.identity)
    with database.read() as session:
        rows = session.scalars(alive).all()
    return [
        WorkerView(row.identity, tuple(row.queues), row.device, row.version, row.started_at, row.seen_at)
        for row in rows
        if queue is None or queue in row.queues
    ]
