"""Audit events of the wires: who sent, who was rejected, where results went; never a patient identifier."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from suite.errors import StorageError
from suite.jobs.database import Database
from suite.jobs.models import AuditEvent
from suite.jobs.queue import Clock

_log = logging.getLogger(__name__)

Note = Callable[[str, str, str, Mapping[str, Any]], None]
"""Called with an action such as ``instance.received``, the actor (``AET@address``), a subject's id, facts."""


def no_notes(action: str, actor: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Takes notes for nobody."""


def audit_trail(database: Database, clock: Clock = time.time) -> Note:
    """Notes as rows of the audit trail; a database that refuses is logged and stops nobody."""

    def note(action: str, actor: str, subject: str, detail: Mapping[str, Any]) -> None:
        title, _, address = actor.partition("@")
        try:
            with database.write() as session:
                session.add(
                    AuditEvent(
                        at=clock(),
                        actor=title[:128],
                        action=action[:64],
                        subject=subject[:255],
                        detail=dict(detail),
                        address=address[:64] or None,
                    )
                )
        except StorageError as error:
            _log.error("the audit trail could not be written (%s of %s): %s", action, subject, error)

    return note
