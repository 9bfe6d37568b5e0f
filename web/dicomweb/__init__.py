"""DICOMweb (PS3.18) below ``/api/dicomweb``: STOW-RS in, QIDO-RS and WADO-RS out."""

from __future__ import annotations

from flask import Flask

from web.dicomweb import retrieving, searching, storing
from web.dicomweb.service import blueprint, open_service

__all__ = ["init_app"]

VIEWS = (storing, searching, retrieving)
"""Importing a module adds its views to the blueprint."""


def init_app(app: Flask) -> None:
    """Answer below ``/api/dicomweb``."""
    open_service(app)
    app.register_blueprint(blueprint)
