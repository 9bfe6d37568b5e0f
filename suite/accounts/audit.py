"""The audit trail: who did what to what, and when. Lines are added and never changed.

A line names ids, never what a film shows or whom: no patient's name or number, no free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from suite.accounts.principal import Principal
from suite.jobs.database import Database
from suite.jobs.models import AuditEvent
from suite.jobs.queue import Clock

MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the trail."""

    id: int
    at: float
    actor: str
    action: str
    subject: str | None
    detail: Mapping[str, Any] | None
    address: str | None


class AuditTrail:
    """Writes and reads the trail."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self,
        principal: Principal | str,
        action: str,
        subject: str | None = None,
        *,
        detail: Mapping[str, Any] | None = None,
        address: str | None = None,
    ) -> None:
        """Add a line.

        Args:
            principal: who did it; a string for parts of the service itself (``system``, an AE title).
            action: ``noun.verb``, such as ``study.deleted``.
            subject: id of what it was done to.
            detail: codes and counts, no free text.
        """
        with self._database.write() as session:
            self.add(session, principal, action, subject, detail=detail, address=address)

    def add(
        self,
        session: Session,
        principal: Principal | str,
        action: str,
        subject: str | None = None,
        *,
        detail: Mapping[str, Any] | None = None,
        address: str | None = None,
    ) -> None:
        """Add a line in the caller's transaction: it is there exactly when the change is."""
        session.add(
            AuditEvent(
                at=self._clock(),
                actor=principal if isinstance(principal, str) else principal.name,
                action=action,
                subject=subject[:MAX_SUBJECT] if subject is not None else None,
                detail=dict(detail) if detail else None,
                address=address,
            )
        )

    def lines(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        actor: str | None = None,
        subject: str | None = None,
    ) -> list[AuditLine]:
        """The trail, the latest line first, beginning before line ``before``."""
        wanted = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AuditEvent.id < before)
        if actor is not None:
            wanted = wanted.where(AuditEvent.actor == actor)
        if subject is not None:
            wanted = wanted.where(AuditEvent.subject == subject)
        with self._database.read() as session:
            return [
                AuditLine(row.id, row.at, row.actor, row.action, row.subject, row.detail, row.address)
                for row in session.scalars(wanted)
            ]
