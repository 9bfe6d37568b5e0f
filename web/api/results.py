"""Reports and pictures of readings: of a study's latest, or of one job, which never changes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

from flask import Response, send_file
from pydantic import Field

from suite.accounts.principal import Scope
from suite.errors import ConflictError, NotFoundError
from suite.jobs.store import REPORT
from suite.records.jobs import find_job
from web import pixels
from web.api.caching import ASK_AGAIN, CACHED, FOREVER, NOT_CHANGED
from web.api.document import REPORT as REPORT_SCHEMA
from web.api.document import SCHEMAS
from web.api.operations import ROOT, Answers
from web.api.resources import Resource
from web.api.shapes import Shape
from web.readings import Reading, of_job
from web.services import services

resource = Resource("results", reads=Scope.STUDIES_READ, writes=Scope.STUDIES_WRITE)

_JSON = {"application/json": {"$ref": SCHEMAS + REPORT_SCHEMA}}
_PNG = {"image/png": {"type": "string", "contentMediaType": "image/png"}}
_REPORT_ANSWERS = {
    200: Answers("The report, schema radsuite.report/1", media=_JSON, headers=CACHED),
    304: NOT_CHANGED,
}
_IMAGE_ANSWERS = {
    200: Answers("The picture; grey pictures have 16 bits", media=_PNG, headers=CACHED),
    206: Answers("The part that `Range` asked for", media=_PNG, headers=CACHED),
    304: NOT_CHANGED,
}

_THUMBNAIL_ANSWERS = {status: answer for status, answer in _IMAGE_ANSWERS.items() if status != 206}


class ImageShape(Shape):
    """One picture of a reading."""

    name: str
    url: str = Field(description="Of this reading: what is there never changes")
    bytes: int


class ImageList(Shape):
    """The pictures of one reading."""

    job_id: str
    items: list[ImageShape]


@resource.get("/studies/<study_id>/report", answers=_REPORT_ANSWERS)
def get_report(study_id: str) -> Response:
    """The report of a study's latest finished reading. 404 before there is one."""
    return _report(_latest(study_id), ASK_AGAIN)


@resource.get("/jobs/<job_id>/report", problems=(409,), answers=_REPORT_ANSWERS)
def get_report_of_job(job_id: str) -> Response:
    """The report of one job. 409 while the job has no result."""
    return _report(_done(job_id), FOREVER)


@resource.get("/studies/<study_id>/images", "The pictures", ImageList)
def list_images(study_id: str) -> ImageList:
    """The pictures of a study's latest finished reading. 404 before there is one."""
    reading = _latest(study_id)
    found = []
    for name, path in _pictures(reading.report()).items():
        file = reading.file(path)
        if file.is_file():
            address = f"{ROOT}/jobs/{reading.job_id}/images/{name}"
            found.append(ImageShape(name=name, url=address, bytes=file.stat().st_size))
    return ImageList(job_id=reading.job_id, items=found)


@resource.get("/studies/<study_id>/images/<image>", problems=(416,), answers=_IMAGE_ANSWERS)
def get_image(study_id: str, image: str) -> Response:
    """One picture of a study's latest finished reading, as PNG."""
    return _image(_latest(study_id), image, ASK_AGAIN)


@resource.get("/jobs/<job_id>/images/<image>", problems=(409, 416), answers=_IMAGE_ANSWERS)
def get_image_of_job(job_id: str, image: str) -> Response:
    """One picture of one job's reading, as PNG; it never changes."""
    return _image(_done(job_id), image, FOREVER)


@resource.get("/studies/<study_id>/thumbnail", answers=_THUMBNAIL_ANSWERS)
def get_thumbnail(study_id: str) -> Response:
    """A small picture of the film, for lists."""
    _latest(study_id)
    return pixels.thumbnail(study_id)


def _latest(study_id: str) -> Reading:
    job = services().search.study(study_id).done
    reading = of_job(job) if job is not None else None
    if reading is None:
        raise NotFoundError(f"{study_id}: has no finished reading yet; wait until its job is done.")
    return reading


def _done(job_id: str) -> Reading:
    job = find_job(services().database, job_id)
    reading = of_job(job)
    if reading is None:
        raise ConflictError(f"Job {job_id} is {job.state} and has no result; wait until it is done.")
    return reading


def _pictures(report: Mapping[str, Any]) -> dict[str, str]:
    """Paths by name: films, layers, masks, and a heatmap for each finding and view."""
    heatmaps = {
        f"heatmap-{code}-{view}": path
        for code, paths in pixels.heatmap_layers(report).items()
        for view, path in paths.items()
    }
    return pixels.stored_images(report) | heatmaps


def _report(reading: Reading, cache: str) -> Response:
    return _file(reading, REPORT, "application/json", f"{reading.study_id}-report.json", cache)


def _image(reading: Reading, name: str, cache: str) -> Response:
    path, study = _pictures(reading.report()).get(name), reading.study_id
    if path is None:
        raise NotFoundError(f"{study}: has no picture {name}; list the pictures to see which it has.")
    return _file(reading, path, "image/png", f"{study}-{name}.png", cache)


def _file(reading: Reading, relative: str, kind: str, name: str, cache: str) -> Response:
    path = reading.file(relative)
    if not path.is_file():
        raise NotFoundError(f"{reading.study_id}: {relative} is missing in the store; read the study again.")
    etag = hashlib.sha256(f"{reading.job_id}/{reading.name}/{relative}".encode()).hexdigest()[:32]
    source = path if kind != "application/json" else io.BytesIO(path.read_bytes())
    response = send_file(
        source, mimetype=kind, as_attachment=True, download_name=name, conditional=True, etag=etag
    )
    response.headers["Cache-Control"] = cache
    return response
