"""A sign of life for supervisors and load balancers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from suite.errors import StorageError
from suite.version import __version__
from web.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> tuple[dict[str, Any], int]:
    """200 while the database answers, 503 when it does not."""
    try:
        services().catalogue.count()
    except StorageError:
        return {"status": "failing", "database": "not reachable", "version": __version__}, 503
    return {"status": "ok", "database": "ok", "version": __version__}, 200
