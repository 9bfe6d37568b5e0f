"""The life of a job, as transitions of its row.

Every transition is one UPDATE that names the state it starts from, so two processes cannot both make it. The
broker may lose or repeat messages as it likes: a repeated message finds the job taken, a lost one is found by
:meth:`JobQueue.sweep`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Update, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, JobState, StageRun, StageState
from suite.settings import Settings

Clock = Callable[[], float]
"""Seconds since 1970 (UTC)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job this worker holds: what it needs to work, and to prove that the job is still its own."""

    job_id: str
    study_id: str
    attempt: int
    override_gate: bool
    owner: str


class JobQueue:
    """Reads and moves job rows. Holds no state of its own, so any number of them work side by side."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def submit(self, study_id: str, *, override_gate: bool = False) -> str:
        """Ask for a reading of a study; an unfinished request for the same thing is taken instead of a
        second.

        Returns:
            The job's id, to be handed to the broker after this returned.
        """
        with self._database.write() as session:
            return add_job(session, study_id, self._clock(), override_gate=override_gate)

    def claim(self, job_id: str, worker: WorkerIdentity) -> Claim | None:
        """Take a queued job for this worker; ``None`` when it is taken, finished or unknown."""
        now = self._clock()
        with self._database.write() as session:
            taken = _moved(
                session,
                update(Job)
                .where(Job.id == job_id, Job.state == JobState.QUEUED)
                .values(
                    state=JobState.RUNNING.value,
                    attempts=Job.attempts + 1,
                    started_at=now,
                    lease_owner=str(worker),
                    lease_expires_at=now + self._settings.lease_seconds,
                ),
            )
            if not taken:
                return None
            job = session.get_one(Job, job_id)
            return Claim(job.id, job.study_id or "", job.attempts, job.override_gate, str(worker))

    def beat(self, claim: Claim) -> bool:
        """Extend the lease; ``False`` when the job was taken away."""
        with self._database.write() as session:
            expires = self._clock() + self._settings.lease_seconds
            return _moved(session, _held(claim).values(lease_expires_at=expires))

    def finish(self, claim: Claim, reading: str, summary: Mapping[str, Any]) -> bool:
        """Record the result; ``False`` (and nothing recorded) when the job was taken away meanwhile."""
        values = {"state": JobState.DONE.value, "reading": reading, "summary": dict(summary), "error": None}
        return self._end(claim, values)

    def fail(self, claim: Claim, sentence: str) -> bool:
        """Record a failure that trying again would not change; ``False`` when the job was taken away."""
        return self._end(claim, {"state": JobState.FAILED.value, "error": sentence[:2000]})

    def record_stage(self, claim: Claim, stage: str, state: StageState) -> None:
        """Note that a stage of this attempt started or finished."""
        now = self._clock()
        with self._database.write() as session:
            mine = select(StageRun).where(
                StageRun.job_id == claim.job_id, StageRun.attempt == claim.attempt, StageRun.stage == stage
            )
            run = session.scalars(mine).one_or_none()
            if run is None:
                run = StageRun(job_id=claim.job_id, attempt=claim.attempt, stage=stage, started_at=now)
                session.add(run)
            run.state = state.value
            run.finished_at = now if state is StageState.FINISHED else None

    def sweep(self, worker: WorkerIdentity | None = None) -> list[str]:
        """Put right what died: expired leases, leases of dead processes on this host, lost messages.

        Args:
            worker: who sweeps; knows which processes of its own host are gone. ``None`` looks at leases only.

        Returns:
            Ids of the jobs to hand to the broker again.
        """
        now = self._clock()
        with self._database.write() as session:
            running = session.scalars(select(Job).where(Job.state == JobState.RUNNING)).all()
            again = [job for job in running if self._is_abandoned(job, now, worker)]
            for job in again:
                self._release(job)
            lost = session.scalars(self._lost_messages(now)).all()
            ids = list(dict.fromkeys(job.id for job in (*again, *lost) if job.state == JobState.QUEUED))
            for job in (*again, *lost):
                job.enqueued_at = now
            return ids

    def _is_abandoned(self, job: Job, now: float, worker: WorkerIdentity | None) -> bool:
        if job.lease_expires_at is None or job.lease_expires_at <= now:
            return True
        owner = WorkerIdentity.parse(job.lease_owner or "")
        return worker is not None and owner is not None and worker.knows_dead(owner)

    def _release(self, job: Job) -> None:
        job.lease_owner = job.lease_expires_at = None
        if job.attempts < self._settings.max_attempts:
            job.state = JobState.QUEUED.value
            return
        job.state = JobState.DEAD.value
        job.finished_at = self._clock()
        job.error = (
            f"The worker stopped {job.attempts} times while it read this study, so it was set aside; see the "
            "worker's log, and hand the films in again once the cause is gone."
        )

    def _lost_messages(self, now: float) -> Any:
        # A long queue is no loss: a job waits for its turn. It is lost when nobody works although it is old,
        # or when a job handed over after it was already begun.
        later = aliased(Job)
        overtaken = select(later.id).where(
            later.enqueued_at > Job.enqueued_at,
            later.started_at.is_not(None),
            later.started_at >= later.enqueued_at,
        )
        nobody_works = ~select(later.id).where(later.state == JobState.RUNNING).exists()
        return select(Job).where(
            Job.state == JobState.QUEUED,
            Job.enqueued_at <= now - self._settings.resend_seconds,
            or_(overtaken.exists(), nobody_works),
        )

    def _end(self, claim: Claim, values: dict[str, Any]) -> bool:
        ended = {"finished_at": self._clock(), "lease_owner": None, "lease_expires_at": None}
        with self._database.write() as session:
            return _moved(session, _held(claim).values(**values, **ended))


def add_job(session: Session, study_id: str, now: float, *, override_gate: bool = False) -> str:
    """Insert a queued job in the caller's transaction, or find the unfinished one that asks for the same."""
    open_job = session.scalars(
        select(Job.id).where(
            Job.study_id == study_id,
            Job.override_gate == override_gate,
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
        )
    ).first()
    if open_job is not None:
        return open_job
    job = Job(
        id=uuid.uuid4().hex,
        study_id=study_id,
        state=JobState.QUEUED.value,
        override_gate=override_gate,
        attempts=0,
        created_at=now,
        enqueued_at=now,
    )
    session.add(job)
    return job.id


def oldest_waiting_seconds(session: Session, now: float) -> float | None:
    """How long the oldest queued job has waited while none runs; ``None`` when work goes on."""
    if session.scalar(select(func.count()).select_from(Job).where(Job.state == JobState.RUNNING)):
        return None
    oldest = session.scalar(select(func.min(Job.created_at)).where(Job.state == JobState.QUEUED))
    return None if oldest is None else max(0.0, now - oldest)


def _held(claim: Claim) -> Update:
    """An UPDATE that only touches the job while this claim still holds it."""
    return update(Job).where(
        and_(
            Job.id == claim.job_id,
            Job.state == JobState.RUNNING,
            Job.lease_owner == claim.owner,
            Job.attempts == claim.attempt,
        )
    )


def _moved(session: Session, statement: Update) -> bool:
    result = session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1
