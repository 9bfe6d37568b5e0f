"""Jobs: readings that were asked for, where they stand, and stopping or repeating them."""

from __future__ import annotations

import time
from typing import Annotated, Any

from pydantic import Field

from suite.accounts.principal import Scope
from suite.errors import ConflictError
from suite.jobs import requests
from suite.jobs.models import JobKind, JobState, QueueName
from suite.records.jobs import JobRecord, find_job, list_jobs
from web.api.names import STUDY_ID
from web.api.operations import ROOT, Reply
from web.api.paging import Cursor, Limit, page_of, position_of, rows_for
from web.api.resources import Resource
from web.api.shapes import Moment, Shape, Wanted
from web.identity import identify
from web.services import services

resource = Resource("jobs", reads=Scope.STUDIES_READ, writes=Scope.STUDIES_WRITE)


class StageShape(Shape):
    """One stage of the latest attempt."""

    name: str
    state: str
    seconds: float | None = Field(description="Once it is finished")


class JobShape(Shape):
    """One job as it stands."""

    id: str
    study_id: str | None = Field(description="Null for training runs")
    kind: JobKind
    queue: QueueName
    state: JobState
    override_gate: bool
    override_checks: list[str] = Field(description="Checks of the gate that the film may fail")
    priority: float = Field(description="Higher is read sooner; only ever raised")
    priority_reason: str | None
    attempts: int
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    cancel_requested: bool
    error: str | None = Field(description="Why it ended without a result, and what to do now")
    device_fallback: str | None = Field(description="What ran on the CPU because the GPU refused")
    summary: dict[str, Any] | None = Field(description="Gate, triage and leading findings, once done")
    stages: list[StageShape]


class JobPage(Shape):
    """Some jobs, the newest first."""

    items: list[JobShape]
    next: str | None = Field(description="`cursor` of the next page")


class JobQuery(Wanted):
    """Which jobs."""

    state: list[JobState] | None = None
    study: str | None = Field(None, pattern=STUDY_ID)
    limit: Limit = 50
    cursor: Cursor | None = None


class JobRequest(Wanted):
    """How a study is read."""

    override_gate: bool = Field(False, description="Read it even if the gate refuses the film")
    override_checks: list[Annotated[str, Field(max_length=64)]] = Field(
        [],
        max_length=64,
        description="Read it even if it fails these checks, by their names in `gate.checks` of the report",
    )


@resource.page("/jobs", "Some jobs", JobPage, JobQuery)
def list_all_jobs(query: JobQuery) -> Reply:
    """Jobs, the newest first."""
    created, job_id = position_of(query, (int, float), str) or (None, "")
    rows = list_jobs(
        services().database,
        states=frozenset(query.state or ()),
        study_id=query.study,
        before=None if created is None else (float(created), job_id),
        limit=rows_for(query),
    )
    return page_of(JobPage, rows, query, shape_of, lambda job: (job.created_at, job.id))


@resource.post(
    "/studies/<study_id>/jobs",
    202,
    "The job; an unfinished one for the same is given again",
    JobShape,
    at="The job",
    body=JobRequest,
    audit="job.requested",
)
def request_reading(study_id: str, body: JobRequest) -> Reply:
    """Ask for a reading of a study. A check that is none of the gate's answers 422."""
    parts = services()
    parts.search.study(study_id)
    gate, checks = body.override_gate, body.override_checks
    job_id = parts.queue.submit(study_id, override_gate=gate, override_checks=checks)
    parts.publish(job_id)
    return _at(job_id, {"job": job_id, "override_gate": gate, "override_checks": checks})


@resource.get("/jobs/<job_id>", "The job", JobShape)
def get_job(job_id: str) -> JobShape:
    """One job."""
    return shape_of(find_job(services().database, job_id))


@resource.post(
    "/jobs/<job_id>/cancel",
    202,
    "The job; one that runs stops at its next stage",
    JobShape,
    at="The job",
    audit="job.cancelled",
)
def cancel_job(job_id: str) -> Reply:
    """Stop a job. One that has ended answers 409."""
    database = services().database
    job = find_job(database, job_id)
    if job.state.is_final:
        raise ConflictError(f"Job {job_id} is {job.state} already; there is nothing to cancel.")
    requests.cancel(database, job_id, time.time(), by=identify().name)
    return _at(job_id)


@resource.post("/jobs/<job_id>/retry", 202, "The new job", JobShape, at="The new job", audit="job.retried")
def retry_job(job_id: str) -> Reply:
    """Ask again for what a failed, cancelled or dead job asked for. Any other answers 409.

    Stages that were finished are not computed again.
    """
    parts = services()
    job = find_job(parts.database, job_id)
    if not job.state.may_be_retried:
        raise ConflictError(f"Job {job_id} is {job.state}; only failed, cancelled or dead jobs are retried.")
    new_id, queue = requests.retry(parts.database, job_id, time.time())
    parts.publish(new_id, queue.value)
    return _at(new_id, {"of": job_id})


def shape_of(job: JobRecord) -> JobShape:
    """The job as it is sent."""
    return JobShape.model_validate(job)


def _at(job_id: str, detail: dict[str, Any] | None = None) -> Reply:
    job = shape_of(find_job(services().database, job_id))
    headers = {"Location": f"{ROOT}/jobs/{job_id}"}
    return Reply(job, 202, headers, subject=job.study_id or job_id, detail=detail or {"job": job_id})
