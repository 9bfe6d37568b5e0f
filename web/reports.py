"""A study's written report: draft, sign, add to it; as PDF."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from suite.accounts.principal import Scope
from suite.dicom.network.nodes import Nodes
from suite.errors import InputError
from suite.jobs.catalogue import StudyView
from suite.records.pushes import pushes_of
from suite.records.report_rules import SECTIONS, may_sign
from suite.records.reviews import Verdict
from suite.report.draft import draft_sections
from web.access import needs
from web.api.problems import of_exception
from web.finding_rows import is_suggested
from web.identity import address, identify, is_in_person
from web.readings import Reading, read_study, reading_of
from web.report_pdf import report_pdf
from web.services import services

blueprint = Blueprint("reports", __name__)


@blueprint.get("/studies/<study_id>/report")
def show(study_id: str) -> str:
    """The report: its draft to be changed, or what was signed. 409 before there is a reading."""
    return _page(*read_study(study_id))


@blueprint.post("/studies/<study_id>/report")
@needs(Scope.REVIEWS_WRITE)
def save(study_id: str) -> AnyResponse | str | tuple[str, int]:
    """Keep the draft, draft it anew from the verdicts, or sign it.

    ``reading`` names the reading the page showed, ``newest`` the newest it told of. 409 when it is signed, or
    when a reading finished that the page did not tell of; 412 when somebody else changed it meanwhile; 422
    for what cannot be kept. What was written stays in the form.
    """
    study, latest = read_study(study_id)
    given = {name: request.form.get(name, "") for name in SECTIONS}
    action, version = request.form.get("action", "save"), request.form.get("version", 0, type=int)
    named = request.form.get("reading", "")
    if action == "redraft":
        fresh = _drafted(_named(study, named) or latest)
        renewed = given | {name: fresh[name] for name in ("findings", "impression")}
        return _page(study, latest, sections=renewed, version=version, named=named)
    by, written = identify(), services().written
    as_sent: dict[str, Any] = {"sections": given, "version": version, "named": named}
    try:
        if action == "sign":
            _check_signs_in_person()
            _check_has_looked()
        kept = written.save(study.id, given, by, seen_version=version, job_id=named, address=address())
        as_sent = {}  # from here on the draft is what was sent
        if action == "sign":
            signer, newest = request.form.get("signer", ""), request.form.get("newest", "")
            written.sign(
                study.id, by, seen_version=kept.version, newest_seen=newest, signer=signer, address=address()
            )
    except InputError as error:
        study, latest = read_study(study_id)  # a reading may have finished since the one above
        return _page(study, latest, complaint=str(error), **as_sent), of_exception(error).status
    return redirect(url_for("reports.show", study_id=study.display_id), 303)


@blueprint.post("/studies/<study_id>/report/addenda")
@needs(Scope.REVIEWS_WRITE)
def add(study_id: str) -> AnyResponse | tuple[str, int]:
    """Add a signed addendum. 409 while the report is a draft, 422 without text: it stays in the form."""
    _check_signs_in_person()
    study, latest = read_study(study_id)
    text, signer = request.form.get("text", ""), request.form.get("signer", "")
    try:
        services().written.add(study.id, text, identify(), signer=signer, address=address())
    except InputError as error:
        page = _page(study, latest, addendum=text, complaint=str(error))
        return page, of_exception(error).status
    return redirect(url_for("reports.show", study_id=study.display_id), 303)


@blueprint.get("/studies/<study_id>/report.pdf")
def pdf(study_id: str) -> Response:
    """The report as PDF. 404 before there is one."""
    study, _ = read_study(study_id)
    written = services().written.of(study.id)
    if written is None:
        abort(404, "This study has no written report yet; write one and save it.")
    return send_file(
        io.BytesIO(report_pdf(study, written)),
        mimetype="application/pdf",
        as_attachment=True,
        download_name=f"{study.display_id}-report.pdf",
    )


def _page(
    study: StudyView,
    latest: Reading,
    *,
    sections: Mapping[str, str] | None = None,
    version: int | None = None,
    named: str | None = None,
    addendum: str = "",
    complaint: str | None = None,
) -> str:
    """The form, or what was signed.

    Args:
        sections, version, named: as they came with the form; ``None`` takes those of the draft.
        addendum: as it came with its form.
    """
    written = services().written.of(study.id)
    if written is not None and written.is_signed:
        sections = named = None  # below a signature stands what was signed, nothing else
    reading = _named(study, named) or _named(study, written.job_id if written else None)
    sheet = services().reviews.sheet(study.id)
    me = identify()
    standing = sheet.standing.values()
    return render_template(
        "reports/report.html",
        study=study,
        written=written,
        reading=reading or (None if written and written.is_signed else latest),
        latest=latest,
        titles=SECTIONS,
        sections=sections or (written.sections if written else _drafted(latest)),
        version=version if version is not None else (written.version if written else 0),
        is_outdated=written is not None
        and any(
            max(entry.created_at, entry.undone_at or 0.0) > written.changed_at for entry in sheet.entries
        ),
        is_unsaved=sections is not None,
        addendum=addendum,
        complaint=complaint,
        may_sign=_may_sign(),
        accepted=sum(item.verdict is not Verdict.REJECTED for item in standing),
        rejected=sum(item.verdict is Verdict.REJECTED for item in standing),
        unjudged=_unjudged(latest.report(), sheet.standing),
        nodes=Nodes(services().database).all() if me.may(Scope.NODES_READ) else [],
        pushes=pushes_of(services().database, study.id) if me.may(Scope.NODES_READ) else [],
        may_push=me.may(Scope.NODES_SEND),
    )


def _drafted(reading: Reading) -> dict[str, str]:
    """Sections from what was accepted of a reading."""
    sheet = services().reviews.sheet(reading.study_id)
    return draft_sections(reading.report(), sheet, job_id=reading.job_id)


def _named(study: StudyView, job_id: str | None) -> Reading | None:
    """The reading that a form or a draft names; ``None`` when it names none of this study."""
    reading = reading_of(job_id)
    return reading if reading is not None and reading.study_id == study.id else None


def _unjudged(report: Mapping[str, Any], standing: Mapping[str, Any]) -> list[str]:
    """Names of suggested findings that nobody has judged."""
    return [
        finding["name"]
        for finding in report.get("findings") or ()
        if is_suggested(finding) and finding["code"] not in standing
    ]


def _may_sign() -> bool:
    return is_in_person() and may_sign(identify())


def _check_signs_in_person() -> None:
    if not _may_sign():
        abort(403, "Reports are signed by readers who are signed in; ask one of them to sign this.")


def _check_has_looked() -> None:
    if request.form.get("seen") != "yes":
        raise InputError("Say that you have looked at the images and read this text, then sign.")
