"""The reading list: who reads which study, what is done, and in which order it is read.

The order is :func:`suite.jobs.priority.place`'s, computed by the database from the priority that a finished
reading left in its job's row, so that a page of a long list opens no report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Principal, Role
from suite.errors import ConflictError, NotFoundError
from suite.jobs.catalogue import StudyView, study_view, with_jobs
from suite.jobs.database import Database
from suite.jobs.models import Job, StageRun, Study, WorkItem, WrittenReport
from suite.jobs.priority import CAP_SECONDS, Place, place
from suite.jobs.queue import Clock
from suite.records.worklist_queries import Progress, Wanted, counted, listed, next_to_read


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the list.

    Attributes:
        place: where it stands in the triage order, and why.
        waited_seconds: from its arrival until it was done, or until now.
        report: ``none``, ``draft`` or ``signed``.
    """

    study: StudyView
    place: Place
    waited_seconds: float
    assigned_to: str | None
    done_by: str | None
    done_at: float | None
    changed_at: float
    report: str

    @property
    def version(self) -> str:
        """Changes whenever the row must be drawn again."""
        return f"{self.study.version}.{self.changed_at:.3f}.{self.report}.{self.place.key[0]}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list, and how many studies there are by progress, whatever else is asked for."""

    entries: tuple[Entry, ...]
    total: int
    counts: Mapping[str, int] = field(default_factory=dict)


class Worklist:
    """Reads the list, and notes who takes what."""

    def __init__(
        self, database: Database, clock: Clock, trail: AuditTrail, *, cap_seconds: float = CAP_SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail
        self._cap = cap_seconds

    def page(self, wanted: Wanted, by: str, *, offset: int = 0, limit: int = 50) -> Listing:
        """One page.

        Args:
            by: name of who asks, for "mine".
        """
        now = self._clock()
        ordered = listed(wanted, by, now, self._cap).offset(offset).limit(limit)
        with self._database.read() as session:
            ids = list(session.scalars(ordered))
            entries = self._entries(session, ids, now)
            counts = {
                progress.value: session.scalar(counted(Wanted(progress=progress), by)) or 0
                for progress in Progress
            }
            plain = wanted == Wanted(progress=wanted.progress, order=wanted.order)
            total = counts[wanted.progress.value] if plain else session.scalar(counted(wanted, by)) or 0
        return Listing(entries, total, counts)

    def entry(self, study_id: str) -> Entry:
        """One row.

        Raises:
            NotFoundError: there is no such study.
        """
        with self._database.read() as session:
            found = self._entries(session, [study_id], self._clock())
        if not found:
            raise NotFoundError(f"{study_id}: there is no such study; look for it in the list of studies.")
        return found[0]

    def following(self, study_id: str, by: str) -> str | None:
        """The study to read after this one; ``None`` when there is none.

        Of all, it is the first in triage order that was read, is not done, and is nobody's or ``by``'s.
        """
        query = next_to_read(study_id, by, self._clock(), self._cap)
        with self._database.read() as session:
            found: str | None = session.scalars(query).first()
        return found

    def version(self) -> str:
        """Changes whenever any row may have: few and cheap queries, for a stream that asks often."""
        queries = (
            select(func.count(Study.id), func.max(Study.created_at)),
            select(func.count(Job.id), func.max(Job.started_at), func.max(Job.finished_at)),
            select(func.count(StageRun.id), func.count(StageRun.finished_at)),
            select(func.max(WorkItem.changed_at), func.count(WorkItem.study_id)),
            select(func.max(WrittenReport.changed_at), func.max(WrittenReport.signed_at)),
        )
        with self._database.read() as session:
            values = [value for query in queries for value in session.execute(query).one()]
        return version_of(values)

    def assign(self, study_id: str, by: Principal, *, to: str | None, address: str | None = None) -> None:
        """Let somebody read a study, or nobody with ``None``.

        Raises:
            NotFoundError: there is no such study.
            ConflictError: somebody else took it meanwhile; it must be given back first.
        """
        with self._database.write() as session:
            item = _item(session, study_id)
            others = item.assigned_to not in (None, by.name)
            if others and (to is not None or by.role is not Role.ADMIN):
                raise ConflictError(f"This study is read by {item.assigned_to}; ask them to give it back.")
            item.assigned_to, item.changed_at = to, self._clock()
            action = "study.assigned" if to else "study.given-back"
            self._trail.add(session, by, action, study_id, detail={"to": to} if to else None, address=address)

    def finish(self, study_id: str, by: Principal, *, done: bool, address: str | None = None) -> None:
        """Note that a study is done, or that it is not after all.

        Raises:
            NotFoundError: there is no such study.
        """
        with self._database.write() as session:
            item, now = _item(session, study_id), self._clock()
            item.done_at, item.done_by = (now, by.name) if done else (None, None)
            item.changed_at = now
            self._trail.add(
                session, by, "study.done" if done else "study.reopened", study_id, address=address
            )

    def _entries(self, session: Session, ids: list[str], now: float) -> tuple[Entry, ...]:
        studies = {row.id: study_view(row) for row in session.scalars(with_jobs().where(Study.id.in_(ids)))}
        items = {
            row.study_id: row for row in session.scalars(select(WorkItem).where(WorkItem.study_id.in_(ids)))
        }
        written = select(WrittenReport.study_id, WrittenReport.signed_at).where(
            WrittenReport.study_id.in_(ids)
        )
        reports = {study: "draft" if at is None else "signed" for study, at in session.execute(written)}
        return tuple(
            self._entry(studies[study_id], items.get(study_id), reports.get(study_id, "none"), now)
            for study_id in ids
            if study_id in studies
        )

    def _entry(self, study: StudyView, item: WorkItem | None, report: str, now: float) -> Entry:
        done_at = item.done_at if item else None
        summary = study.done.summary if study.done else None
        until = now if done_at is None else done_at
        return Entry(
            study=study,
            place=place(summary, study.created_at, until, cap_seconds=self._cap),
            waited_seconds=max(0.0, until - study.created_at),
            assigned_to=item.assigned_to if item else None,
            done_by=item.done_by if item else None,
            done_at=done_at,
            changed_at=item.changed_at if item else 0.0,
            report=report,
        )


def version_of(values: Iterable[float | None]) -> str:
    """Counts to the last one, moments to the millisecond: any of them that changes changes the text."""
    return "-".join(str(value) if isinstance(value, int) else f"{value or 0:.3f}" for value in values)


def _item(session: Session, study_id: str) -> WorkItem:
    """The study's row, locked against those who write at the same time."""
    if session.get(Study, study_id, with_for_update=True) is None:
        raise NotFoundError(f"{study_id}: there is no such study; look for it in the list of studies.")
    item = session.get(WorkItem, study_id)
    if item is None:
        item = WorkItem(study_id=study_id, changed_at=0.0)
        session.add(item)
    return item
