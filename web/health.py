"""Signs of life for supervisors and load balancers, and numbers for Prometheus. None names a patient."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app

from suite.errors import StorageError
from suite.jobs import probes
from suite.version import __version__
from web.metrics import exposition
from web.services import services

blueprint = Blueprint("health", __name__)

_NOT_REQUIRED = frozenset({"workers"})
"""Without a worker pages are served and films taken; they are read once there is one."""


@blueprint.get("/healthz")
def healthz() -> tuple[dict[str, Any], int]:
    """Whether this process is alive: 200 while the database answers, 503 when it does not."""
    try:
        services().catalogue.count()
    except StorageError:
        return {"status": "failing", "database": "not reachable", "version": __version__}, 503
    return {"status": "ok", "database": "ok", "version": __version__}, 200


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Whether films can be taken: 200, or 503 when database, broker, store or disk are unwell.

    Missing workers are told and are no reason to send films elsewhere.
    """
    found = list(probes.readiness(services().database, services().settings))
    ready = all(probe.well for probe in found if probe.name not in _NOT_REQUIRED)
    checks = {probe.name: {"well": probe.well, "detail": probe.detail} for probe in found}
    return {"status": "ok" if ready else "failing", "checks": checks}, 200 if ready else 503


@blueprint.get("/metrics")
def metrics() -> Response | tuple[Response, int]:
    """Numbers in Prometheus' text format; 503 while the database does not answer."""
    try:
        body, kind = exposition(services())
    except StorageError:
        return current_app.response_class("database not reachable\n", mimetype="text/plain"), 503
    return current_app.response_class(body, content_type=kind)
