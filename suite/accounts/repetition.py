"""Requests that carry an idempotency key: sent twice, done once.

After the IETF draft "The Idempotency-Key HTTP Header Field".
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from suite.errors import ConflictError, InputError
from suite.jobs.database import Database
from suite.jobs.models import IdempotencyKey
from suite.jobs.queue import Clock

KEPT_SECONDS = 24 * 3600.0
STUCK_SECONDS = 900.0
"""A request that is at work for longer was lost with its process; the key may be used again."""


class KeyReusedError(InputError):
    """The key was used for another request."""


class StillAtWorkError(ConflictError):
    """The first request with this key has not been answered yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was answered with."""

    status: int
    body: str


class Repetitions:
    """Keys that were used, and the answers they got."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, owner: str, key: str, request_sha256: str) -> Answer | None:
        """Take a key for a request.

        Returns:
            The earlier answer to this very request; ``None`` when it is the first time, and
            :meth:`finish` or :meth:`forget` must follow.

        Raises:
            KeyReusedError: the key was used for another request.
            StillAtWorkError: the first request is still at work.
        """
        now = self._clock()
        try:
            with self._database.write() as session:
                _remove_old(session, now)
                known = session.scalars(_of(owner, key)).one_or_none()
                if known is None:
                    session.add(
                        IdempotencyKey(owner=owner, key=key, request_sha256=request_sha256, created_at=now)
                    )
                    return None
                return _earlier_answer(known, request_sha256)
        except IntegrityError:  # another process took the key between the look and the insert
            raise StillAtWorkError(_AT_WORK) from None

    def finish(self, owner: str, key: str, answer: Answer) -> None:
        """Keep the answer for later repetitions."""
        with self._database.write() as session:
            row = session.scalars(_of(owner, key)).one_or_none()
            if row is not None:
                row.status, row.body = answer.status, answer.body

    def forget(self, owner: str, key: str) -> None:
        """Give the key back: the request failed in a way that a repetition may change."""
        with self._database.write() as session:
            session.execute(
                delete(IdempotencyKey).where(IdempotencyKey.owner == owner, IdempotencyKey.key == key)
            )


_AT_WORK = "The first request with this Idempotency-Key is still at work; repeat it in a moment."


def _earlier_answer(row: IdempotencyKey, request_sha256: str) -> Answer:
    if row.request_sha256 != request_sha256:
        raise KeyReusedError(
            "This Idempotency-Key was used for another request; take a new key for each new request."
        )
    if row.status is None:
        raise StillAtWorkError(_AT_WORK)
    return Answer(row.status, row.body or "")


def _of(owner: str, key: str) -> Select[IdempotencyKey]:
    return select(IdempotencyKey).where(IdempotencyKey.owner == owner, IdempotencyKey.key == key)


def _remove_old(session: Session, now: float) -> None:
    session.execute(
        delete(IdempotencyKey).where(
            (IdempotencyKey.created_at < now - KEPT_SECONDS)
            | (IdempotencyKey.status.is_(None) & (IdempotencyKey.created_at < now - STUCK_SECONDS))
        )
    )
