"""A study's finished reading, as pages, pictures and documents take it from the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import abort

from suite.errors import NotFoundError
from suite.jobs.catalogue import JobView, StudyView
from suite.records.jobs import JobRecord, find_job
from web.services import services


@dataclass(frozen=True, slots=True)
class Reading:
    """What one finished job made of a study; it never changes.

    Attributes:
        name: of its folder in the store.
        finished_at: seconds since 1970.
    """

    study_id: str
    job_id: str
    name: str
    finished_at: float

    def report(self) -> dict[str, Any]:
        """Its ``report.json`` as a mapping."""
        return services().store.report(self.study_id, self.name)

    def file(self, relative: str) -> Path:
        """Where one of its files is, or would be."""
        return services().store.file(self.study_id, self.name, relative)


def find_study(study_id: str) -> StudyView:
    """The study. 404 for an unknown one."""
    study = services().catalogue.study(study_id)
    if study is None:
        abort(404)
    return study


def latest_reading(study: StudyView) -> Reading | None:
    """The study's latest finished reading, if there is one."""
    return of_job(study.done) if study.done is not None else None


def read_study(study_id: str) -> tuple[StudyView, Reading]:
    """The study and its latest reading. 404 for an unknown study, 409 before there is a reading."""
    study = find_study(study_id)
    reading = latest_reading(study)
    if reading is None:
        abort(409, "This study has no finished reading yet; wait until its job is done.")
    return study, reading


def reading_of(job_id: str | None) -> Reading | None:
    """The reading of one job; ``None`` when there is no such job any more, or it made none."""
    if job_id is None:
        return None
    try:
        return of_job(find_job(services().database, job_id))
    except NotFoundError:
        return None


def of_job(job: JobView | JobRecord) -> Reading | None:
    """What a job made; ``None`` while it has made nothing, and for jobs that read no study."""
    if job.study_id is None or job.reading is None:
        return None
    return Reading(job.study_id, job.id, job.reading, job.finished_at or job.created_at)
