"""Reviews: what readers say of a reading, and taking it back."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from flask import request
from pydantic import Field, RootModel

from suite.accounts.principal import Scope
from suite.records.reviews import MAX_TEXT, ReviewSheet, Verdict
from web.api.caching import asked_again
from web.api.names import TEXT, FindingCode, JobId
from web.api.operations import IF_MATCH, Answers, Reply
from web.api.problems import ProblemError
from web.api.resources import Resource
from web.api.shapes import Moment, Shape, Wanted
from web.identity import address, identify
from web.readings import Reading, of_job, reading_of
from web.services import services

resource = Resource("reviews", reads=Scope.STUDIES_READ, writes=Scope.REVIEWS_WRITE)

_ETAG = {"ETag": "Version of the sheet, for `If-Match`"}


class ReviewShape(Shape):
    """One thing that was said."""

    id: int
    job_id: str | None = Field(description="The reading it is about")
    finding: str | None = Field(description="Code of the finding; null for a comment on the whole reading")
    verdict: Verdict
    text: str | None
    user: str
    model_sha256: str | None = Field(description="Weights of the network that made the reading")
    created_at: Moment
    undone_at: Moment | None = Field(description="When it was taken back")


class ReviewSheetShape(Shape):
    """All that was said of a study, the oldest first."""

    study_id: str
    entries: list[ReviewShape]
    standing: dict[str, Literal["accepted", "rejected", "added"]] = Field(
        description="The verdict that counts, by finding: the latest that was not taken back"
    )


OfReading = Annotated[JobId | None, Field(description="The reading it is about; left out, the latest")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=TEXT)]


class Judgement(Wanted):
    """What the network said of a finding is accepted or rejected, or a finding is added to it."""

    verdict: Literal["accepted", "rejected", "added"]
    finding: FindingCode
    text: Text | None = None
    job_id: OfReading = None


class Remark(Wanted):
    """A comment on a finding, or on the whole reading."""

    verdict: Literal["comment"]
    finding: FindingCode | None = None
    text: Text
    job_id: OfReading = None


class ReviewRequest(RootModel[Annotated[Judgement | Remark, Field(discriminator="verdict")]]):
    """Something to say."""


@resource.get(
    "/studies/<study_id>/reviews",
    "The sheet",
    ReviewSheetShape,
    headers=_ETAG,
    answers={304: Answers("Not changed")},
)
def list_reviews(study_id: str) -> Reply:
    """What was said of a study."""
    sheet = services().reviews.sheet(study_id)
    if request.if_none_match.contains(sheet.version):
        return Reply(status=304, headers=asked_again(sheet.version))
    return _reply(sheet, 200)


@resource.post(
    "/studies/<study_id>/reviews",
    201,
    "The sheet as it is now",
    ReviewSheetShape,
    headers=_ETAG,
    body=ReviewRequest,
    audit="",
    if_match=True,
)
def add_review(study_id: str, body: ReviewRequest) -> Reply:
    """Say something of a reading of a study.

    A `job_id` that is no finished reading of this study answers 422. With `If-Match` it is only taken if
    nobody has reviewed the study since; else the answer is 412.
    """
    about = body.root.job_id
    reading = _reading(study_id, about)
    sheet, _ = services().reviews.add(
        study_id,
        Verdict(body.root.verdict),
        identify(),
        finding=body.root.finding,
        text=body.root.text,
        job_id=about,
        report=reading.report() if reading is not None else None,
        expected_version=_expected(),
        address=address(),
    )
    return _reply(sheet, 201)


@resource.delete(
    "/studies/<study_id>/reviews/<review_id>",
    200,
    "The sheet as it is now",
    ReviewSheetShape,
    headers=_ETAG,
    audit="",
    if_match=True,
    problems=(409,),
)
def undo_review(study_id: str, review_id: int) -> Reply:
    """Take back what one said; an administrator may take back what others said. The entry stays, marked."""
    sheet = services().reviews.undo(
        study_id, review_id, identify(), expected_version=_expected(), address=address()
    )
    return _reply(sheet, 200)


def _reading(study_id: str, job_id: str | None) -> Reading | None:
    """The reading that is spoken of; ``None`` where the study has none, or none of that job."""
    study = services().search.study(study_id)
    if job_id is None:
        return of_job(study.done) if study.done is not None else None
    named = reading_of(job_id)
    return named if named is not None and named.study_id == study.id else None


def _expected() -> str | None:
    """The version in ``If-Match``; ``None`` for any."""
    given = request.headers.get("If-Match", "")
    if given in ("", "*"):
        return None
    if not re.fullmatch(IF_MATCH, given):
        raise ProblemError(400, "malformed-etag", "If-Match takes one version in quotes, as ETag gave it.")
    return given.strip('"')


def _reply(sheet: ReviewSheet, status: int) -> Reply:
    body = ReviewSheetShape(
        study_id=sheet.study_id,
        entries=[ReviewShape.model_validate(entry) for entry in sheet.entries],
        standing={finding: entry.verdict.value for finding, entry in sheet.standing.items()},  # type: ignore[misc]
    )
    return Reply(body, status, asked_again(sheet.version))
