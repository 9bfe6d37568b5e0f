"""What pages and interfaces ask the tables: studies with where their reading stands, as frozen values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from suite.jobs.database import Database
from suite.jobs.models import Job, JobKind, JobState, StageRun, Study
from suite.jobs.queue import Clock
from suite.jobs.requests import oldest_waiting_seconds


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of a job's latest attempt; ``seconds`` once it is finished."""

    name: str
    state: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class JobView:
    """One request, as it stands: to read a study, or to train (then there is no study)."""

    id: str
    kind: JobKind
    study_id: str | None
    queue: str
    state: JobState
    attempts: int
    override_gate: bool
    override_checks: tuple[str, ...]
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    reading: str | None
    summary: Mapping[str, Any] | None
    stages: tuple[StageView, ...]
    cancel_requested: bool = False
    priority: float = 0.0
    priority_reason: str | None = None
    device_fallback: str | None = None
    progress: Mapping[str, Any] | None = None

    @property
    def version(self) -> str:
        """Changes whenever something a page shows of this job has changed."""
        finished = sum(stage.state == "finished" for stage in self.stages)
        step = (self.progress or {}).get("step", 0)
        asked = "stop" if self.cancel_requested else "go"
        stages = f"{len(self.stages)}.{finished}.{step}"
        return f"{self.id[:8]}.{self.state}.{self.attempts}.{stages}.{asked}.{self.priority:g}"


@dataclass(frozen=True, slots=True)
class StudyView:
    """One study with its latest job and its latest finished one (which may be the same)."""

    id: str
    frontal_name: str | None
    lateral_name: str | None
    created_at: float
    latest: JobView | None
    done: JobView | None
    display_id: str = ""

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
        wanted = with_jobs().order_by(Study.created_at.desc(), Study.id).offset(offset).limit(limit)
        with self._database.read() as session:
            return [study_view(row) for row in session.scalars(wanted)]

    def count(self) -> int:
        """How many studies there are."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Study)) or 0

    def study(self, study_id: str) -> StudyView | None:
        """One study, or ``None``."""
        with self._database.read() as session:
            row = session.scalars(with_jobs().where(Study.id == study_id)).one_or_none()
            return study_view(row) if row is not None else None

    def named(self, display_id: str) -> str | None:
        """The id of the study with that pseudonym, or ``None``."""
        with self._database.read() as session:
            return session.scalars(select(Study.id).where(Study.display_id == display_id)).one_or_none()

    def display_ids(self, study_ids: Collection[str]) -> dict[str, str]:
        """Pseudonyms by id."""
        wanted = select(Study.id, Study.display_id).where(Study.id.in_(study_ids))
        with self._database.read() as session:
            return {row[0]: row[1] for row in session.execute(wanted)}

    def waiting_seconds(self) -> float | None:
        """How long the oldest queued job has waited while none runs; long means that no worker is there."""
        with self._database.read() as session:
            return oldest_waiting_seconds(session, self._clock())


def with_jobs() -> Any:
    """Studies with everything :func:`study_view` needs."""
    return select(Study).options(selectinload(Study.jobs).selectinload(Job.stage_runs))


def study_view(row: Study) -> StudyView:
    """A study's row, with its jobs and their ``stage_runs`` loaded, as a frozen value."""
    jobs = [job_view(job) for job in row.jobs]
    done = [job for job in jobs if job.state is JobState.DONE]
    return StudyView(
        row.id,
        row.frontal_name,
        row.lateral_name,
        row.created_at,
        jobs[-1] if jobs else None,
        done[-1] if done else None,
        row.display_id,
    )


def job_view(job: Job) -> JobView:
    """A job's row, with its ``stage_runs`` loaded, as a frozen value."""
    runs = [run for run in job.stage_runs if run.attempt == job.attempts]
    return JobView(
        id=job.id,
        kind=JobKind(job.kind),
        study_id=job.study_id,
        queue=job.queue,
        state=JobState(job.state),
        attempts=job.attempts,
        override_gate=job.override_gate,
        override_checks=tuple(job.override_checks),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        error=job.error,
        reading=job.reading,
        summary=job.summary,
        stages=tuple(StageView(run.stage, run.state, _seconds(run)) for run in runs),
        cancel_requested=job.cancel_requested,
        priority=job.priority,
        priority_reason=job.priority_reason,
        device_fallback=job.device_fallback,
        progress=job.progress,
    )


def _seconds(run: StageRun) -> float | None:
    return None if run.finished_at is None else run.finished_at - run.started_at
