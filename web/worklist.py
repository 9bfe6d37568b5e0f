"""The worklist: what is to be read, in which order, by whom; handing films in; keeping up to date."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeVar

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    json,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from suite.accounts.principal import Scope
from suite.errors import StorageError
from suite.jobs.submission import Outcome
from suite.records.worklist import Listing, Worklist
from suite.records.worklist_queries import Order, Progress, Share, Wanted
from suite.report.withheld import without_probability
from web import display_ids
from web.access import needs
from web.api.intake import Handed, hand_in, spooled
from web.failures import wants_page
from web.identity import address, identify, is_local
from web.services import services
from web.streams import stream, streams
from web.studies import worker_state

blueprint = Blueprint("worklist", __name__)

PAGE_SIZE = 50

LAST_PAGE = 1_000_000
"""A larger number overflows the database's integers."""
TRIAGE_STATES = ("abnormal", "uncertain", "normal")
STREAM_SECONDS = 300.0
"""A stream ends after this; the browser comes back by itself."""

LOOK_SECONDS = 0.4
"""How often the tables are asked whether anything changed, for all streams of a process together."""

SILENCE_SECONDS = 1.5
"""A seat whose reader went away is noticed when nothing can be written to them any more."""

_LATERAL_FIELD = re.compile(r"lateral-(\d{1,4})")

E = TypeVar("E", bound=StrEnum)


class ChangeFeed:
    """The list's version, looked up at most every :data:`LOOK_SECONDS` however many streams ask."""

    def __init__(self, worklist: Worklist) -> None:
        self._worklist = worklist
        self._lock = threading.Lock()
        self._at, self._version = 0.0, ""

    def version(self) -> str:
        """The latest version."""
        with self._lock:
            if time.monotonic() - self._at >= LOOK_SECONDS:
                self._version = self._worklist.version()
                self._at = time.monotonic()
            return self._version


@blueprint.get("/")
def index() -> str:
    """The worklist, fifty studies a page, with what is asked for in the query."""
    return render_template("worklist/index.html", **_listing())


@blueprint.get("/studies/rows")
def rows() -> str:
    """The rows alone, for a page that keeps itself up to date."""
    return render_template("worklist/rows.html", **_listing())


@blueprint.get("/studies/changes")
def changes() -> Response:
    """Server-sent events: ``changed`` whenever a row may have. 204 when too many are open.

    204 is what an ``EventSource`` takes for "do not come back", without a complaint in the browser's console;
    the list asks now and then instead.
    """
    feed = current_app.extensions.setdefault("radsuite.list-feed", ChangeFeed(services().worklist))
    response = stream(_events(feed), streams().lists)
    return response if response is not None else Response(status=204)


@blueprint.post("/studies")
@needs(Scope.STUDIES_WRITE)
def upload() -> AnyResponse | tuple[str, int]:
    """Take films and zip archives: ``files``, and for a picture at index N its lateral as ``lateral-N``.

    422 when nothing could be taken; 413 when it is too much at once.
    """
    with services().store.staging() as staging:
        given = [item for item in request.files.getlist("files") if item.filename]
        laterals = {
            int(match[1]): item
            for name, item in request.files.items()
            if item.filename and (match := _LATERAL_FIELD.fullmatch(name))
        }
        if not given:
            abort(422, "No file was chosen; choose one or more films and hand them in again.")
        handed = [
            Handed(
                spooled(item, staging / str(index)),
                spooled(laterals[index], staging / f"lateral-{index}") if index in laterals else None,
            )
            for index, item in enumerate(given)
        ]
        outcome = hand_in(staging, handed)
    facts = {"studies": [item.study_id for item in outcome.accepted], "refused": len(outcome.refused)}
    services().trail.record(identify(), "study.uploaded", detail=facts, address=address())
    status = 200 if outcome.accepted else 422
    names = display_ids.of_all([item.study_id for item in outcome.accepted])
    if not wants_page():
        return Response(json.dumps(_fates(outcome, names)), status, content_type="application/json")
    if outcome.refused:
        return render_template("worklist/outcome.html", outcome=outcome, names=names), status
    return redirect(url_for("worklist.index"), 303)


@blueprint.get("/studies/<study_id>/next")
def following(study_id: str) -> AnyResponse:
    """The study to read after this one: the first in triage order that is read and that nobody else has."""
    found = services().worklist.following(study_id, identify().name)
    if found is None:
        return redirect(url_for("worklist.index"), 303)
    return redirect(url_for("studies.show", study_id=display_ids.of_all([found])[found]), 303)


@blueprint.post("/studies/<study_id>/assignment")
@needs(Scope.REVIEWS_WRITE)
def assign(study_id: str) -> AnyResponse:
    """Take a study, or give it back with ``give_back=yes``. 409 when somebody else took it meanwhile."""
    by = identify()
    to = None if request.form.get("give_back") == "yes" else by.name
    services().worklist.assign(study_id, by, to=to, address=address())
    return _back()


@blueprint.post("/studies/<study_id>/done")
@needs(Scope.REVIEWS_WRITE)
def finish(study_id: str) -> AnyResponse:
    """Note that a study is done, or with ``reopen=yes`` that it is not."""
    done = request.form.get("reopen") != "yes"
    services().worklist.finish(study_id, identify(), done=done, address=address())
    return _back()


@blueprint.app_template_filter("waited")
def waited(seconds: float) -> str:
    """A waiting time as people say it; never more exact than it needs to be."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} days"


blueprint.add_app_template_filter(without_probability)


def _listing() -> dict[str, Any]:
    wanted, page = _wanted(), min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)
    me = identify()
    found: Listing = services().worklist.page(wanted, me.name, offset=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE)
    return {
        "entries": found.entries,
        "total": found.total,
        "counts": found.counts,
        "wanted": wanted,
        "page": page,
        "pages": max(1, -(-found.total // PAGE_SIZE)),
        "address_of": _address_of,
        "me": me.name,
        "cap_hours": services().settings.waiting_cap_minutes / 60,
        "upload_limit_mb": services().settings.max_upload_mb,
        "is_live": streams().lists.count > 0,
        **worker_state(),
    }


def _wanted() -> Wanted:
    """What the query asks for; a word that is none of ours counts as not said."""
    triage = request.args.get("triage", "")
    return Wanted(
        text=request.args.get("q", "").strip()[:100],
        progress=_one_of(Progress, "show", Progress.OPEN),
        share=_one_of(Share, "who", Share.ANY),
        triage=triage if triage in TRIAGE_STATES else None,
        order=_one_of(Order, "sort", Order.TRIAGE),
    )


def _one_of(words: type[E], name: str, otherwise: E) -> E:
    given = request.args.get(name, "")
    return words(given) if given in set(words) else otherwise


def _address_of(endpoint: str = "worklist.index", **changes: object) -> str:
    """The list's address with what is asked for now, changed in some parts; what is usual is left out."""
    wanted = _wanted()
    values: dict[str, object] = {
        "q": wanted.text,
        "show": wanted.progress,
        "who": wanted.share,
        "triage": wanted.triage,
        "sort": wanted.order,
    } | changes
    usual = {"show": Progress.OPEN, "who": Share.ANY, "sort": Order.TRIAGE, "page": 1}
    kept = {name: value for name, value in values.items() if value and usual.get(name) != value}
    return url_for(endpoint, **kept)  # type: ignore[arg-type]


def _back() -> AnyResponse:
    """To the list as it was, or nothing for a script."""
    if not wants_page():
        return Response(status=204)
    back = request.form.get("back", "")
    return redirect(back if is_local(back) else url_for("worklist.index"), 303)


def _events(feed: ChangeFeed) -> Iterator[str]:
    began = said = time.monotonic()
    seen = ""
    yield "retry: 2000\n\n"
    while time.monotonic() - began < STREAM_SECONDS:
        try:
            version = feed.version()
        except StorageError:
            return
        if version != seen:
            yield f"event: changed\ndata: {version}\n\n"
            seen, said = version, time.monotonic()
        elif time.monotonic() - said >= SILENCE_SECONDS:
            yield ": nothing new\n\n"
            said = time.monotonic()
        time.sleep(LOOK_SECONDS)


def _fates(outcome: Outcome, names: dict[str, str]) -> dict[str, Any]:
    return {
        "accepted": [
            {
                "id": names.get(item.study_id, ""),
                "url": url_for("studies.show", study_id=names.get(item.study_id, "")),
                "names": item.names,
                "new": item.is_new,
            }
            for item in outcome.accepted
        ],
        "refused": [{"name": item.name, "sentence": item.sentence} for item in outcome.refused],
    }
