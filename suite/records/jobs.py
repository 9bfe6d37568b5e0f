"""Jobs as others see them, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session, selectinload

from suite.errors import InputError, NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import Job, JobKind, JobState, QueueName


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of a job's latest attempt; ``seconds`` once it is finished."""

    name: str
    state: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as it stands. See :class:`suite.jobs.models.Job` for the fields."""

    id: str
    study_id: str | None
    kind: JobKind
    queue: QueueName
    state: JobState
    override_gate: bool
    override_checks: tuple[str, ...]
    priority: float
    priority_reason: str | None
    attempts: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    error: str | None
    device_fallback: str | None
    reading: str | None
    summary: Mapping[str, Any] | None
    stages: tuple[StageRecord, ...]


def job_record(row: Job) -> JobRecord:
    """The record of a row whose stage runs are loaded."""
    runs = [run for run in row.stage_runs if run.attempt == row.attempts]
    return JobRecord(
        id=row.id,
        study_id=row.study_id,
        kind=JobKind(row.kind),
        queue=QueueName(row.queue),
        state=JobState(row.state),
        override_gate=row.override_gate,
        override_checks=tuple(row.override_checks),
        priority=row.priority,
        priority_reason=row.priority_reason,
        attempts=row.attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested,
        error=row.error,
        device_fallback=row.device_fallback,
        reading=row.reading,
        summary=row.summary,
        stages=tuple(
            StageRecord(
                run.stage, run.state, None if run.finished_at is None else run.finished_at - run.started_at
            )
            for run in runs
        ),
    )


def find_job(database: Database, job_id: str) -> JobRecord:
    """One job.

    Raises:
        NotFoundError: there is none of that id.
    """
    with database.read() as session:
        row = session.scalars(
            select(Job).options(selectinload(Job.stage_runs)).where(Job.id == job_id)
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"{job_id}: there is no such job; look for it in the list of jobs.")
        return job_record(row)


def latest_done(study_id: str) -> Select[Job]:
    """The job of a study's latest finished reading, if any."""
    done = select(Job).where(Job.study_id == study_id, Job.state == JobState.DONE.value)
    return done.order_by(Job.created_at.desc(), Job.id.desc()).limit(1)


def finished_reading(session: Session, study_id: str, job_id: str) -> Job:
    """The job, which made a reading of this study.

    Raises:
        InputError: there is none of that id, it is of another study, or it has not finished.
    """
    job = session.get(Job, job_id)
    if job is None or job.study_id != study_id or job.state != JobState.DONE.value:
        raise InputError(
            "Name the reading this is about, a finished one of this study; load the page or the study again."
        )
    return job


def list_jobs(
    database: Database,
    *,
    states: frozenset[JobState] = frozenset(),
    study_id: str | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[JobRecord]:
    """Jobs, the newest first, beginning behind the one created at ``before[0]`` with the id ``before[1]``."""
    wanted = select(Job).options(selectinload(Job.stage_runs))
    if states:
        wanted = wanted.where(Job.state.in_([state.value for state in states]))
    if study_id is not None:
        wanted = wanted.where(Job.study_id == study_id)
    if before is not None:
        created, job_id = before
        wanted = wanted.where(or_(Job.created_at < created, and_(Job.created_at == created, Job.id < job_id)))
    with database.read() as session:
        rows = session.scalars(wanted.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit))
        return [job_record(row) for row in rows]
