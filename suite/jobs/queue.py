"""The life of a job, as transitions of its row.

Every transition is one UPDATE that names the state it starts from, or holds the row's lock, so two processes
cannot both make it. The broker may lose or repeat messages as it likes: a repeated message finds the job
taken, a lost one is found by :meth:`JobQueue.sweep`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import CursorResult, Update, and_, case, select, update
from sqlalchemy.orm import Session

from suite.jobs import sweeping
from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Artifact, Job, JobKind, JobState, QueueName, StageRun, StageState
from suite.jobs.priority import priority_of
from suite.jobs.requests import add_job, helpers, new_job, queue_of
from suite.settings import Settings
from suite.stages.override import check_override, known_checks

Clock = Callable[[], float]
"""Seconds since 1970 (UTC)."""


class Standing(Enum):
    """How a claim stands when its worker looks: go on, stop because somebody asked, or it is lost."""

    MINE = "mine"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job this worker holds: what it needs to work, and to prove that the job is still its own."""

    job_id: str
    kind: JobKind
    study_id: str | None
    attempt: int
    override_gate: bool
    override_checks: tuple[str, ...]
    owner: str
    request: Mapping[str, Any] | None = None

    @property
    def override(self) -> bool | tuple[str, ...]:
        """What of the gate's verdict is overridden: all of it, or the checks that are named."""
        return self.override_gate or self.override_checks or False


class JobQueue:
    """Reads and moves job rows. Holds no state of its own, so any number of them work side by side."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def submit(
        self, study_id: str, *, override_gate: bool = False, override_checks: Collection[str] = ()
    ) -> str:
        """Ask for a reading of a study; an unfinished request for the same thing is taken instead of a
        second.

        Args:
            study_id: the study.
            override_gate: read it whatever the gate says.
            override_checks: names of the gate's checks that it may fail.

        Returns:
            The job's id, to be handed to the broker after this returned.

        Raises:
            InputError: a name is none of the gate's checks; nothing is asked for.
        """
        check_override(override_checks, known_checks())
        queue, now = QueueName(self._settings.reading_queue), self._clock()
        with self._database.write() as session:
            return add_job(
                session,
                study_id,
                now,
                override_gate=override_gate,
                override_checks=override_checks,
                queue=queue,
            )

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
            return Claim(
                job.id,
                JobKind(job.kind),
                job.study_id,
                job.attempts,
                job.override_gate,
                tuple(job.override_checks),
                str(worker),
                job.request,
            )

    def beat(self, claim: Claim) -> Standing:
        """Extend the lease, and see whether to go on."""
        with self._database.write() as session:
            expires = self._clock() + self._settings.lease_seconds
            if not _moved(session, _held(claim).values(lease_expires_at=expires)):
                return Standing.LOST
            return _standing(session, claim)

    def finish(
        self,
        claim: Claim,
        reading: str,
        summary: Mapping[str, Any],
        fallback: str | None = None,
        artifacts: Sequence[Artifact] = (),
    ) -> bool:
        """Record the result; ``False`` (and nothing recorded) when the job was taken away meanwhile.

        Args:
            claim: the job, still held.
            reading: the result's folder.
            summary: what lists show.
            fallback: what ran on the CPU because the GPU refused.
            artifacts: rows of the result's files, recorded together with it.
        """
        priority, reason = priority_of(summary)
        lower = Job.priority < priority  # what it was raised to before, by hand for one, stands
        return self._end(
            claim,
            {
                "priority": case((lower, priority), else_=Job.priority),
                "priority_reason": case((lower, reason), else_=Job.priority_reason),
                "state": JobState.DONE.value,
                "reading": reading,
                "summary": dict(summary),
                "error": None,
                "device_fallback": fallback and fallback[:500],
            },
            artifacts,
        )

    def fail(self, claim: Claim, sentence: str) -> bool:
        """Record a failure that trying again would not change; ``False`` when the job was taken away."""
        return self._end(claim, {"state": JobState.FAILED.value, "error": sentence[:2000]})

    def stop(self, claim: Claim, sentence: str) -> bool:
        """Record that the job ended because somebody cancelled it; ``False`` when it was taken away."""
        return self._end(claim, {"state": JobState.CANCELLED.value, "error": sentence[:2000]})

    def record_stages(self, claim: Claim, changes: Sequence[tuple[str, StageState]]) -> Standing:
        """Note that stages of this attempt started or finished; says whether to go on.

        All in one transaction, because each one waits for the disk. A stage that is not to go on is not noted
        as started.
        """
        now = self._clock()
        with self._database.write() as session:
            standing = _standing(session, claim)
            for stage, state in changes:
                if state is StageState.FINISHED or standing is Standing.MINE:
                    _record_stage(session, claim, stage, state, now)
            return standing

    def record_progress(self, claim: Claim, progress: Mapping[str, Any]) -> Standing:
        """Note how far a training run is; says whether to go on."""
        with self._database.write() as session:
            if not _moved(session, _held(claim).values(progress=dict(progress))):
                return Standing.LOST
            return _standing(session, claim)

    def deal(self, claim: Claim, folder: str, request: Mapping[str, Any], count: int) -> list[str]:
        """Jobs for helpers of an ablation; with those that are under way they are ``count``.

        Args:
            claim: the ablation, still held; nothing is dealt where it is not, or is to end.
            folder: of its results.
            request: what each helper is asked.
            count: networks that others may train.

        Returns:
            Ids of the new jobs, to be handed to the broker.
        """
        with self._database.write() as session:
            session.scalars(select(Job.id).where(Job.id == claim.job_id).with_for_update()).all()
            if _standing(session, claim) is not Standing.MINE:
                return []
            lacking = max(0, count - len(helpers(session, folder)))
            rows = [new_job(claim.kind, QueueName.TRAIN, self._clock()) for _ in range(lacking)]
            for row in rows:
                row.request = dict(request)
            session.add_all(rows)
            return [row.id for row in rows]

    def withdraw(self, folder: str) -> None:
        """Forget helpers of an ablation that has ended which nobody has begun."""
        with self._database.write() as session:
            for job in helpers(session, folder):
                if job.state == JobState.QUEUED and not job.attempts:
                    session.delete(job)

    def sweep(self, worker: WorkerIdentity | None = None) -> list[str]:
        """Put right what died: expired leases, leases of dead processes on this host, lost messages.

        Args:
            worker: who sweeps; knows which processes of its own host are gone. ``None`` looks at leases only.

        Returns:
            Ids of the jobs to hand to the broker again.
        """
        with self._database.write() as session:
            return [job.id for job in sweeping.sweep(session, self._settings, self._clock(), worker)]

    def queue_of(self, job_id: str) -> QueueName | None:
        """The queue a job belongs to, or ``None`` if there is no such job."""
        return queue_of(self._database, job_id)

    def _end(self, claim: Claim, values: dict[str, Any], artifacts: Sequence[Artifact] = ()) -> bool:
        ended = {"finished_at": self._clock(), "lease_owner": None, "lease_expires_at": None}
        with self._database.write() as session:
            if not _moved(session, _held(claim).values(**values, **ended)):
                return False
            session.add_all(artifacts)
            return True


def _record_stage(session: Session, claim: Claim, stage: str, state: StageState, now: float) -> None:
    mine = select(StageRun).where(
        StageRun.job_id == claim.job_id, StageRun.attempt == claim.attempt, StageRun.stage == stage
    )
    run = session.scalars(mine).one_or_none()
    if run is None:
        run = StageRun(job_id=claim.job_id, attempt=claim.attempt, stage=stage, started_at=now)
        session.add(run)
    run.state = state.value
    run.finished_at = now if state is StageState.FINISHED else None


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


def _standing(session: Session, claim: Claim) -> Standing:
    row = session.execute(
        select(Job.state, Job.lease_owner, Job.attempts, Job.cancel_requested).where(Job.id == claim.job_id)
    ).one_or_none()
    if row is None or row[:3] != (JobState.RUNNING.value, claim.owner, claim.attempt):
        return Standing.LOST
    return Standing.CANCELLED if row.cancel_requested else Standing.MINE


def _moved(session: Session, statement: Update) -> bool:
    result = session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1
