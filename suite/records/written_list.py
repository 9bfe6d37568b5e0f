"""All written reports in the order of their changes, for a system that asks again and again what is new."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import selectinload

from suite.jobs.database import Database
from suite.jobs.models import Addendum, WrittenReport
from suite.records.written_views import WrittenState, WrittenView, written_view

Position = tuple[float, str]
"""``updated_at`` and study of the last report of a page; the next page begins behind it."""


def list_written(
    database: Database,
    *,
    state: WrittenState | None = None,
    updated_from: float | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> Sequence[WrittenView]:
    """Written reports, that whose last change is the oldest first.

    One that is changed while a list is gone through moves behind what is still to come: it comes again rather
    than being missed. Signed texts are not checked against their sha256 here; see
    :meth:`suite.records.written.WrittenReports.of`.

    Args:
        updated_from: seconds since 1970; only what was changed, signed or added to since.
    """
    added_at = (
        select(func.max(Addendum.signed_at))
        .where(Addendum.report_id == WrittenReport.id)
        .correlate(WrittenReport)
        .scalar_subquery()
    )
    updated_at = func.coalesce(added_at, WrittenReport.signed_at, WrittenReport.changed_at)
    wanted = select(WrittenReport).options(selectinload(WrittenReport.addenda))
    if state is not None:
        is_signed = WrittenReport.signed_at.is_not(None)
        wanted = wanted.where(is_signed if state is WrittenState.SIGNED else ~is_signed)
    if updated_from is not None:
        wanted = wanted.where(updated_at >= updated_from)
    if after is not None:
        moment, study_id = after
        behind = and_(updated_at == moment, WrittenReport.study_id > study_id)
        wanted = wanted.where(or_(updated_at > moment, behind))
    with database.read() as session:
        rows = session.scalars(wanted.order_by(updated_at, WrittenReport.study_id).limit(limit))
        return [written_view(row) for row in rows]
