"""From one study to the next of the worklist, without going back to the list."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, url_for
from werkzeug.wrappers import Response

from suite.records.worklist import Entry, Wanted
from web.identity import identify
from web.services import services

blueprint = Blueprint("next_study", __name__)

MOST_STUDIES = 500
"""So many open studies are looked through, in the order in which they are to be read."""


@blueprint.get("/studies/<study_id>/next")
def show(study_id: str) -> Response:
    """To the open study behind this one in triage order, or to the list when there is none.

    What is not read by the networks yet, or by another reader, is passed over. Behind the last comes the
    first. 404 for an unknown study.
    """
    if services().catalogue.study(study_id) is None:
        abort(404)
    me = identify().name
    entries = services().worklist.page(Wanted(), me, limit=MOST_STUDIES).entries
    at = next((index for index, entry in enumerate(entries) if entry.study.id == study_id), -1)
    turned = [*entries[at + 1 :], *entries[: max(at, 0)]]
    found = next((entry for entry in turned if _is_to_be_read(entry, me)), None)
    if found is None:
        return redirect(url_for("worklist.index"))
    return redirect(url_for("studies.show", study_id=found.study.display_id))


def _is_to_be_read(entry: Entry, me: str) -> bool:
    return entry.study.done is not None and entry.assigned_to in (None, me)
