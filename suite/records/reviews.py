"""What readers say of a reading: a finding accepted or rejected, one added, a remark; and taking it back.

Rows are added and never changed, except that taking one back notes when. Where a reading stands is what its
rows add up to: for each finding the latest verdict that was not taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Principal, Role
from suite.errors import ConflictError, InputError, NotFoundError
from suite.findings import CODES
from suite.jobs.database import Database
from suite.jobs.models import Job, Review, Study
from suite.jobs.queue import Clock
from suite.records.jobs import finished_reading, latest_done

MAX_TEXT = 4000
DIAGNOSIS_STAGE = "diagnosis"


class Verdict(StrEnum):
    """``accepted`` and ``rejected`` judge what the network said, ``added`` is what it did not say."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ADDED = "added"
    COMMENT = "comment"


class StaleError(ConflictError):
    """Somebody else has reviewed the study since it was looked at."""


@dataclass(frozen=True, slots=True)
class ReviewView:
    """One thing that was said."""

    id: int
    job_id: str | None
    finding: str | None
    verdict: Verdict
    text: str | None
    user: str
    model_sha256: str | None
    created_at: float
    undone_at: float | None


@dataclass(frozen=True, slots=True)
class ReviewSheet:
    """All that was said of one study, the oldest first.

    Attributes:
        version: changes with every entry and every entry taken back.
    """

    study_id: str
    entries: tuple[ReviewView, ...]

    @property
    def version(self) -> str:
        text = ";".join(f"{entry.id}:{entry.undone_at}" for entry in self.entries)
        return hashlib.sha256(f"{self.study_id};{text}".encode()).hexdigest()[:32]

    @property
    def standing(self) -> Mapping[str, ReviewView]:
        """The verdict that counts, by finding."""
        return {
            entry.finding: entry
            for entry in self.entries
            if entry.finding is not None and entry.verdict is not Verdict.COMMENT and entry.undone_at is None
        }


class Reviews:
    """Reads and adds to the sheets."""

    def __init__(self, database: Database, clock: Clock, trail: AuditTrail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail

    def sheet(self, study_id: str) -> ReviewSheet:
        """Everything said of a study.

        Raises:
            NotFoundError: there is no such study.
        """
        with self._database.read() as session:
            return _sheet(session, study_id)

    def add(
        self,
        study_id: str,
        verdict: Verdict,
        by: Principal,
        *,
        finding: str | None = None,
        text: str | None = None,
        job_id: str | None = None,
        report: Mapping[str, Any] | None = None,
        expected_version: str | None = None,
        address: str | None = None,
    ) -> tuple[ReviewSheet, ReviewView]:
        """Say something of a finished reading of the study.

        Args:
            job_id: the reading; ``None`` for the latest.
            report: of that reading; tells which weights the verdict is about.
            expected_version: only if the sheet has not changed since.

        Returns:
            The sheet as it is now, and the new entry.

        Raises:
            NotFoundError: there is no such study.
            InputError: finding and verdict do not go together, or ``job_id`` is no reading of this study.
            ConflictError: there is no reading to judge yet.
            StaleError: the sheet has another version.
        """
        _check(verdict, finding, text)
        with self._database.write() as session:
            before = _sheet(session, study_id)
            _check_version(before, expected_version)
            if job_id is not None:
                job: Job | None = finished_reading(session, study_id, job_id)
            else:
                job = session.scalars(latest_done(study_id)).first()
            if job is None and verdict is not Verdict.COMMENT:
                raise ConflictError(f"{study_id}: has no reading to judge yet; wait until it is done.")
            row = Review(
                study_id=study_id,
                job_id=job.id if job is not None else None,
                finding=finding,
                verdict=verdict.value,
                text=text,
                user=by.name,
                model_sha256=weights_of(report or {}, DIAGNOSIS_STAGE) if finding else None,
                created_at=self._clock(),
            )
            session.add(row)
            session.flush()
            detail = {"verdict": verdict.value, "finding": finding, "review": row.id}
            self._trail.add(session, by, "review.added", study_id, detail=detail, address=address)
            return _sheet(session, study_id), _view(row)

    def undo(
        self,
        study_id: str,
        review_id: int,
        by: Principal,
        *,
        expected_version: str | None = None,
        address: str | None = None,
    ) -> ReviewSheet:
        """Take an entry back: one's own, or anybody's for an administrator.

        Raises:
            NotFoundError: there is no such study or entry.
            ConflictError: it is somebody else's, or was taken back before.
            StaleError: the sheet has another version.
        """
        with self._database.write() as session:
            _check_version(_sheet(session, study_id), expected_version)
            row = session.get(Review, review_id)
            if row is None or row.study_id != study_id:
                raise NotFoundError(f"{study_id}: has no review {review_id}; load the reviews again.")
            if row.user != by.name and by.role is not Role.ADMIN:
                raise ConflictError(f"Review {review_id} is by {row.user}; ask them to take it back.")
            if row.undone_at is not None:
                raise ConflictError(f"Review {review_id} was taken back before; load the reviews again.")
            row.undone_at = self._clock()
            detail = {"review": review_id, "finding": row.finding}
            self._trail.add(session, by, "review.undone", study_id, detail=detail, address=address)
            session.flush()
            return _sheet(session, study_id)


def weights_of(report: Mapping[str, Any], stage: str) -> str | None:
    """Sha256 of the weights with which a stage made this report."""
    stages: Sequence[Mapping[str, Any]] = (report.get("provenance") or {}).get("stages") or ()
    return next((entry["weights_sha256"] for entry in stages if entry["name"] == stage), None)


def _check(verdict: Verdict, finding: str | None, text: str | None) -> None:
    if finding is not None and finding not in CODES:
        raise InputError(f"{finding!r} is no finding; the findings are {', '.join(CODES)}.")
    if verdict is Verdict.COMMENT and not text:
        raise InputError("A comment needs a text; write one.")
    if verdict is not Verdict.COMMENT and finding is None:
        raise InputError(f"A finding that is {verdict.value} must be named; add its code.")


def _check_version(sheet: ReviewSheet, expected: str | None) -> None:
    if expected is not None and expected != sheet.version:
        raise StaleError(f"{sheet.study_id}: was reviewed meanwhile; load the reviews and look again.")


def _sheet(session: Session, study_id: str) -> ReviewSheet:
    if session.get(Study, study_id) is None:
        raise NotFoundError(f"{study_id}: there is no such study; look for it in the list of studies.")
    rows = session.scalars(select(Review).where(Review.study_id == study_id).order_by(Review.id))
    return ReviewSheet(study_id, tuple(_view(row) for row in rows))


def _view(row: Review) -> ReviewView:
    return ReviewView(
        row.id,
        row.job_id,
        row.finding,
        Verdict(row.verdict),
        row.text,
        row.user,
        row.model_sha256,
        row.created_at,
        row.undone_at,
    )
