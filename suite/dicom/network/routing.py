"""From finished readings to the outbox: each node's rules decide, once for each reading."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from suite.dicom.network.nodes import KnownNode, Nodes
from suite.dicom.network.result_objects import ResultObjects
from suite.errors import InputError, SuiteError
from suite.jobs.database import Database
from suite.jobs.models import Job, JobState, Outgoing
from suite.jobs.queue import Clock
from suite.storage import write_text

_log = logging.getLogger(__name__)

OVERLAP_SECONDS = 600.0
"""Readings that ended so shortly before the last look are looked at again: clocks differ between machines."""


class Router:
    """Looks for readings that were finished since the last look.

    A node that is added later gets what is finished from then on; a process that was stopped goes on where it
    was, because the time of the last look is kept in the data folder.
    """

    def __init__(
        self,
        database: Database,
        objects: ResultObjects,
        data: Path,
        *,
        make_all: bool = False,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._nodes = Nodes(database)
        self._objects = objects
        self._mark = data / "routed"
        self._make_all = make_all
        self._clock = clock
        self._settled: set[str] = set()

    def run_once(self) -> int:
        """Enqueue what the rules ask for; gives how many entries were made.

        Raises:
            StorageError: the disk or the database refused.
        """
        now = self._clock()
        since = self._last_look(now)
        nodes = [node for node in self._nodes.all() if node.enabled]
        finished = self._finished(since - OVERLAP_SECONDS) if nodes or self._make_all else []
        made = 0
        self._settled &= set(finished)
        for job_id in finished:
            if job_id not in self._settled:
                made += self._route(job_id, nodes)
                self._settled.add(job_id)
        if now - since >= OVERLAP_SECONDS / 10:
            write_text(self._mark, f"{now:.3f}")
        return made

    def _last_look(self, now: float) -> float:
        try:
            return float(self._mark.read_text())
        except (OSError, ValueError):
            write_text(self._mark, f"{now:.3f}")
            return now

    def _finished(self, since: float) -> list[str]:
        done = (
            select(Job.id)
            .where(Job.state == JobState.DONE, Job.kind == "reading", Job.finished_at >= since)
            .order_by(Job.finished_at)
        )
        with self._database.read() as session:
            return list(session.scalars(done))

    def _route(self, job_id: str, nodes: list[KnownNode]) -> int:
        with self._database.read() as session:
            job = session.get(Job, job_id)
        if job is None or job.study_id is None or job.reading is None:
            return 0
        try:
            if self._make_all:
                self._objects.of_job(job_id)
            report = self._objects.store.report(job.study_id, job.reading)
        except InputError as error:
            _log.error("results of %s are not sent: %s", job.study_id, error)
            return 0
        wanted = [node for node in nodes if node.rules.match(report)]
        return sum(enqueue(self._database, job_id, node.id, self._clock()) for node in wanted)


def enqueue(database: Database, job_id: str, node_id: int, now: float, *, again: bool = False) -> bool:
    """Put a reading's objects into the outbox for one node, once.

    Args:
        again: also send what was sent, and what was given up.

    Returns:
        Whether there is something new to send.
    """
    with database.write() as session:
        known = session.scalars(
            select(Outgoing).where(Outgoing.job_id == job_id, Outgoing.node_id == node_id)
        ).one_or_none()
        if known is not None:
            if not again or known.state in ("queued", "sending"):
                return False
            known.state, known.attempts, known.next_attempt_at, known.error = "queued", 0, now, None
            return True
        session.add(_row(session, job_id, node_id, now))
        return True


def latest_reading(database: Database, study_id: str) -> str:
    """The number of the latest finished reading of a study.

    Raises:
        InputError: there is no such study, or it has none.
    """
    done = (
        select(Job.id)
        .where(Job.study_id == study_id, Job.state == JobState.DONE, Job.kind == "reading")
        .order_by(Job.finished_at.desc())
    )
    with database.read() as session:
        found = session.scalars(done).first()
    if found is None:
        raise InputError(f"{study_id}: there is no such study with a finished reading in this data folder.")
    return found


def _row(session: Session, job_id: str, node_id: int, now: float) -> Outgoing:
    study_id = session.get_one(Job, job_id).study_id
    if study_id is None:
        raise SuiteError(f"{job_id}: a training has nothing to send; name a reading.")
    return Outgoing(
        study_id=study_id,
        job_id=job_id,
        node_id=node_id,
        state="queued",
        attempts=0,
        next_attempt_at=now,
        created_at=now,
    )
