"""Where results are sent, and what is still to be sent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from suite.jobs.models.base import Base


class Node(Base):
    """Another system: a PACS that takes DIMSE associations, or one that takes STOW-RS.

    Attributes:
        kind: ``dimse`` (``ae_title``, ``host``, ``port``) or ``stow`` (``url``).
        tls: whether the connection is encrypted (DIMSE; a URL says it itself).
        rules: which results go there.
    """

    __tablename__ = "node"
    __table_args__ = (CheckConstraint("kind IN ('dimse', 'stow')", name="node_kind_known"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    ae_title: Mapped[str | None] = mapped_column(String(16))
    host: Mapped[str | None] = mapped_column(String(255))
    port: Mapped[int | None]
    url: Mapped[str | None] = mapped_column(String(1000))
    tls: Mapped[bool] = mapped_column(default=False)
    rules: Mapped[dict[str, Any]]
    enabled: Mapped[bool] = mapped_column(default=True)


class Outgoing(Base):
    """The outbox: one result on its way to one node; kept until the node has confirmed it.

    Attributes:
        transaction_uid: of the last request for storage commitment that was made of the node.
        committed_at: when the node answered that it keeps all objects.
    """

    __tablename__ = "outgoing"
    __table_args__ = (
        UniqueConstraint("job_id", "node_id", name="outgoing_once"),
        CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed')", name="outgoing_state_known"),
        Index("outgoing_state_next", "state", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[float]
    error: Mapped[str | None] = mapped_column(String(2000))
    created_at: Mapped[float]
    sent_at: Mapped[float | None]
    transaction_uid: Mapped[str | None] = mapped_column(String(64), index=True)
    committed_at: Mapped[float | None]
