"""A study's written report: draft, sign, add to it; as PDF, with everything else as an archive, to a node."""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from suite.accounts.principal import Role, Scope
from suite.dicom.network.nodes import Nodes
from suite.dicom.network.result_objects import result_objects
from suite.dicom.network.routing import enqueue
from suite.errors import ConflictError, InputError, NotFoundError
from suite.jobs.catalogue import JobView, StudyView
from suite.jobs.store import REPORT
from suite.records.jobs import find_job
from suite.records.pushes import pushes_of
from suite.records.reviews import StaleError, Verdict
from suite.records.written import SECTIONS, WrittenView, may_sign
from suite.report.document import Cover, write_pdf
from suite.report.draft import draft_sections
from web import pixels
from web.access import needs
from web.finding_rows import is_suggested
from web.identity import address, identify
from web.services import services

blueprint = Blueprint("reports", __name__)

PICTURE_PIXELS = 720
"""Longest side of the film in the PDF."""

_NOT_READ = "This study has no finished reading yet; wait until its job is done."


@blueprint.get("/studies/<study_id>/report")
def show(study_id: str) -> str:
    """The report: its draft to be changed, or what was signed. 409 before there is a reading."""
    return _page(_read_study(study_id))


@blueprint.post("/studies/<study_id>/report")
@needs(Scope.REVIEWS_WRITE)
def save(study_id: str) -> AnyResponse | str | tuple[str, int]:
    """Keep the draft, draft it anew from the verdicts, or sign it.

    409 when it is signed, 412 when somebody else changed it meanwhile: what was written stays in the form.
    """
    study = _read_study(study_id)
    given = {name: request.form.get(name, "") for name in SECTIONS}
    action, seen = request.form.get("action", "save"), request.form.get("version", 0, type=int)
    if action == "redraft":
        fresh = draft_sections(_report(study), services().reviews.sheet(study.id))
        renewed = given | {name: fresh[name] for name in ("findings", "impression")}
        return _page(study, sections=renewed, version=seen)
    by = identify()
    try:
        if action == "sign":
            _check_may_sign()
        written = services().written.save(
            study.id, given, by, seen_version=seen, job_id=_done(study).id, address=address()
        )
        if action == "sign":
            signer = request.form.get("signer", "")
            services().written.sign(
                study.id, by, seen_version=written.version, signer=signer, address=address()
            )
    except StaleError as error:
        return _page(study, sections=given, version=seen, complaint=str(error)), 412
    except ConflictError as error:
        return _page(study, complaint=str(error)), 409
    except InputError as error:
        return _page(study, sections=given, complaint=str(error)), 422
    return redirect(url_for("reports.show", study_id=study.display_id), 303)


@blueprint.post("/studies/<study_id>/report/addenda")
@needs(Scope.REVIEWS_WRITE, Role.READER, Role.ADMIN)
def add(study_id: str) -> AnyResponse:
    """Add a signed addendum. 409 while the report is a draft, 422 without text."""
    study = _read_study(study_id)
    text, signer = request.form.get("text", ""), request.form.get("signer", "")
    services().written.add(study.id, text, identify(), signer=signer, address=address())
    return redirect(url_for("reports.show", study_id=study.display_id), 303)


@blueprint.get("/studies/<study_id>/report.pdf")
def pdf(study_id: str) -> Response:
    """The report as PDF. 404 before there is one."""
    study = _read_study(study_id)
    content = _pdf(study)
    if content is None:
        abort(404, "This study has no written report yet; write one and save it.")
    return send_file(
        io.BytesIO(content),
        mimetype="application/pdf",
        as_attachment=True,
        download_name=f"{study.display_id}-report.pdf",
    )


@blueprint.get("/studies/<study_id>/objects")
def objects(study_id: str) -> str:
    """The DICOM objects of the latest reading, made now if they were not."""
    study = _read_study(study_id)
    files = [(path.name, path.stat().st_size) for path in _objects(study)]
    return render_template("reports/objects.html", study=study, files=files)


@blueprint.get("/studies/<study_id>/objects/<name>")
def one_object(study_id: str, name: str) -> Response:
    """One DICOM object as a file. 404 when the reading has none of that name."""
    study = _read_study(study_id)
    path = next((path for path in _objects(study) if path.name == name), None)
    if path is None:
        abort(404, "This reading has no such object; load the list of objects again.")
    return send_file(path, mimetype="application/dicom", as_attachment=True, download_name=name)


@blueprint.get("/studies/<study_id>/everything.zip")
def everything(study_id: str) -> Response:
    """Report, pictures and DICOM objects of the latest reading as one archive."""
    study = _read_study(study_id)
    stream: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- the answer closes it
    # Pictures and objects are compressed already, or hardly can be.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in _everything(study):
            entry = f"{study.display_id}/{name}"
            if isinstance(content, Path):
                archive.write(content, entry)
            else:
                archive.writestr(entry, content)
    services().trail.record(identify(), "study.downloaded", study.id, address=address())
    stream.seek(0)
    return send_file(
        stream, mimetype="application/zip", as_attachment=True, download_name=f"{study.display_id}.zip"
    )


@blueprint.post("/studies/<study_id>/push")
@needs(Scope.NODES_SEND)
def push(study_id: str) -> AnyResponse:
    """Put the latest reading's objects into the outbox for a node. 422 for an unknown node."""
    study = _read_study(study_id)
    if not _objects(study):
        raise InputError(
            "The film came as a picture, so there are no DICOM objects to send; hand in DICOM files."
        )
    node = Nodes(services().database).named(request.form.get("node", ""))
    enqueue(
        services().database, _done(study).id, node.id, time.time(), again=request.form.get("again") == "yes"
    )
    detail = {"node": node.destination.name, "job": _done(study).id}
    services().trail.record(identify(), "study.pushed", study.id, detail=detail, address=address())
    return redirect(url_for("reports.show", study_id=study.display_id) + "#send", 303)


def _page(
    study: StudyView,
    *,
    sections: Mapping[str, str] | None = None,
    version: int | None = None,
    complaint: str | None = None,
) -> str:
    written = services().written.of(study.id)
    if written is not None and written.is_signed:
        sections = None  # below a signature stands what was signed, nothing else
    sheet = services().reviews.sheet(study.id)
    report, me = _report(study), identify()
    fresh = draft_sections(report, sheet)
    standing = sheet.standing.values()
    return render_template(
        "reports/report.html",
        study=study,
        written=written,
        titles=SECTIONS,
        sections=sections or (written.sections if written else fresh),
        version=version if version is not None else (written.version if written else 0),
        is_outdated=written is not None
        and any(
            max(entry.created_at, entry.undone_at or 0.0) > written.changed_at for entry in sheet.entries
        ),
        complaint=complaint,
        may_sign=may_sign(me),
        accepted=sum(item.verdict is not Verdict.REJECTED for item in standing),
        rejected=sum(item.verdict is Verdict.REJECTED for item in standing),
        unjudged=_unjudged(report, sheet.standing),
        nodes=Nodes(services().database).all() if me.may(Scope.NODES_READ) else [],
        pushes=pushes_of(services().database, study.id) if me.may(Scope.NODES_READ) else [],
        may_push=me.may(Scope.NODES_SEND),
    )


def _unjudged(report: Mapping[str, Any], standing: Mapping[str, Any]) -> list[str]:
    """Names of suggested findings that nobody has judged."""
    return [
        finding["name"]
        for finding in report.get("findings") or ()
        if is_suggested(finding) and finding["code"] not in standing
    ]


def _check_may_sign() -> None:
    if not may_sign(identify()):
        abort(403, "Reports are signed by readers; ask one of them to sign this draft.")
    if request.form.get("seen") != "yes":
        raise InputError("Say that you have looked at the images and read this text, then sign.")


def _read_study(study_id: str) -> StudyView:
    study = services().catalogue.study(study_id)
    if study is None:
        abort(404)
    if study.done is None or study.done.reading is None:
        abort(409, _NOT_READ)
    return study


def _done(study: StudyView) -> JobView:
    """The latest finished reading, which :func:`_read_study` has seen."""
    if study.done is None:
        abort(409, _NOT_READ)
    return study.done


def _reading(study: StudyView) -> str:
    return _done(study).reading or ""


def _report(study: StudyView) -> dict[str, Any]:
    return services().store.report(study.id, _reading(study))


def _pdf(study: StudyView) -> bytes | None:
    written: WrittenView | None = services().written.of(study.id)
    if written is None:
        return None
    reading = _signed_reading(study, written) or _reading(study)
    report = services().store.report(study.id, reading)
    models = [
        (stage["name"], stage["weights_sha256"])
        for stage in report["provenance"]["stages"]
        if stage["name"] in ("triage", "diagnosis") and stage["weights_sha256"]
    ]
    film = pixels.small_film(study.id, reading, report, PICTURE_PIXELS)
    return write_pdf(written, Cover(study.display_id, study.created_at, film, models))


def _signed_reading(study: StudyView, written: WrittenView) -> str | None:
    """The reading that was in front of whoever wrote; ``None`` when it is gone."""
    if written.job_id is None:
        return None
    try:
        return find_job(services().database, written.job_id).reading
    except NotFoundError:
        return None


def _objects(study: StudyView) -> list[Path]:
    parts = services()
    return result_objects(parts.settings, parts.database, parts.store).of_job(_done(study).id)


def _everything(study: StudyView) -> Iterator[tuple[str, bytes | Path]]:
    reading, report = _reading(study), _report(study)
    content = _pdf(study)
    if content is not None:
        yield "report.pdf", content
    yield REPORT, services().store.file(study.id, reading, REPORT)
    names = set(pixels.stored_images(report).values())
    names |= {path for paths in pixels.heatmap_layers(report).values() for path in paths.values()}
    for name in sorted(names):
        path = services().store.file(study.id, reading, name)
        if path.is_file():
            yield f"images/{name}", path
    for path in _objects(study):
        yield f"dicom/{path.name}", path
