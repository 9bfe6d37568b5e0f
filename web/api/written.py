"""What readers wrote: reports as drafts and signed, their texts and PDFs; drafts from other systems.

Nothing is signed through this interface: a signature is a person's, at the page of the report.
"""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, Any

from flask import Response, request, send_file
from pydantic import Field

from suite.accounts.principal import Scope
from suite.errors import NotFoundError
from suite.records.report_rules import MAX_TEXT
from suite.records.written_list import list_written
from suite.records.written_views import WrittenState, WrittenView
from web.api.caching import ASK_AGAIN, CACHED, NOT_CHANGED, asked_again
from web.api.names import TEXT, JobId
from web.api.operations import ROOT, Answers, Reply
from web.api.paging import Cursor, Limit, page_of, position_of, rows_for
from web.api.resources import Resource
from web.api.shapes import AskedMoment, Moment, Shape, Wanted
from web.identity import address, identify
from web.readings import find_study
from web.report_pdf import report_pdf
from web.services import services

resource = Resource("written", reads=Scope.STUDIES_READ, writes=Scope.REVIEWS_WRITE)

_PDF = {"application/pdf": {"type": "string", "contentMediaType": "application/pdf"}}


class AddendumShape(Shape):
    """Signed as it was added, and not changed."""

    text: str
    signed_by: str
    signed_at: Moment
    sha256: str | None = Field(
        description="Of text, signer, time and the sha256 of what it was added to: the report, or the "
        "addendum before it; null where none was kept"
    )


class SectionsShape(Shape):
    """The text; lines end with a line feed."""

    indication: str
    technique: str
    findings: str
    impression: str


class WrittenHead(Shape):
    """A written report without its text."""

    study_id: str
    state: WrittenState
    job_id: str | None = Field(description="The reading it is of; null where it names none")
    version: int = Field(description="Counts the changes of the draft")
    changed_by: str = Field(description="Who wrote or changed the draft last")
    changed_at: Moment
    signed_by: str | None
    signed_at: Moment | None
    sha256: str | None = Field(description="Of what was signed: text, reading, signer, time")
    updated_at: Moment = Field(description="When it was last changed, signed or added to")
    links: dict[str, str] = Field(description="Addresses by what is there")


class WrittenShape(WrittenHead):
    """A written report: a draft until a person signs it, and only added to from then on."""

    sections: SectionsShape
    addenda: list[AddendumShape] = Field(description="The oldest first")


class WrittenPage(Shape):
    """Some written reports."""

    items: list[WrittenHead]
    next: str | None = Field(description="`cursor` of the next page")


class WrittenQuery(Wanted):
    """Which written reports."""

    state: WrittenState | None = None
    updated_from: AskedMoment | None = Field(None, description="Changed, signed or added to since then")
    limit: Limit = 50
    cursor: Cursor | None = None


SectionText = Annotated[str, Field(max_length=MAX_TEXT, pattern=TEXT)]


class SectionsRequest(Wanted):
    """The text of a draft; what is left out is empty."""

    indication: SectionText = ""
    technique: SectionText = ""
    findings: SectionText = ""
    impression: SectionText = ""


class DraftRequest(Wanted):
    """A draft in place of the one there is."""

    version: int = Field(ge=0, le=2**31 - 1, description="Of the draft that it replaces; 0 for the first")
    job_id: JobId = Field(description="The finished reading it was written from")
    sections: SectionsRequest


@resource.page("/written-reports", "Some written reports", WrittenPage, WrittenQuery)
def list_written_reports(query: WrittenQuery) -> Reply:
    """What was written, the oldest change first.

    To follow what is new, ask again with `updated_from` a minute before the last `updated_at` you have seen.
    """
    moment, study_id = position_of(query, (int, float), str) or (None, "")
    rows = list_written(
        services().database,
        state=query.state,
        updated_from=query.updated_from.timestamp() if query.updated_from else None,
        after=None if moment is None else (float(moment), study_id),
        limit=rows_for(query),
    )
    return page_of(WrittenPage, rows, query, _head, lambda row: (row.updated_at, row.study_id))


@resource.get(
    "/studies/<study_id>/written-report",
    "The written report",
    WrittenShape,
    headers=CACHED,
    answers={304: NOT_CHANGED},
)
def get_written_report(study_id: str) -> Reply:
    """What was written of a study: its draft, or what was signed with addenda. 404 before there is one."""
    written = _written(study_id)
    if request.if_none_match.contains(_etag(written)):
        return Reply(status=304, headers=asked_again(_etag(written)))
    return _reply(written, 200)


@resource.get(
    "/studies/<study_id>/written-report/pdf",
    answers={200: Answers("The document", media=_PDF, headers=CACHED), 304: NOT_CHANGED},
)
def get_written_pdf(study_id: str) -> Response:
    """The written report as PDF, with the pseudonym in place of the id; a draft says so on every page."""
    written = _written(study_id)
    response = send_file(
        io.BytesIO(report_pdf(find_study(study_id), written)),
        mimetype="application/pdf",
        as_attachment=True,
        download_name=f"{study_id}-written-report.pdf",
        conditional=True,
        etag=_etag(written),
    )
    response.headers["Cache-Control"] = ASK_AGAIN
    return response


@resource.post(
    "/studies/<study_id>/written-report",
    201,
    "The first draft",
    WrittenShape,
    at="The written report",
    headers=CACHED,
    answers={200: Answers("The draft as it is now", WrittenShape, headers=CACHED)},
    body=DraftRequest,
    audit="",
    problems=(412,),
)
def write_draft(study_id: str, body: DraftRequest) -> Reply:
    """Write a study's draft, for a person to sign at its page; nothing is signed through this interface.

    412 when somebody else changed the draft meanwhile, 409 when it is signed. A `job_id` that is no finished
    reading of this study answers 422.
    """
    written = services().written.save(
        study_id,
        body.sections.model_dump(),
        identify(),
        seen_version=body.version,
        job_id=body.job_id,
        address=address(),
    )
    return _reply(written, 201 if written.version == 1 else 200)


def _written(study_id: str) -> WrittenView:
    services().search.study(study_id)
    written = services().written.of(study_id)
    if written is None:
        raise NotFoundError(f"{study_id}: nobody has written a report of it yet; ask again later.")
    return written


def _head(written: WrittenView) -> WrittenHead:
    return WrittenHead(**_facts(written))


def _facts(written: WrittenView) -> dict[str, Any]:
    own = _address(written.study_id)
    links = {"self": own, "pdf": f"{own}/pdf"}
    if written.job_id is not None:
        links["reading"] = f"{ROOT}/jobs/{written.job_id}/report"
    copied = {name: getattr(written, name) for name in WrittenHead.model_fields if name != "links"}
    return {**copied, "links": links}


def _address(study_id: str) -> str:
    return f"{ROOT}/studies/{study_id}/written-report"


def _reply(written: WrittenView, status: int) -> Reply:
    body = WrittenShape(
        **_facts(written),
        sections=SectionsShape(**written.sections),
        addenda=[AddendumShape.model_validate(item) for item in written.addenda],
    )
    located = {"Location": _address(written.study_id)} if status == 201 else {}
    return Reply(body, status, asked_again(_etag(written)) | located)


def _etag(written: WrittenView) -> str:
    state = f"{written.study_id};{written.version};{written.sha256};{len(written.addenda)}"
    return hashlib.sha256(state.encode()).hexdigest()[:32]
