"""The page of one study: its reading, or where the reading stands."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from suite.accounts.principal import Scope
from suite.errors import InputError, UnreadableFileError
from suite.jobs.store import REPORT
from web.access import needs
from web.identity import address, identify
from web.reading_page import reading_page
from web.readings import find_study, latest_reading
from web.services import services

blueprint = Blueprint("studies", __name__)

IDLE_WORKER_SECONDS = 20.0
"""A queued job that waits this long while none runs means that no worker is there."""


@blueprint.get("/studies/<study_id>")
def show(study_id: str) -> str:
    """One study: its reading in the viewer, or where the reading stands. 404 for an unknown one."""
    study = find_study(study_id)
    reading = latest_reading(study)
    if reading is None:
        return render_template("studies/waiting.html", study=study, **worker_state())
    shown = reading_page(study, reading)
    return render_template("studies/study.html", study=study, **worker_state(), **shown)


@blueprint.get("/studies/<study_id>/progress")
def progress(study_id: str) -> str:
    """Where the latest job stands, as a piece of a page. 404 for an unknown study."""
    return render_template("studies/progress.html", study=find_study(study_id), **worker_state())


@blueprint.post("/studies/<study_id>/jobs")
@needs(Scope.STUDIES_WRITE)
def ask_again(study_id: str) -> AnyResponse:
    """Read the study again, against the gate's verdict with ``override_gate``, or with an ``override_check``
    for each check that may fail. 404 for an unknown study, 422 for an unknown check or where none is ticked.
    """
    study = find_study(study_id)
    wish, checks = request.form.get("override_gate"), request.form.getlist("override_check")
    if wish == "ticked" and not checks:
        raise InputError("No check of the gate was ticked; tick each one that you overrule.")
    job_id = services().queue.submit(study.id, override_gate=wish == "yes", override_checks=checks)
    services().publish(job_id)
    detail = {"job": job_id, "override_gate": wish == "yes", "override_checks": checks}
    services().trail.record(identify(), "job.requested", study.id, detail=detail, address=address())
    return redirect(url_for("studies.show", study_id=study.display_id), 303)


@blueprint.get("/studies/<study_id>/report.json")
def report_file(study_id: str) -> Response:
    """The report as a file. 404 when there is none yet."""
    study = find_study(study_id)
    reading = latest_reading(study)
    if reading is None:
        abort(404, "This study has no report yet; wait until its reading is done.")
    path = reading.file(REPORT)
    if not path.is_file():
        raise UnreadableFileError(f"{study.id}: the stored report is missing; read the study again.")
    return send_file(
        path, mimetype="application/json", as_attachment=True, download_name=f"{study.display_id}-report.json"
    )


def worker_state() -> dict[str, Any]:
    """Whether a job waits that no worker takes up."""
    waiting = services().catalogue.waiting_seconds()
    return {"worker_missing": waiting is not None and waiting > IDLE_WORKER_SECONDS}
