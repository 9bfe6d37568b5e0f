"""Data sets that can be read, and training runs that were submitted, with how far they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, render_template
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from suite.accounts.principal import Role, Scope
from suite.datasets.registry import KINDS
from suite.jobs.catalogue import JobView, job_view
from suite.jobs.models import Job, JobKind
from suite.jobs.training import training_folder
from web.access import needs
from web.services import services

blueprint = Blueprint("runs", __name__)

LIMIT = 100
LOG_BYTES = 6_000
FIGURES = "metrics.json"


@blueprint.get("/research/runs")
@needs(Scope.STUDIES_READ, Role.RESEARCHER, Role.ADMIN)
def index() -> str:
    """The latest runs, and the data sets."""
    return render_template(
        "research/runs.html", runs=[(job_view(row), row.request) for row in _rows()], kinds=KINDS
    )


@blueprint.get("/research/runs/<job_id>")
@needs(Scope.STUDIES_READ, Role.RESEARCHER, Role.ADMIN)
def show(job_id: str) -> str:
    """One run: what was asked for, its figures, the end of its log. 404 for an unknown one."""
    row = next(iter(_rows(job_id)), None)
    if row is None:
        abort(404, "There is no training run of that number; look for it in the list of runs.")
    run: JobView = job_view(row)
    request = dict(row.request or {})
    folder = training_folder(services().settings, str(request.get("out") or run.id))
    return render_template(
        "research/run.html",
        run=run,
        request_=request,
        figures=_figures(folder),
        log=_log_end(folder / "log.txt"),
    )


def _rows(job_id: str | None = None) -> list[Job]:
    wanted = select(Job).options(selectinload(Job.stage_runs)).where(Job.kind != JobKind.READING.value)
    if job_id is not None:
        wanted = wanted.where(Job.id == job_id)
    with services().database.read() as session:
        return list(session.scalars(wanted.order_by(Job.created_at.desc()).limit(LIMIT)))


def _figures(folder: Path) -> dict[str, Any]:
    """Measured figures, where the run left any that can be read."""
    try:
        content = json.loads((folder / FIGURES).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    metrics = content.get("metrics", content) if isinstance(content, dict) else {}
    return {
        name: figure for name, figure in metrics.items() if isinstance(figure, dict) and "value" in figure
    }


def _log_end(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
