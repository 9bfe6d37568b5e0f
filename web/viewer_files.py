"""The viewer's modules as they are written: no build step stands between the source and the browser."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint

blueprint = Blueprint(
    "viewer", __name__, static_folder=str(Path(__file__).parent / "viewer"), static_url_path="/viewer"
)
