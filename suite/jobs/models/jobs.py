"""Jobs, the stages each attempt went through, and the workers that do them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from suite.jobs.models.base import Base

if TYPE_CHECKING:
    from suite.jobs.models.films import Study


class JobState(StrEnum):
    """``queued`` → ``running`` → ``done``, ``failed``, ``cancelled`` or ``dead``; an expired lease leads back
    to ``queued``.

    ``failed``: the job itself said why. ``dead``: its worker stopped so often that it was set aside.
    """

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def is_final(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)

    @property
    def may_be_retried(self) -> bool:
        return self in (JobState.FAILED, JobState.CANCELLED, JobState.DEAD)


class JobKind(StrEnum):
    """What a job asks for."""

    READING = "reading"
    TRAINING = "training"
    ABLATION = "ablation"


class QueueName(StrEnum):
    """Which workers may take a job."""

    CPU = "cpu"
    GPU = "gpu"
    TRAIN = "train"


class StageState(StrEnum):
    """How far one stage of one attempt came."""

    STARTED = "started"
    FINISHED = "finished"


class Job(Base):
    """One request: to read a study, or to train. This row is the truth; the queue only carries its id.

    Attributes:
        study_id: the study to read; ``None`` for training.
        request: what to train (recipe, data, settings); ``None`` for readings.
        override_gate: it is read whatever the gate says.
        override_checks: names of the gate's checks that may fail; in order, each once.
        queue: which workers take it.
        priority: higher goes first in work lists; only ever raised.
        priority_reason: why it was raised, one line.
        attempts: how often a worker began it.
        lease_owner: the worker that holds it (see :mod:`suite.jobs.identity`), while running.
        lease_expires_at: when it may be taken away from that worker.
        enqueued_at: when its id was last handed to the broker.
        cancel_requested: it ends at the next stage boundary.
        error: the sentence a reader sees when it failed, was set aside or cancelled.
        device_fallback: what ran on the CPU because the GPU refused, and why.
        reading: folder of its result inside the study's ``readings``, once done.
        summary: the few numbers of the report that lists show (:mod:`suite.jobs.summary`).
        progress: what a training run last said of itself (step, total, losses).
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'dead')", name="job_state_known"
        ),
        CheckConstraint("kind IN ('reading', 'training', 'ablation')", name="job_kind_known"),
        CheckConstraint("kind <> 'reading' OR study_id IS NOT NULL", name="job_reading_has_study"),
        Index("job_state_enqueued", "state", "enqueued_at"),
        Index("job_priority_created", "priority", "created_at"),
        Index("job_study_state_created", "study_id", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    study_id: Mapped[str | None] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16), default=JobKind.READING.value)
    queue: Mapped[str] = mapped_column(String(16), default=QueueName.CPU.value)
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED.value)
    override_gate: Mapped[bool] = mapped_column(default=False)
    override_checks: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    priority: Mapped[float] = mapped_column(default=0.0)
    priority_reason: Mapped[str | None] = mapped_column(String(500))
    request: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float] = mapped_column(index=True)
    enqueued_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[float | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(String(2000))
    device_fallback: Mapped[str | None] = mapped_column(String(500))
    reading: Mapped[str | None] = mapped_column(String(128))
    summary: Mapped[dict[str, Any] | None]
    progress: Mapped[dict[str, Any] | None]

    study: Mapped[Study | None] = relationship(back_populates="jobs")
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


class Worker(Base):
    """A worker process that is there, or was.

    Attributes:
        identity: as in ``Job.lease_owner``.
        queues: the queues it takes jobs from.
        seen_at: its last sign of life, at least every sweep.
    """

    __tablename__ = "worker"

    identity: Mapped[str] = mapped_column(String(255), primary_key=True)
    queues: Mapped[list[str]]
    device: Mapped[str] = mapped_column(String(16))
    version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[float]
    seen_at: Mapped[float] = mapped_column(index=True)
