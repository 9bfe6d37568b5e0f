"""The rows everything else is derived from: studies, the jobs that read them, the stages a job went through.

Times are seconds since 1970 (UTC) as double precision: they compare the same in every database, and a test
can inject its own clock. Tables change by migration only (``suite/jobs/migrations``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import Double


class JobState(StrEnum):
    """``queued`` → ``running`` → ``done`` or ``failed``; an expired lease leads back to ``queued``."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED)


class StageState(StrEnum):
    """How far one stage of one attempt came."""

    STARTED = "started"
    FINISHED = "finished"


class Base(DeclarativeBase):
    """Common registry of all tables."""

    type_annotation_map = {float: Double(), dict[str, Any]: JSON()}  # noqa: RUF012 -- read by SQLAlchemy as it is


class Study(Base):
    """One study as it was handed in: its films' files in the store and the names they came with.

    Attributes:
        id: safe folder name; unique.
        paired_by_hand: the user named the lateral; headers did not.
        content_sha256: over the films' bytes and their roles: the same films again are the same study.
        frontal_file, lateral_file: names inside the study's ``source`` folder.
        frontal_name, lateral_name: names the files came with; shown, never used as a path.
    """

    __tablename__ = "study"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    content_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    frontal_file: Mapped[str | None] = mapped_column(String(64))
    lateral_file: Mapped[str | None] = mapped_column(String(64))
    frontal_name: Mapped[str | None] = mapped_column(String(255))
    lateral_name: Mapped[str | None] = mapped_column(String(255))
    paired_by_hand: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[float] = mapped_column(index=True)

    jobs: Mapped[list[Job]] = relationship(
        back_populates="study", order_by="Job.created_at, Job.id", cascade="all, delete-orphan"
    )


class Job(Base):
    """One request to read a study. This row is the truth; the message queue only carries its id.

    Attributes:
        attempts: how often a worker began it.
        lease_owner: the worker that holds it (see :mod:`suite.jobs.identity`), while running.
        lease_expires_at: when it may be taken away from that worker.
        enqueued_at: when its id was last handed to the broker.
        error: the sentence a reader sees when it failed.
        reading: folder of its result inside the study's ``readings``, once done.
        summary: the few numbers of the report that lists show (:mod:`suite.jobs.summary`).
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="job_state_known"),
        Index("job_state_enqueued", "state", "enqueued_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED.value)
    override_gate: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float]
    enqueued_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(String(2000))
    reading: Mapped[str | None] = mapped_column(String(128))
    summary: Mapped[dict[str, Any] | None]

    study: Mapped[Study] = relationship(back_populates="jobs")
    stage_runs: Mapped[list[StageRun]] = relationship(
        back_populates="job", order_by="StageRun.id", cascade="all, delete-orphan"
    )


class StageRun(Base):
    """One stage of one attempt at a job: the progress that pages show."""

    __tablename__ = "stage_run"
    __table_args__ = (UniqueConstraint("job_id", "attempt", "stage", name="stage_run_once"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    stage: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[float]
    finished_at: Mapped[float | None]

    job: Mapped[Job] = relationship(back_populates="stage_runs")
