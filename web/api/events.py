"""Progress of a job as server-sent events: one event for each change, and a sign of life in between."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from flask import Response, request

from suite.errors import NotFoundError
from suite.jobs.database import Database
from suite.jobs.watching import watch
from suite.records.jobs import find_job
from web.api.jobs import resource, shape_of
from web.api.operations import Answers
from web.api.problems import ProblemError
from web.services import services
from web.streams import MEDIA_TYPE, stream, streams

STREAM_SECONDS = 300.0
"""A stream ends after this; the browser comes back by itself and says what it has seen."""

SILENCE_SECONDS = 10.0
"""Proxies end a connection on which nothing is said for long."""

RETRY_MILLISECONDS = 1000
_EVENT_ID = r"^[A-Za-z0-9._-]{0,200}$"


@resource.get(
    "/jobs/<job_id>/events",
    request_headers={
        "Last-Event-ID": {
            "type": "string",
            "pattern": _EVENT_ID,
            "description": "`id` of the last event that was seen; what is older is not sent again",
        }
    },
    answers={
        200: Answers(
            "Events named `job`, then one named `end`; the data of both is the job as JSON",
            media={MEDIA_TYPE: {"description": "Server-sent events"}},
        )
    },
)
def watch_job(job_id: str) -> Response:
    """Follow a job until it has ended, as server-sent events.

    A stream ends after five minutes at the latest; reconnect with `Last-Event-ID`. At most half of the
    server's threads stream at once, and the only one never; beyond that the answer is 503.
    """
    database = services().database
    find_job(database, job_id)
    after = request.headers.get("Last-Event-ID")
    if after is not None and not re.fullmatch(_EVENT_ID, after):
        raise ProblemError(400, "malformed-event", "Last-Event-ID is none of ours; begin without it.")
    response = stream(_events(database, job_id, after), streams().jobs)
    if response is None:
        raise ProblemError(
            503, "no-seat", "Too many streams are open; ask for the job itself, or try again in a moment.",
            headers={"Retry-After": "5"},
        )  # fmt: skip
    return response


def _events(database: Database, job_id: str, after: str | None) -> Iterator[str]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    said = time.monotonic()
    for change in watch(database, job_id, after=after, timeout_seconds=STREAM_SECONDS):
        if change is not None:
            try:
                job = shape_of(find_job(database, job_id))
            except NotFoundError:
                return
            name = "end" if change.final else "job"
            yield f"id: {change.version}\nevent: {name}\ndata: {job.model_dump_json()}\n\n"
            said = time.monotonic()
        elif time.monotonic() - said >= SILENCE_SECONDS:
            yield ": still at work\n\n"
            said = time.monotonic()
