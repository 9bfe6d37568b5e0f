"""The reading room: who reads which study, and what they wrote."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from suite.jobs.models.base import Base


class WorkItem(Base):
    """Who reads a study, and whether they are done; no row means that nobody has said anything yet.

    Attributes:
        assigned_to, done_by: user names.
    """

    __tablename__ = "work_item"

    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), primary_key=True)
    assigned_to: Mapped[str | None] = mapped_column(String(128))
    done_by: Mapped[str | None] = mapped_column(String(128))
    done_at: Mapped[float | None]
    changed_at: Mapped[float] = mapped_column(index=True)


class WrittenReport(Base):
    """What a person wrote of a study: a draft until it is signed, and not changed from then on.

    Attributes:
        job_id: the reading it was drafted from.
        sections: text by section (:data:`suite.records.written.SECTIONS`).
        version: counts the changes.
        sha256: of the text that was signed, with its reading, signer and time.
    """

    __tablename__ = "written_report"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), unique=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    sections: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(default=1)
    changed_by: Mapped[str] = mapped_column(String(128))
    changed_at: Mapped[float]
    signed_by: Mapped[str | None] = mapped_column(String(128))
    signed_at: Mapped[float | None]
    sha256: Mapped[str | None] = mapped_column(String(64))

    addenda: Mapped[list[Addendum]] = relationship(
        back_populates="report", order_by="Addendum.id", cascade="all, delete-orphan"
    )


class Addendum(Base):
    """Added to a signed report; signed as it is added, and not changed.

    Attributes:
        sha256: of text, signer, time and the digest of what it was added to; ``None`` in addenda that were
            signed before there were digests of them.
    """

    __tablename__ = "addendum"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("written_report.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(Text)
    signed_by: Mapped[str] = mapped_column(String(128))
    signed_at: Mapped[float]
    sha256: Mapped[str | None] = mapped_column(String(64))

    report: Mapped[WrittenReport] = relationship(back_populates="addenda")
