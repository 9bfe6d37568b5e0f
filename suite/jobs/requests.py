"""What people ask of jobs: a reading, a training run, to stop one, to try again, to see one sooner."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from suite.errors import InputError
from suite.jobs.database import Database
from suite.jobs.models import Job, JobKind, JobState, QueueName, Study

_OPEN = (JobState.QUEUED, JobState.RUNNING)


def add_job(
    session: Session,
    study_id: str,
    now: float,
    *,
    override_gate: bool = False,
    override_checks: Collection[str] = (),
    queue: QueueName = QueueName.CPU,
) -> str:
    """Insert a queued reading in the caller's transaction, or find the unfinished one that asks for the same.

    Returns:
        The job's id, to be handed to the broker once the transaction is committed.
    """
    # two who ask at once wait for each other at the study's row; SQLite lets one writer in anyway
    session.execute(select(Study.id).where(Study.id == study_id).with_for_update())
    checks = sorted(set(override_checks))
    open_jobs = session.execute(
        select(Job.id, Job.override_checks).where(
            Job.study_id == study_id, Job.override_gate == override_gate, Job.state.in_(_OPEN)
        )
    )
    for open_job, its_checks in open_jobs:  # compared here: PostgreSQL has no equality of JSON
        if override_gate or its_checks == checks:
            return str(open_job)
    job = new_job(JobKind.READING, queue, now)
    job.study_id, job.override_gate, job.override_checks = study_id, override_gate, checks
    session.add(job)
    return job.id


def submit_training(database: Database, kind: JobKind, request: Mapping[str, Any], now: float) -> str:
    """Ask for a training or ablation run.

    Args:
        database: where the job goes.
        kind: ``training`` or ``ablation``.
        request: see :class:`suite.jobs.training.TrainingRequest`.
        now: seconds since 1970.

    Returns:
        The job's id, to be handed to the broker's queue ``train``.
    """
    job = new_job(kind, QueueName.TRAIN, now)
    job.request = dict(request)
    with database.write() as session:
        session.add(job)
        return job.id


def cancel(database: Database, job_id: str, now: float, *, by: str | None = None) -> JobState:
    """Cancel a queued job at once; ask a running one to stop at its next stage, or a training run at once.

    With an ablation the jobs that help it are cancelled.

    Returns:
        The job's state afterwards: ``running`` while its worker has not stopped yet; a finished job stays
        as it is.

    Raises:
        InputError: there is no such job.
    """
    with database.write() as session:
        job = locked(session, job_id)
        if job.state in _OPEN:
            _cancel_helpers(session, job, now, by)
            _cancel(job, now, by)
        return JobState(job.state)


def helpers(session: Session, folder: str) -> list[Job]:
    """Unfinished jobs that train single networks of the ablation in ``folder``."""
    ablations = select(Job).where(Job.kind == JobKind.ABLATION, Job.state.in_(_OPEN)).with_for_update()
    return [job for job in session.scalars(ablations) if _helps(job.request or {}, folder)]


def _helps(request: Mapping[str, Any], folder: str) -> bool:
    return request.get("out") == folder and request.get("options", {}).get("one") is True


def _cancel_helpers(session: Session, job: Job, now: float, by: str | None) -> None:
    """Cancel what helps the ablation ``job``; a helper has none of its own."""
    request = job.request or {}
    folder = request.get("out") or job.id
    if job.kind != JobKind.ABLATION or _helps(request, folder):
        return
    for helper in helpers(session, folder):
        _cancel(helper, now, by)


def _cancel(job: Job, now: float, by: str | None) -> None:
    if job.state == JobState.QUEUED:
        end_cancelled(job, now, by)
    else:
        job.cancel_requested = True


def end_cancelled(job: Job, now: float, by: str | None = None) -> None:
    """Make a job's row a cancelled one."""
    job.state = JobState.CANCELLED.value
    job.lease_owner = job.lease_expires_at = None
    job.finished_at = now
    job.error = f"Cancelled{f' by {by}' if by else ''} before it was finished; ask for it again when wanted."


def retry(database: Database, job_id: str, now: float) -> tuple[str, QueueName]:
    """Ask again for what a failed, cancelled or dead job asked for, as a new job.

    Stages whose results were kept are not run again. To have every stage run again, drop them first:
    :meth:`suite.jobs.stage_results.StageResults.forget`.

    Returns:
        The new job's id (or that of one already under way) and the queue to hand it to.

    Raises:
        InputError: there is no such job, or it is not one that ended without a result.
    """
    with database.write() as session:
        old = locked(session, job_id)
        if not JobState(old.state).may_be_retried:
            raise InputError(f"Job {job_id} is {old.state}; only failed, cancelled or dead jobs are retried.")
        queue = QueueName(old.queue)
        if old.study_id is not None:
            new_id = add_job(
                session,
                old.study_id,
                now,
                override_gate=old.override_gate,
                override_checks=old.override_checks,
                queue=queue,
            )
            _raise(session, new_id, old.priority, old.priority_reason)
            return new_id, queue
        job = new_job(JobKind(old.kind), queue, now)
        before = old.request or {}
        job.request = {**before, "out": before.get("out") or old.id, "resume": True}
        session.add(job)
        return job.id, queue


def raise_priority(database: Database, job_id: str, priority: float, reason: str) -> bool:
    """Raise a job's priority; ``False`` if it was as high already. It is never lowered."""
    with database.write() as session:
        return _raise(session, job_id, priority, reason)


def queue_of(database: Database, job_id: str) -> QueueName | None:
    """The queue a job belongs to, or ``None`` if there is no such job."""
    with database.read() as session:
        found = session.scalar(select(Job.queue).where(Job.id == job_id))
        return None if found is None else QueueName(found)


def locked(session: Session, job_id: str) -> Job:
    """The job's row, which nobody else changes until this transaction ends.

    Raises:
        InputError: there is no such job.
    """
    job = session.scalars(select(Job).where(Job.id == job_id).with_for_update()).one_or_none()
    if job is None:
        raise InputError(f"There is no job {job_id[:64]}; look up its id in the list of jobs.")
    return job


def oldest_waiting_seconds(session: Session, now: float) -> float | None:
    """How long the oldest queued reading has waited while none runs; ``None`` when work goes on."""
    readings = Job.kind == JobKind.READING
    if session.scalar(select(func.count()).select_from(Job).where(readings, Job.state == JobState.RUNNING)):
        return None
    oldest = session.scalar(select(func.min(Job.created_at)).where(readings, Job.state == JobState.QUEUED))
    return None if oldest is None else max(0.0, now - oldest)


def new_job(kind: JobKind, queue: QueueName, now: float) -> Job:
    """A queued job's row, not yet in the database."""
    return Job(
        id=uuid.uuid4().hex,
        kind=kind.value,
        queue=queue.value,
        state=JobState.QUEUED.value,
        override_gate=False,
        override_checks=[],
        priority=0.0,
        cancel_requested=False,
        attempts=0,
        created_at=now,
        enqueued_at=now,
    )


def _raise(session: Session, job_id: str, priority: float, reason: str | None) -> bool:
    raised = update(Job).where(Job.id == job_id, Job.priority < priority)
    result = session.execute(raised.values(priority=priority, priority_reason=reason and reason[:500]))
    return bool(getattr(result, "rowcount", 0))
