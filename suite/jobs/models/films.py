"""Studies, their films, what came over the wire, and uploads that are under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from suite.jobs.display_ids import new_display_id
from suite.jobs.models.base import Base

if TYPE_CHECKING:
    from suite.jobs.models.jobs import Job

UID = String(64)
"""A DICOM unique identifier (PS3.5 9.1: at most 64 characters)."""


class Study(Base):
    """One study as it was handed in: its films' files in the store and the names they came with.

    Attributes:
        id: safe folder name; unique. Made of a file's name or a UID, it may name a patient.
        display_id: pseudonym that people see, and that stands in the addresses of pages.
        paired_by_hand: the user named the lateral; headers did not.
        content_sha256: over the films' bytes and their roles: the same films again are the same study.
        frontal_file, lateral_file: names inside the study's ``source`` folder.
        frontal_name, lateral_name: names the files came with; shown, never used as a path.
    """

    __tablename__ = "study"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    display_id: Mapped[str] = mapped_column(String(16), unique=True, default=new_display_id)
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
    views: Mapped[list[View]] = relationship(
        back_populates="study", order_by="View.role", cascade="all, delete-orphan"
    )


class View(Base):
    """One film of a study, with what its header says of it.

    Attributes:
        role: ``frontal`` or ``lateral``.
        file: name inside the study's ``source`` folder.
        sop_instance_uid: not unique: a film may be handed in alone and later again with its lateral, which
            are two studies here.
        rows, columns: pixels.
    """

    __tablename__ = "view"
    __table_args__ = (
        CheckConstraint("role IN ('frontal', 'lateral')", name="view_role_known"),
        UniqueConstraint("study_id", "role", name="view_once"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(16))
    file: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str | None] = mapped_column(UID, index=True)
    series_instance_uid: Mapped[str | None] = mapped_column(UID)
    study_instance_uid: Mapped[str | None] = mapped_column(UID, index=True)
    projection: Mapped[str | None] = mapped_column(String(16))
    rows: Mapped[int | None]
    columns: Mapped[int | None]

    study: Mapped[Study] = relationship(back_populates="views")


class Instance(Base):
    """One DICOM object as it was received, whether or not a study was made of it.

    Attributes:
        file: path below the data folder.
        patient_id_hash: keyed hash of the PatientID, for grouping without naming.
        received_from: application entity title, or who sent it over HTTP.
        attributes: the data set in the DICOM JSON model (PS3.18 F) without bulk data, for QIDO-RS.
        study_id: the study it became part of.
    """

    __tablename__ = "instance"
    __table_args__ = (Index("instance_study_series", "study_instance_uid", "series_instance_uid"),)

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    patient_id_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    file: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[float] = mapped_column(index=True)
    received_from: Mapped[str | None] = mapped_column(String(255))
    attributes: Mapped[dict[str, Any]]
    study_id: Mapped[str | None] = mapped_column(ForeignKey("study.id", ondelete="SET NULL"), index=True)


class Upload(Base):
    """A file that arrives in pieces.

    Attributes:
        id: unguessable.
        owner: the user, or the session, that may go on with it.
        size: bytes announced.
        received: bytes on disk so far.
        sha256: announced by the sender, checked at the end.
        path: below the data folder.
    """

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'complete', 'taken', 'abandoned')", name="upload_state_known"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(128), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    size: Mapped[int | None] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), default="open")
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
