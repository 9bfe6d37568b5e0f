"""What pages and interfaces ask the tables: studies with where their reading stands, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from suite.jobs.database import Database
from suite.jobs.models import Job, JobState, StageRun, Study
from suite.jobs.queue import Clock, oldest_waiting_seconds


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of a job's latest attempt; ``seconds`` once it is finished."""

    name: str
    state: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class JobView:
    """One request to read a study, as it stands."""

    id: str
    state: JobState
    attempts: int
    override_gate: bool
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    reading: str | None
    summary: Mapping[str, Any] | None
    stages: tuple[StageView, ...]

    @property
    def version(self) -> str:
        """Changes whenever something a page shows of this job has changed."""
        finished = sum(stage.state == "finished" for stage in self.stages)
        return f"{self.id[:8]}.{self.state}.{self.attempts}.{len(self.stages)}.{finished}"


@dataclass(frozen=True, slots=True)
class StudyView:
    """One study with its latest job and its latest finished one (which may be the same)."""

    id: str
    frontal_name: str | None
    lateral_name: str | None
    created_at: float
    latest: JobView | None
    done: JobView | None

    @property
    def version(self) -> str:
        """Changes whenever a row of a list must be drawn again."""
        return self.latest.version if self.latest else "none"


class Catalogue:
    """Queries on the studies and their jobs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def studies(self, *, offset: int = 0, limit: int = 50) -> list[StudyView]:
        """Studies, the newest first."""
        wanted = _with_jobs().order_by(Study.created_at.desc(), Study.id).offset(offset).limit(limit)
        with self._database.read() as session:
            return [_study_view(row) for row in session.scalars(wanted)]

    def count(self) -> int:
        """How many studies there are."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Study)) or 0

    def study(self, study_id: str) -> StudyView | None:
        """One study, or ``None``."""
        with self._database.read() as session:
            row = session.scalars(_with_jobs().where(Study.id == study_id)).one_or_none()
            return _study_view(row) if row is not None else None

    def waiting_seconds(self) -> float | None:
        """How long the oldest queued job has waited while none runs; long means that no worker is there."""
        with self._database.read() as session:
            return oldest_waiting_seconds(session, self._clock())


def _with_jobs() -> Any:
    return select(Study).options(selectinload(Study.jobs).selectinload(Job.stage_runs))


def _study_view(row: Study) -> StudyView:
    jobs = [_job_view(job) for job in row.jobs]
    done = [job for job in jobs if job.state is JobState.DONE]
    return StudyView(
        row.id,
        row.frontal_name,
        row.lateral_name,
        row.created_at,
        jobs[-1] if jobs else None,
        done[-1] if done else None,
    )


def _job_view(job: Job) -> JobView:
    runs = [run for run in job.stage_runs if run.attempt == job.attempts]
    return JobView(
        job.id,
        JobState(job.state),
        job.attempts,
        job.override_gate,
        job.created_at,
        job.started_at,
        job.finished_at,
        job.error,
        job.reading,
        job.summary,
        tuple(StageView(run.stage, run.state, _seconds(run)) for run in runs),
    )


def _seconds(run: StageRun) -> float | None:
    return None if run.finished_at is None else run.finished_at - run.started_at
