"""The list of studies with its upload, and the page of one study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, json, redirect, render_template, request, send_file, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from suite.errors import UnreadableFileError
from suite.intake import safe_id
from suite.jobs.catalogue import StudyView
from suite.jobs.store import REPORT, receive
from suite.jobs.submission import Outcome, Upload
from web.failures import wants_page
from web.reading_page import reading_page
from web.services import services

blueprint = Blueprint("studies", __name__)

PAGE_SIZE = 50
IDLE_WORKER_SECONDS = 20.0
"""A queued job that waits this long while none runs means that no worker is there."""

MAX_NAME_LENGTH = 160
"""Characters of a file's own name that are kept, besides its ending."""

_LATERAL_FIELD = re.compile(r"lateral-(\d{1,4})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SAFE_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}")


@blueprint.get("/")
def index() -> str:
    """All studies, the newest first, fifty a page."""
    return render_template("studies/index.html", **_listing())


@blueprint.get("/studies/rows")
def rows() -> str:
    """The rows of the list alone, for a page that keeps itself up to date."""
    return render_template("studies/rows.html", **_listing())


@blueprint.post("/studies")
def upload() -> AnyResponse | tuple[str, int]:
    """Take films: ``files``, and for a picture at index N its lateral as ``lateral-N``.

    422 when nothing could be taken; 413 when it is too much at once.
    """
    store = services().store
    with store.staging() as staging:
        given = [item for item in request.files.getlist("files") if item.filename]
        uploads = [_received(item, staging / str(index)) for index, item in enumerate(given)]
        laterals = {
            int(match[1]): _received(item, staging / f"lateral-{match[1]}")
            for name, item in request.files.items()
            if item.filename and (match := _LATERAL_FIELD.fullmatch(name)) and int(match[1]) < len(given)
        }
        if not uploads:
            abort(422, "No file was chosen; choose one or more films and hand them in again.")
        outcome = services().submission.submit(staging, uploads, laterals)
    status = 200 if outcome.accepted else 422
    if not wants_page():
        return Response(json.dumps(_fates(outcome)), status, content_type="application/json")
    if outcome.refused:
        return render_template("studies/outcome.html", outcome=outcome), status
    return redirect(url_for("studies.index"), 303)


@blueprint.get("/studies/<study_id>")
def show(study_id: str) -> str:
    """One study: its reading in the viewer, or where the reading stands. 404 for an unknown one."""
    study = _study(study_id)
    report: dict[str, Any] | None = None
    if study.done is not None and study.done.reading is not None:
        report = services().store.report(study.id, study.done.reading)
    if report is None:
        return render_template("studies/waiting.html", study=study, **_worker_state())
    return render_template(
        "studies/study.html", study=study, **_worker_state(), **reading_page(study, report)
    )


@blueprint.get("/studies/<study_id>/progress")
def progress(study_id: str) -> str:
    """Where the latest job stands, as a piece of a page. 404 for an unknown study."""
    return render_template("studies/progress.html", study=_study(study_id), **_worker_state())


@blueprint.post("/studies/<study_id>/jobs")
def ask_again(study_id: str) -> AnyResponse:
    """Read the study again, with ``override_gate`` against the gate's verdict. 404 for an unknown study."""
    study = _study(study_id)
    job_id = services().queue.submit(study.id, override_gate=request.form.get("override_gate") == "yes")
    services().publish(job_id)
    return redirect(url_for("studies.show", study_id=study.id), 303)


@blueprint.get("/studies/<study_id>/report.json")
def report_file(study_id: str) -> Response:
    """The report as a file. 404 when there is none yet."""
    study = _study(study_id)
    if study.done is None or study.done.reading is None:
        abort(404, "This study has no report yet; wait until its reading is done.")
    path = services().store.file(study.id, study.done.reading, REPORT)
    if not path.is_file():
        raise UnreadableFileError(f"{study.id}: the stored report is missing; read the study again.")
    return send_file(
        path, mimetype="application/json", as_attachment=True, download_name=f"{study.id}-report.json"
    )


def _listing() -> dict[str, Any]:
    catalogue = services().catalogue
    page = max(1, request.args.get("page", 1, type=int))
    total = catalogue.count()
    return {
        "studies": catalogue.studies(offset=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE),
        "page": page,
        "pages": max(1, -(-total // PAGE_SIZE)),
        "total": total,
        "upload_limit_mb": services().settings.max_upload_mb,
        **_worker_state(),
    }


def _worker_state() -> dict[str, Any]:
    waiting = services().catalogue.waiting_seconds()
    return {"worker_missing": waiting is not None and waiting > IDLE_WORKER_SECONDS}


def _study(study_id: str) -> StudyView:
    study = services().catalogue.study(study_id)
    if study is None:
        abort(404)
    return study


def _received(item: FileStorage, folder: Path) -> Upload:
    """Store one file under a harmless name; the name it came with is kept for people to read."""
    shown = _CONTROL.sub("", (item.filename or "").replace("\\", "/").rpartition("/")[2]) or "film"
    ending = Path(shown).suffix if _SAFE_ENDING.fullmatch(Path(shown).suffix) else ""
    shown = shown.removesuffix(ending)[:MAX_NAME_LENGTH] + ending
    path = folder / (safe_id(shown) + ending)
    receive(item.stream, path)
    return Upload(path, shown)


def _fates(outcome: Outcome) -> dict[str, Any]:
    return {
        "accepted": [
            {
                "id": item.study_id,
                "url": url_for("studies.show", study_id=item.study_id),
                "names": item.names,
                "new": item.is_new,
            }
            for item in outcome.accepted
        ],
        "refused": [{"name": item.name, "sentence": item.sentence} for item in outcome.refused],
    }
