"""Stages of a running job that other workers may do: rows with a lease of their own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import CursorResult, Update, delete, select, update
from sqlalchemy.orm import Session

from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, OfferState, StageOffer
from suite.jobs.queue import Claim, Clock, Standing
from suite.jobs.sweeping import is_abandoned
from suite.settings import Settings


@dataclass(frozen=True, slots=True)
class OfferClaim:
    """One stage of somebody's job that this worker does."""

    job_id: str
    attempt: int
    stage: str
    study_id: str
    key: str
    owner: str


class StageOffers:
    """Reads and moves offer rows."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, worker: WorkerIdentity) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._worker = worker

    def make(self, claim: Claim, stage: str, key: str) -> bool:
        """Offer a stage; ``False`` if it was offered before."""
        with self._database.write() as session:
            if session.scalar(_row(claim.job_id, claim.attempt, stage)) is not None:
                return False
            session.add(
                StageOffer(
                    job_id=claim.job_id,
                    attempt=claim.attempt,
                    stage=stage,
                    key=key,
                    state=OfferState.OPEN.value,
                    created_at=self._clock(),
                )
            )
            return True

    def take(self, job_id: str, attempt: int, stage: str) -> OfferClaim | None:
        """Take an offer nobody has, or one whose taker died; ``None`` if it is not there to be taken."""
        with self._database.write() as session:
            row = session.scalar(_row(job_id, attempt, stage).with_for_update())
            if row is None or not self._is_free(row):
                return None
            row.state = OfferState.TAKEN.value
            row.lease_owner = str(self._worker)
            row.lease_expires_at = self._clock() + self._settings.lease_seconds
            job = session.get_one(Job, job_id)
            return OfferClaim(job_id, attempt, stage, job.study_id or "", row.key, str(self._worker))

    def state(self, job_id: str, attempt: int, stage: str) -> OfferState | None:
        """How an offer stands, or ``None`` if the stage was not offered; a dead taker's is open again."""
        with self._database.read() as session:
            row = session.scalar(_row(job_id, attempt, stage))
        if row is None:
            return None
        return OfferState.OPEN if self._is_free(row) else OfferState(row.state)

    def beat(self, claim: OfferClaim) -> Standing:
        """Extend the lease of a taken offer."""
        expires = self._clock() + self._settings.lease_seconds
        with self._database.write() as session:
            held = _moved(session, _held(claim).values(lease_expires_at=expires))
        return Standing.MINE if held else Standing.LOST

    def end(self, claim: OfferClaim, error: str | None = None) -> bool:
        """Record that the stage is done, or why it is not; ``False`` when it was taken away meanwhile."""
        state = OfferState.DONE if error is None else OfferState.FAILED
        with self._database.write() as session:
            return _moved(session, _held(claim).values(state=state.value, error=error and error[:2000]))

    def withdraw(self, job_id: str) -> None:
        """Remove the offers of a job that has ended."""
        with self._database.write() as session:
            session.execute(delete(StageOffer).where(StageOffer.job_id == job_id))

    def _is_free(self, row: StageOffer) -> bool:
        if row.state == OfferState.TAKEN:
            return is_abandoned(row, self._clock(), self._worker)
        return row.state == OfferState.OPEN


def _row(job_id: str, attempt: int, stage: str):  # type: ignore[no-untyped-def]
    return select(StageOffer).where(
        StageOffer.job_id == job_id, StageOffer.attempt == attempt, StageOffer.stage == stage
    )


def _held(claim: OfferClaim) -> Update:
    return update(StageOffer).where(
        StageOffer.job_id == claim.job_id,
        StageOffer.attempt == claim.attempt,
        StageOffer.stage == claim.stage,
        StageOffer.state == OfferState.TAKEN,
        StageOffer.lease_owner == claim.owner,
    )


def _moved(session: Session, statement: Update) -> bool:
    result = session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1
