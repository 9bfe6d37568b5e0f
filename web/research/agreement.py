"""Agreement between readers and networks, over time and by finding, and between readers."""

from __future__ import annotations

from flask import Blueprint, render_template

from suite.accounts.principal import Role
from suite.findings import NAMES
from suite.records.agreement import by_finding, by_pair, by_week, judgements
from web.identity import identify
from web.research.plots import Figure, forest, timeline
from web.services import services

blueprint = Blueprint("agreement", __name__)


@blueprint.get("/research/agreement")
def index() -> str:
    """Week by week, finding by finding, pair by pair; readers see only the pairs that they are part of."""
    found, me = judgements(services().database), identify()
    sees_all = me.role is not Role.READER
    findings = by_finding(found)
    confirmed = [
        Figure(NAMES[own.finding], own.confirmed.value, *own.confirmed.interval, f"n = {own.confirmed.n}")
        for own in findings
        if own.confirmed.n
    ]
    return render_template(
        "research/agreement.html",
        total=len(found),
        readers=len({one.reader for one in found}),
        weeks=by_week(found),
        drawing=timeline(by_week(found)),
        findings=findings,
        names=NAMES,
        confirmed=forest(confirmed, digits=2) if confirmed else None,
        pairs=[pair for pair in by_pair(found) if sees_all or me.name in (pair.first, pair.second)],
    )
