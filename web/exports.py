"""What leaves the house of a study: DICOM objects, everything as one archive, and a push to a node."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from suite.accounts.principal import Scope
from suite.dicom.attributes import text
from suite.dicom.network.nodes import Nodes
from suite.dicom.network.result_objects import result_objects
from suite.dicom.network.routing import enqueue
from suite.dicom.reading import read_dataset
from suite.errors import InputError
from suite.jobs.catalogue import StudyView
from suite.jobs.store import REPORT
from web import pixels
from web.access import needs
from web.identity import address, identify
from web.readings import Reading, read_study
from web.report_pdf import report_pdf
from web.services import services

blueprint = Blueprint("exports", __name__)

SERIES_OF_THE_SUITE = "radsuite: "
"""What the descriptions of its series begin with."""


@blueprint.get("/studies/<study_id>/objects")
def objects(study_id: str) -> str:
    """The DICOM objects of the latest reading, made now if they were not."""
    study, reading = read_study(study_id)
    files = [(path.name, _described(path), path.stat().st_size) for path in _objects(reading)]
    return render_template("exports/objects.html", study=study, files=files)


@blueprint.get("/studies/<study_id>/objects/<name>")
def one_object(study_id: str, name: str) -> Response:
    """One DICOM object as a file. 404 when the reading has none of that name."""
    _, reading = read_study(study_id)
    path = next((path for path in _objects(reading) if path.name == name), None)
    if path is None:
        abort(404, "This reading has no such object; load the list of objects again.")
    return send_file(path, mimetype="application/dicom", as_attachment=True, download_name=name)


@blueprint.get("/studies/<study_id>/everything.zip")
def everything(study_id: str) -> Response:
    """Report, pictures and DICOM objects of the latest reading as one archive."""
    study, reading = read_study(study_id)
    stream: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- the answer closes it
    # Pictures and objects are compressed already, or hardly can be.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in _everything(study, reading):
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
    study, reading = read_study(study_id)
    if not _objects(reading):
        raise InputError(
            "The film came as a picture, so there are no DICOM objects to send; hand in DICOM files."
        )
    node = Nodes(services().database).named(request.form.get("node", ""))
    enqueue(
        services().database, reading.job_id, node.id, time.time(), again=request.form.get("again") == "yes"
    )
    detail = {"node": node.destination.name, "job": reading.job_id}
    services().trail.record(identify(), "study.pushed", study.id, detail=detail, address=address())
    return redirect(url_for("reports.show", study_id=study.display_id) + "#send", 303)


def _described(path: Path) -> str:
    """What an object's header says its series holds; its name is a UID, which tells nobody anything."""
    said = text(read_dataset(path, path.name, pixels=False), "SeriesDescription") or ""
    words = said.removeprefix(SERIES_OF_THE_SUITE)
    return words[:1].upper() + words[1:]


def _objects(reading: Reading) -> list[Path]:
    parts = services()
    return result_objects(parts.settings, parts.database, parts.store).of_job(reading.job_id)


def _everything(study: StudyView, reading: Reading) -> Iterator[tuple[str, bytes | Path]]:
    written = services().written.of(study.id)
    if written is not None:
        yield "report.pdf", report_pdf(study, written)
    yield REPORT, reading.file(REPORT)
    report = reading.report()
    names = set(pixels.stored_images(report).values())
    names |= {path for paths in pixels.heatmap_layers(report).values() for path in paths.values()}
    for name in sorted(names):
        path = reading.file(name)
        if path.is_file():
            yield f"images/{name}", path
    for path in _objects(reading):
        yield f"dicom/{path.name}", path
