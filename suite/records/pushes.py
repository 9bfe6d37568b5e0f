"""Readings on their way to other systems, as others see them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, select

from suite.errors import NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import Node, Outgoing


@dataclass(frozen=True, slots=True)
class PushRecord:
    """One entry of the outbox. See :class:`suite.jobs.models.Outgoing` for the fields."""

    id: int
    study_id: str
    job_id: str
    node: str
    state: str
    attempts: int
    next_attempt_at: float
    error: str | None
    created_at: float
    sent_at: float | None
    committed_at: float | None


def pushes_of(database: Database, study_id: str) -> list[PushRecord]:
    """Entries of one study, the oldest first."""
    with database.read() as session:
        return [_record(row, name) for row, name in session.execute(_entries(study_id).order_by(Outgoing.id))]


def find_push(
    database: Database,
    study_id: str,
    *,
    push_id: int | None = None,
    job_id: str | None = None,
    node_id: int | None = None,
) -> PushRecord:
    """One entry of a study, by its number, or by what is sent where.

    Raises:
        NotFoundError: there is none.
    """
    wanted = _entries(study_id)
    for column, value in ((Outgoing.id, push_id), (Outgoing.job_id, job_id), (Outgoing.node_id, node_id)):
        if value is not None:
            wanted = wanted.where(column == value)
    with database.read() as session:
        found = session.execute(wanted).first()
        if found is None:
            raise NotFoundError(f"{study_id}: has no such push; list its pushes to see which it has.")
        return _record(*found)


def _entries(study_id: str) -> Select[Outgoing, str]:
    return select(Outgoing, Node.name).join(Node).where(Outgoing.study_id == study_id)


def _record(row: Outgoing, node: str) -> PushRecord:
    return PushRecord(
        row.id,
        row.study_id,
        row.job_id,
        node,
        row.state,
        row.attempts,
        row.next_attempt_at,
        row.error,
        row.created_at,
        row.sent_at,
        row.committed_at,
    )
