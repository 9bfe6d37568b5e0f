"""Finding studies: filtered, sorted, and page by page without gaps or repeats while others are added.

A page begins behind a position (sort value and id of the last row), not at an offset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import aliased, selectinload

from suite.errors import NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import Job, JobState, Study
from suite.records.jobs import JobRecord, job_record


class SortKey(StrEnum):
    """What a list is ordered by; ties are ordered by id."""

    CREATED = "created"
    PRIORITY = "priority"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: the next page begins behind it."""

    value: float | str
    study_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which studies are wanted; ``None`` is any.

    Attributes:
        text: part of the id or of a film's name, without regard to case.
        states: states of the latest job.
        triage: triage state of the latest job's reading.
        created_from, created_before: seconds since 1970.
    """

    text: str | None = None
    states: frozenset[JobState] = field(default_factory=frozenset)
    triage: str | None = None
    created_from: float | None = None
    created_before: float | None = None


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study with its latest job and its latest finished reading (which may be the same)."""

    id: str
    frontal_name: str | None
    lateral_name: str | None
    created_at: float
    latest: JobRecord | None
    done: JobRecord | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some studies, and where the next page begins; ``None`` at the end."""

    studies: tuple[StudyRecord, ...]
    next: Position | None


_Latest = aliased(Job)


class StudySearch:
    """Queries over all studies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def study(self, study_id: str) -> StudyRecord:
        """One study.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._database.read() as session:
            row = session.scalars(_with_jobs().where(Study.id == study_id)).one_or_none()
            if row is None:
                raise NotFoundError(
                    f"{study_id}: there is no such study; look for it in the list of studies."
                )
            return _record(row)

    def page(
        self,
        wanted: Filter,
        *,
        sort: SortKey = SortKey.CREATED,
        descending: bool = True,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page:
        """One page of at most ``limit`` studies."""
        key = _sort_column(sort)
        query = _filtered(select(Study.id, key), wanted)
        if after is not None:
            query = query.where(_behind(key, after, descending=descending))
        order = (key.desc(), Study.id.desc()) if descending else (key.asc(), Study.id.asc())
        with self._database.read() as session:
            rows = session.execute(query.order_by(*order).limit(limit + 1)).all()
            shown = rows[:limit]
            found = session.scalars(_with_jobs().where(Study.id.in_([row[0] for row in shown])))
            records = {row.id: _record(row) for row in found}
        following = Position(shown[-1][1], shown[-1][0]) if len(rows) > limit else None
        return Page(tuple(records[row[0]] for row in shown), following)

    def count(self, wanted: Filter) -> int:
        """How many studies the filter lets through."""
        with self._database.read() as session:
            return session.scalar(_filtered(select(func.count(Study.id)), wanted)) or 0


def _with_jobs() -> Select[Study]:
    return select(Study).options(selectinload(Study.jobs).selectinload(Job.stage_runs))


def _record(row: Study) -> StudyRecord:
    done = [job for job in row.jobs if job.state == JobState.DONE and job.reading is not None]
    return StudyRecord(
        row.id,
        row.frontal_name,
        row.lateral_name,
        row.created_at,
        job_record(row.jobs[-1]) if row.jobs else None,
        job_record(done[-1]) if done else None,
    )


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    newest = (
        select(Job.id)
        .where(Job.study_id == Study.id)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
        .correlate(Study)
        .scalar_subquery()
    )
    query = query.select_from(Study).outerjoin(_Latest, _Latest.id == newest)
    conditions: list[ColumnElement[bool]] = []
    if wanted.text:
        conditions.append(
            or_(
                *(
                    column.icontains(wanted.text, autoescape=True)
                    for column in (Study.id, Study.frontal_name, Study.lateral_name)
                )
            )
        )
    if wanted.states:
        conditions.append(_Latest.state.in_([state.value for state in wanted.states]))
    if wanted.triage is not None:
        conditions.append(_Latest.summary["triage"]["state"].as_string() == wanted.triage)
    if wanted.created_from is not None:
        conditions.append(Study.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        conditions.append(Study.created_at < wanted.created_before)
    return query.where(*conditions)


def _sort_column(sort: SortKey) -> ColumnElement[Any]:
    columns: dict[SortKey, ColumnElement[Any]] = {
        SortKey.CREATED: Study.created_at.expression,
        SortKey.PRIORITY: func.coalesce(_Latest.priority, 0.0),
        SortKey.ID: Study.id.expression,
    }
    return columns[sort]


def _behind(key: ColumnElement[Any], after: Position, *, descending: bool) -> ColumnElement[bool]:
    if descending:
        return or_(key < after.value, and_(key == after.value, Study.id < after.study_id))
    return or_(key > after.value, and_(key == after.value, Study.id > after.study_id))
