"""Studies: found, handed in, removed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import request
from pydantic import Field

from suite.accounts.principal import Scope
from suite.jobs.models import JobState
from suite.records.removal import remove_study
from suite.records.search import Filter, Position, SortKey, StudyRecord
from web.api.intake import Handed, Outcome, hand_in, replied, spooled
from web.api.jobs import JobShape
from web.api.names import TEXT
from web.api.operations import ROOT, Reply
from web.api.paging import Cursor, Limit, paged, position_of, to_cursor
from web.api.problems import ProblemError
from web.api.resources import Resource
from web.api.shapes import AskedMoment, Moment, Shape, Wanted
from web.identity import address, identify
from web.services import services

resource = Resource("studies", reads=Scope.STUDIES_READ, writes=Scope.STUDIES_WRITE)

erasing = Resource("studies", reads=Scope.STUDIES_READ, writes=Scope.STUDIES_DELETE)

_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
FORM = {
    "multipart/form-data": {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {
            "files": {
                "type": "array",
                "minItems": 1,
                "items": _FILE,
                "description": "Films (DICOM, PNG, JPEG, TIFF), and zip archives of films",
            },
            "lateral": {
                **_FILE,
                "description": "The lateral film of the one film in `files`; DICOM views find each other",
            },
        },
    }
}


class StudyShape(Shape):
    """One study, its latest job, and its latest finished reading (which may be the same)."""

    id: str
    frontal_name: str | None = Field(description="Name the film came with; shown, never a path")
    lateral_name: str | None
    created_at: Moment
    latest: JobShape | None
    done: JobShape | None
    links: dict[str, str] = Field(description="Addresses by what is there")


class StudyPage(Shape):
    """Some studies."""

    items: list[StudyShape]
    total: int = Field(description="Studies that the filter lets through")
    next: str | None = Field(description="`cursor` of the next page")


class StudyQuery(Wanted):
    """Which studies."""

    text: Annotated[str, Field(min_length=1, max_length=100, pattern=TEXT)] | None = Field(
        None, description="Part of the id or of a film's name"
    )
    state: list[JobState] | None = Field(None, description="States of the latest job")
    triage: Literal["normal", "abnormal", "uncertain"] | None = None
    created_from: AskedMoment | None = None
    created_before: AskedMoment | None = None
    sort: SortKey = SortKey.CREATED
    order: Literal["asc", "desc"] = "desc"
    limit: Limit = 50
    cursor: Cursor | None = None


@resource.page("/studies", "Some studies", StudyPage, StudyQuery)
def list_studies(query: StudyQuery) -> Reply:
    """Studies, filtered and sorted, page by page."""
    wanted = Filter(
        text=query.text,
        states=frozenset(query.state or ()),
        triage=query.triage,
        created_from=query.created_from.timestamp() if query.created_from else None,
        created_before=query.created_before.timestamp() if query.created_before else None,
    )
    page = services().search.page(
        wanted,
        sort=query.sort,
        descending=query.order == "desc",
        after=_position(query),
        limit=query.limit,
    )
    order = (query.sort.value, query.order)
    following = to_cursor(*order, page.next.value, page.next.study_id) if page.next else None
    items = [shape_of(study) for study in page.studies]
    return paged(StudyPage(items=items, total=services().search.count(wanted), next=following), following)


@resource.post(
    "/studies",
    200,
    "The fate of each file; at least one was taken",
    Outcome,
    media=FORM,
    max_body=None,
    audit="studies.handed_in",
)
def hand_in_films() -> Reply:
    """Hand in films and zip archives of films.

    Each study that is taken gets a job. The same films again are the same study, and `new` is false. Where no
    file could be taken the answer is 422, with each file's fate in `refused`.
    """
    if request.mimetype != "multipart/form-data":
        raise ProblemError(415, "unsupported-media-type", "Send the films as multipart/form-data.")
    unknown = sorted({*request.form, *request.files} - {"files", "lateral"})
    given = [item for item in request.files.getlist("files") if item.filename]
    laterals = [item for item in request.files.getlist("lateral") if item.filename]
    if unknown or not given or "files" in request.form or "lateral" in request.form:
        wrong = ", ".join(unknown) or "files"
        raise ProblemError(
            422, "invalid-request", f"{wrong}: send films as parts named `files`, each with a file name."
        )
    if len(laterals) > 1 or (laterals and len(given) != 1):
        raise ProblemError(422, "invalid-request", "A lateral belongs to one film; send one of each.")
    with services().store.staging() as staging:
        films = [spooled(item, staging / str(index)) for index, item in enumerate(given)]
        lateral = spooled(laterals[0], staging / "lateral") if laterals else None
        return replied(hand_in(staging, [Handed(film, lateral) for film in films]))


@resource.get("/studies/<study_id>", "The study", StudyShape)
def get_study(study_id: str) -> StudyShape:
    """One study."""
    return shape_of(services().search.study(study_id))


@erasing.delete("/studies/<study_id>", 204, "It is gone", audit="", problems=(409,))
def delete_study(study_id: str) -> Reply:
    """Remove a study with its films, readings and reviews.

    What was received over the network for it goes too. The audit trail keeps its lines. A study that is being
    read answers 409.
    """
    parts = services()
    remove_study(
        parts.database, parts.store, parts.settings.data, parts.trail, study_id, identify(), address()
    )
    return Reply(status=204)


def shape_of(study: StudyRecord) -> StudyShape:
    """The study as it is sent."""
    base = f"{ROOT}/studies/{study.id}"
    links = {"self": base, "reviews": f"{base}/reviews", "written": f"{base}/written-report"}
    if study.done is not None:
        links |= {name: f"{base}/{name}" for name in ("report", "images", "thumbnail")}
    values: dict[str, Any] = {name: getattr(study, name) for name in ("latest", "done")}
    jobs = {name: JobShape.model_validate(job) if job else None for name, job in values.items()}
    return StudyShape(
        id=study.id,
        frontal_name=study.frontal_name,
        lateral_name=study.lateral_name,
        created_at=study.created_at,  # type: ignore[arg-type]
        links=links,
        **jobs,
    )


def _position(query: StudyQuery) -> Position | None:
    parts = position_of(query, str, str, (int, float, str), str)
    if parts is None:
        return None
    sort, order, value, study_id = parts
    if (sort, order) != (query.sort.value, query.order) or isinstance(value, str) != (sort == SortKey.ID):
        raise ProblemError(
            422, "invalid-cursor", "The cursor is from another order; begin again without one."
        )
    return Position(value, study_id)
