"""``/api/v1``: the interface for programs. Each module declares the operations of one resource."""

from __future__ import annotations

from flask import Flask, Response, json

from web.api import accounts, events, jobs, models, nodes, results, reviews, studies, uploads, written
from web.api.document import write_document
from web.api.operations import Answers, api

__all__ = ["RESOURCES", "init_app"]

RESOURCES = (studies, uploads, jobs, events, results, reviews, written, models, nodes, accounts)
"""Importing a module declares its operations; the document lists them in this order."""

_written: list[str] = []


@api.operation(
    "GET",
    "/openapi.json",
    tag="accounts",
    scope=None,
    answers={200: Answers("OpenAPI 3.1", media={"application/json": {"type": "object"}})},
)
def get_document() -> Response:
    """This document."""
    if not _written:
        _written.append(json.dumps(write_document(api)))
    return Response(_written[0], content_type="application/json", headers={"Cache-Control": "max-age=300"})


def init_app(app: Flask) -> None:
    """Answer below ``/api/v1``."""
    app.register_blueprint(api.blueprint)
