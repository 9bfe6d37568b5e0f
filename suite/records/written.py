"""Reports that people write: a draft until somebody signs it, addenda from then on.

Nothing here signs by itself. A signed text is never changed: its sha256, over text, reading, signer and time,
is kept with it, and is checked whenever the text is shown; so is that of each addendum
(:mod:`suite.records.report_digest`).
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Principal
from suite.errors import ConflictError, InputError, NotFoundError, StorageError
from suite.jobs.database import Database
from suite.jobs.models import Addendum, AuditEvent, Study, WorkItem, WrittenReport
from suite.jobs.queue import Clock
from suite.records.jobs import finished_reading, latest_done
from suite.records.report_digest import SignedAddendum, addenda_digests, digest
from suite.records.report_rules import (
    REQUIRED_TO_SIGN,
    SECTIONS,
    check_signs,
    checked_sections,
    checked_text,
    signer_name,
)
from suite.records.reviews import StaleError
from suite.records.written_views import (
    WrittenView,
    check_unaltered,
    signed_addenda,
    signed_content,
    written_view,
)


class NewerReadingError(ConflictError):
    """A reading finished that whoever signs was not told of."""


ADDED = "report.addendum"
"""What the audit trail calls the signing of an addendum; its line counts them."""


class WrittenReports:
    """All written reports."""

    def __init__(self, database: Database, clock: Clock, trail: AuditTrail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail

    def of(self, study_id: str) -> WrittenView | None:
        """A study's report; ``None`` before there is one.

        Raises:
            StorageError: the signed text, the reading it is of, or an addendum is not what was signed, or an
                addendum is missing.
        """
        with self._database.read() as session:
            row = session.scalars(_with_addenda(study_id)).one_or_none()
            found = written_view(row) if row is not None else None
            if found is not None and found.is_signed:
                _check_unaltered(session, found)
        return found

    def save(
        self,
        study_id: str,
        sections: Mapping[str, str],
        by: Principal,
        *,
        seen_version: int,
        job_id: str | None = None,
        address: str | None = None,
    ) -> WrittenView:
        """Keep a draft.

        Args:
            sections: text by section; sections left out are empty.
            seen_version: of the draft that was changed; 0 for the first.
            job_id: the reading it was written from; ``None`` leaves the one that the draft names.

        Raises:
            NotFoundError: there is no such study.
            InputError: an unknown section, a text that is too long, or no finished reading of this study.
            ConflictError: it is signed; add an addendum.
            StaleError: somebody else changed it meanwhile.
        """
        texts = checked_sections(sections)
        with self._database.write() as session:
            row = _row(session, study_id)
            _check_version(row, seen_version)
            if job_id is not None:
                finished_reading(session, study_id, job_id)
            now = self._clock()
            if row is None:
                row = WrittenReport(study_id=study_id, version=0)
                session.add(row)
            row.sections, row.version = dict(texts), row.version + 1
            row.changed_by, row.changed_at = by.name, now
            row.job_id = job_id if job_id is not None else row.job_id
            detail = {"version": row.version, "job": row.job_id}
            self._trail.add(session, by, "report.drafted", study_id, detail=detail, address=address)
            session.flush()
            return written_view(row)

    def sign(
        self,
        study_id: str,
        by: Principal,
        *,
        seen_version: int,
        newest_seen: str,
        signer: str = "",
        address: str | None = None,
    ) -> WrittenView:
        """Sign the draft as it was seen, with the reading that it names; the study is done with that.

        Args:
            newest_seen: job of the newest finished reading that whoever signs was told of, be it the one the
                draft names or a later one.
            signer: who signs, where whoever is signed in has no account of their own.

        Raises:
            NotFoundError: there is no such study.
            AccessError: the role may not sign, or a program asks.
            InputError: findings or impression are empty, or the draft names no reading.
            ConflictError: there is no draft, or it is signed.
            StaleError: somebody else changed it meanwhile.
            NewerReadingError: another reading has finished meanwhile; what they have not seen is not signed.
        """
        check_signs(by)
        name = signer_name(by, signer)
        with self._database.write() as session:
            row = _row(session, study_id)
            if row is None:
                raise ConflictError("There is no draft to sign; write one first.")
            _check_version(row, seen_version)
            _check_newest(session, row, newest_seen)
            empty = [SECTIONS[name] for name in REQUIRED_TO_SIGN if not row.sections.get(name, "").strip()]
            if empty:
                raise InputError(f"{' and '.join(empty)}: nothing is written there; write it before signing.")
            now = self._clock()
            row.signed_by, row.signed_at = name, now
            row.sha256 = digest(signed_content(written_view(row)))
            item = session.get(WorkItem, study_id)
            if item is None:
                item = WorkItem(study_id=study_id)
                session.add(item)
            item.done_at, item.done_by, item.changed_at = now, by.name, now
            detail = {"version": row.version, "sha256": row.sha256, "job": row.job_id}
            self._trail.add(session, by, "report.signed", study_id, detail=detail, address=address)
            session.flush()
            return written_view(row)

    def add(
        self, study_id: str, text: str, by: Principal, *, signer: str = "", address: str | None = None
    ) -> WrittenView:
        """Add a signed addendum; ``signer`` as for :meth:`sign`.

        Raises:
            NotFoundError: there is no such study.
            AccessError: the role may not sign, or a program asks.
            InputError: nothing is written, or too much.
            ConflictError: the report is not signed yet.
            StorageError: what it would be added to is not what was signed.
        """
        check_signs(by)
        name, text = signer_name(by, signer), checked_text("The addendum", text)
        if not text:
            raise InputError("The addendum is empty; write it first.")
        with self._database.write() as session:
            row = _row(session, study_id)
            if row is None or row.signed_at is None:
                raise ConflictError("The report is not signed yet; change the draft itself.")
            before = written_view(row)
            _check_unaltered(session, before)
            added = SignedAddendum(text, name, self._clock())
            sha256 = addenda_digests(row.sha256, [*signed_addenda(before), added])[-1]
            row.addenda.append(Addendum(text=text, signed_by=name, signed_at=added.signed_at, sha256=sha256))
            detail = {"number": len(row.addenda), "sha256": sha256}
            self._trail.add(session, by, ADDED, study_id, detail=detail, address=address)
            session.flush()
            return written_view(row)


def _check_version(row: WrittenReport | None, seen: int) -> None:
    if row is not None and row.signed_at is not None:
        raise ConflictError("The report is signed and is not changed any more; add an addendum.")
    if (row.version if row is not None else 0) != seen:
        raise StaleError("Somebody else changed this draft meanwhile; load it again, your text is not kept.")


def _check_newest(session: Session, row: WrittenReport, seen: str) -> None:
    if row.job_id is None:
        raise InputError("The draft does not name the reading it was written from; save it again, then sign.")
    newest = session.scalars(latest_done(row.study_id)).first()
    if newest is not None and newest.id != seen:
        raise NewerReadingError(
            "A newer reading of this study has finished that you were not shown, so nothing is signed yet. "
            "Look at it, say which of the readings this report is of, then sign."
        )


def _check_unaltered(session: Session, view: WrittenView) -> None:
    """Fail unless a signed report and its addenda are what was signed, the last of them included.

    No digest tells that the last is gone; the audit trail has its number since the report was signed.

    Raises:
        StorageError: they are not.
    """
    check_unaltered(view)
    lines = select(AuditEvent.detail).where(
        AuditEvent.subject == view.study_id, AuditEvent.action == ADDED, AuditEvent.at >= view.signed_at
    )
    signed = max((int((detail or {}).get("number", 0)) for detail in session.scalars(lines)), default=0)
    if signed > len(view.addenda):
        raise StorageError(
            f"{view.study_id}: addendum {signed} of the signed report is missing from the database, though "
            "the audit trail has its signature; restore it from the backup."
        )


def _with_addenda(study_id: str) -> Select[WrittenReport]:
    return (
        select(WrittenReport)
        .options(selectinload(WrittenReport.addenda))
        .where(WrittenReport.study_id == study_id)
    )


def _row(session: Session, study_id: str) -> WrittenReport | None:
    if session.get(Study, study_id, with_for_update=True) is None:
        raise NotFoundError(f"{study_id}: there is no such study; look for it in the list of studies.")
    found: WrittenReport | None = session.scalars(_with_addenda(study_id)).one_or_none()
    return found
