"""What comes of jobs: stage results kept for a later attempt, written files, and what people say of them."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from suite.jobs.models.base import Base


class OfferState(StrEnum):
    """``open`` → ``taken`` → ``done`` or ``failed``."""

    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"
    FAILED = "failed"


class StageResult(Base):
    """The kept output of one stage on one study, so that a later attempt need not compute it again.

    Attributes:
        key: sha256 over the stage, its weights, its device and the keys of what it built on.
        path: folder below the study's, in the store.
        sha256, bytes: of the file in it.
        seconds, device: of the run that made it, for the report's provenance.
    """

    __tablename__ = "stage_result"
    __table_args__ = (UniqueConstraint("study_id", "stage", "key", name="stage_result_once"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    stage: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    weights_sha256: Mapped[str | None] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    device: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float]


class StageOffer(Base):
    """A stage of a running job that another worker may do meanwhile.

    Attributes:
        key: of the :class:`StageResult` it leads to.
        lease_owner, lease_expires_at: who does it, and until when it must give a sign of life.
    """

    __tablename__ = "stage_offer"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "stage", name="stage_offer_once"),
        CheckConstraint("state IN ('open', 'taken', 'done', 'failed')", name="stage_offer_state_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    stage: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=OfferState.OPEN.value)
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_expires_at: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(String(2000))
    created_at: Mapped[float]


class Artifact(Base):
    """One file of a finished reading.

    Attributes:
        name: as in the report's ``images``, or the kind of DICOM object.
        path: relative to the reading's folder.
    """

    __tablename__ = "artifact"
    __table_args__ = (UniqueConstraint("job_id", "name", name="artifact_once"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(128))
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[float]


class Review(Base):
    """What a person said of a finding.

    Attributes:
        finding: code of :mod:`suite.findings`; ``None`` for a comment on the whole reading.
        user: name of who said it.
        model_sha256: weights of the network the verdict is about.
        undone_at: when it was taken back; rows are never removed.
    """

    __tablename__ = "review"
    __table_args__ = (
        CheckConstraint(
            "verdict IN ('accepted', 'rejected', 'added', 'comment')", name="review_verdict_known"
        ),
        Index("review_study_created", "study_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    finding: Mapped[str | None] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    text: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str] = mapped_column("user_name", String(128))
    model_sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[float]
    undone_at: Mapped[float | None]
