"""The viewer's modules as they are written, without a build step, and what they ask for besides pixels."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint

from web import priors

blueprint = Blueprint(
    "viewer", __name__, static_folder=str(Path(__file__).parent / "viewer"), static_url_path="/viewer"
)
blueprint.register_blueprint(priors.blueprint)
