"""The audit trail: pages note what was looked at, and administrators read who did what."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, g, render_template, request

from suite.accounts.principal import Scope
from web import display_ids
from web.access import needs
from web.audit_words import action_words
from web.identity import address
from web.services import services

blueprint = Blueprint("audit", __name__)

PAGE_SIZE = 100

LAST_LINE = 2**31 - 1
"""A larger number overflows PostgreSQL's integers."""
LOOKED_AT = {
    "studies.show": "study.opened",
    "studies.report_file": "report.downloaded",
    "reports.pdf": "report.downloaded",
    "exports.one_object": "study.downloaded",
}
"""Pages whose visits are lines of the trail. The views that change something write theirs themselves."""


def init_app(app: Flask) -> None:
    """Note visits once they went well."""
    app.register_blueprint(blueprint)
    app.after_request(_note)


@blueprint.get("/people/audit")
@needs(Scope.ADMIN)
def index() -> str:
    """The latest lines, a hundred a page, of one user or one study where that is asked for."""
    actor, subject = request.args.get("actor", "").strip(), request.args.get("subject", "").strip()
    before = request.args.get("before", type=int)
    before = None if before is None else max(0, min(before, LAST_LINE))
    wanted = services().catalogue.named(subject.upper()) or subject
    lines = services().trail.lines(
        before=before, limit=PAGE_SIZE + 1, actor=actor or None, subject=wanted or None
    )
    shown = lines[:PAGE_SIZE]
    names = display_ids.of_all({line.subject for line in shown if line.subject})
    return render_template(
        "people/audit.html",
        lines=shown,
        names=names,
        action_words=action_words,
        actor=actor,
        subject=subject,
        older=shown[-1].id if len(lines) > PAGE_SIZE else None,
    )


def _note(response: Response) -> Response:
    action = LOOKED_AT.get(request.endpoint or "")
    if action is not None and response.status_code < 400 and "principal" in g and request.view_args:
        study_id = request.view_args.get("study_id")
        services().trail.record(g.principal, action, study_id, address=address())
    return response
