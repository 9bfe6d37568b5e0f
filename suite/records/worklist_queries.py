"""The reading list as queries: which studies are wanted, in which order, and how many there are.

Each query joins what it asks about and nothing else: a job's row is looked for study by study.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import aliased

from suite.jobs.models import Job, JobState, Study, WorkItem


class Order(StrEnum):
    """How the list is sorted: by triage, or by time of arrival."""

    TRIAGE = "triage"
    NEWEST = "newest"
    OLDEST = "oldest"


class Share(StrEnum):
    """Whose studies are shown."""

    ANY = "any"
    MINE = "mine"
    FREE = "free"


class Progress(StrEnum):
    """How far a study is: for the networks, for its reader, or no further."""

    ANY = "any"
    OPEN = "open"
    READING = "reading"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which studies are shown, and how they are sorted.

    Attributes:
        text: part of a pseudonym, of a film's name or of who reads it, without regard to case.
        triage: ``abnormal``, ``uncertain`` or ``normal``; ``None`` for any.
    """

    text: str = ""
    progress: Progress = Progress.OPEN
    share: Share = Share.ANY
    triage: str | None = None
    order: Order = Order.TRIAGE


_Latest = aliased(Job)
_Done = aliased(Job)


def listed(wanted: Wanted, by: str, now: float, cap_seconds: float) -> Select[Any]:
    """Ids of the wanted studies, sorted.

    Args:
        by: name of who asks, for "mine".
        cap_seconds: whoever waits for longer comes first.
    """
    sorting = _sorting(wanted.order, now, cap_seconds)
    return _wanted(wanted, by, Study.id, done=wanted.order is Order.TRIAGE).order_by(*sorting)


def counted(wanted: Wanted, by: str) -> Select[Any]:
    """How many studies are wanted."""
    return _wanted(wanted, by, func.count(Study.id))


def next_to_read(study_id: str, by: str, now: float, cap_seconds: float) -> Select[Any]:
    """The id of the first study in triage order that was read, is not done, and is nobody's or ``by``'s."""
    return (
        _base(Study.id, done=True)
        .where(*_of_progress(Progress.OPEN), _Done.id.is_not(None), Study.id != study_id)
        .where(or_(WorkItem.assigned_to.is_(None), WorkItem.assigned_to == by))
        .order_by(*_sorting(Order.TRIAGE, now, cap_seconds))
        .limit(1)
    )


def _sorting(order: Order, now: float, cap_seconds: float) -> tuple[ColumnElement[Any], ...]:
    """As ``suite.jobs.priority.place().key``, by the database."""
    if order is Order.OLDEST:
        return Study.created_at.asc(), Study.id.asc()
    if order is Order.NEWEST:
        return Study.created_at.desc(), Study.id.asc()
    waits_too_long = Study.created_at <= now - cap_seconds
    priority = case((waits_too_long, 0.0), else_=func.coalesce(_Done.priority, 0.0))
    return case((waits_too_long, 0), else_=1), priority.desc(), Study.created_at.asc(), Study.id.asc()


def _wanted(wanted: Wanted, by: str, column: ColumnElement[Any] | Any, *, done: bool = False) -> Select[Any]:
    latest = wanted.progress in (Progress.READING, Progress.FAILED)
    query = _base(column, latest=latest, done=done or wanted.triage is not None)
    query = query.where(*_of_progress(wanted.progress))
    if wanted.text:
        columns = (Study.display_id, Study.frontal_name, Study.lateral_name, WorkItem.assigned_to)
        query = query.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    if wanted.share is Share.MINE:
        query = query.where(WorkItem.assigned_to == by)
    elif wanted.share is Share.FREE:
        query = query.where(WorkItem.assigned_to.is_(None))
    if wanted.triage is not None:
        query = query.where(_Done.summary["triage"]["state"].as_string() == wanted.triage)
    return query


def _base(*columns: Any, latest: bool = False, done: bool = False) -> Select[Any]:
    """Studies with who reads them, and where asked for their newest job and their newest reading."""
    # Who reads it comes first: SQLite joins in this order, and then looks for no job of a study that is done.
    query = select(*columns).select_from(Study).outerjoin(WorkItem, WorkItem.study_id == Study.id)
    if latest:
        query = query.outerjoin(_Latest, _Latest.id == _newest())
    if done:
        query = query.outerjoin(_Done, _Done.id == _newest(Job.state == JobState.DONE.value))
    return query


def _newest(*conditions: ColumnElement[bool]) -> Any:
    found = select(Job.id).where(Job.study_id == Study.id, *conditions)
    return found.order_by(Job.created_at.desc(), Job.id.desc()).limit(1).correlate(Study).scalar_subquery()


def _of_progress(progress: Progress) -> tuple[ColumnElement[bool], ...]:
    is_running = _Latest.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
    has_failed = _Latest.state.in_([JobState.FAILED.value, JobState.DEAD.value, JobState.CANCELLED.value])
    not_done = WorkItem.done_at.is_(None)
    return {
        Progress.ANY: (),
        Progress.OPEN: (not_done,),
        Progress.READING: (not_done, is_running),
        Progress.FAILED: (not_done, has_failed),
        Progress.DONE: (WorkItem.done_at.is_not(None),),
    }[progress]
