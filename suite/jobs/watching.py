"""Watching a job: the changes of its rows, as they happen, for a page or a stream of server-sent events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from suite.jobs.catalogue import JobView, job_view
from suite.jobs.database import Database
from suite.jobs.models import Job

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """A job as it stands after something changed.

    Attributes:
        job: its state, stages and, once final, its outcome.
        final: nothing more will come.
    """

    job: JobView
    final: bool

    @property
    def version(self) -> str:
        """Equal versions show the same; serves as the ``id`` of a server-sent event."""
        return self.job.version

    def as_json(self) -> dict[str, Any]:
        """Everything a client shows: ``{"id", "state", "attempts", "stages": [...], ...}``."""
        plain = {**asdict(self.job), "state": str(self.job.state), "kind": str(self.job.kind)}
        return {**plain, "version": self.version, "final": self.final}


def watch(
    database: Database,
    job_id: str,
    *,
    after: str | None = None,
    timeout_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Change | None]:
    """Yield the job now, and again whenever it has changed, until it is final.

    The rows are looked at with a pause that starts at 0.1 s after each change and grows to 2 s while nothing
    happens. Between looks ``None`` is yielded, so that a server can send a comment and notice that the client
    is gone.

    Args:
        database: where the rows are.
        job_id: the job; one that is not there (or is removed meanwhile) ends the stream at once.
        after: version the watcher has already (``Last-Event-ID``): not repeated, unless it is final.
        timeout_seconds: end after this time even if the job is not final.
        sleep, clock: for tests.
    """
    deadline = None if timeout_seconds is None else clock() + timeout_seconds
    seen, pause = after, FIRST_PAUSE_SECONDS
    while True:
        job = _look(database, job_id)
        if job is None:
            return
        final = job.state.is_final
        if job.version != seen or final:
            seen, pause = job.version, FIRST_PAUSE_SECONDS
            yield Change(job, final)
        else:
            yield None
        if final or (deadline is not None and clock() >= deadline):
            return
        sleep(pause)
        pause = min(LONGEST_PAUSE_SECONDS, pause * 1.5)


def _look(database: Database, job_id: str) -> JobView | None:
    wanted = select(Job).where(Job.id == job_id).options(selectinload(Job.stage_runs))
    with database.read() as session:
        row = session.scalars(wanted).one_or_none()
        return None if row is None else job_view(row)
