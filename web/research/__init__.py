"""The research pages: what the networks were measured to do, and how they fare here."""

from __future__ import annotations

from flask import Flask

from web.research import ablations, agreement, calibration, cards, playground, runs

__all__ = ["init_app"]

MODULES = (cards, calibration, agreement, ablations, runs, playground)


def init_app(app: Flask) -> None:
    """Register all of them."""
    for module in MODULES:
        app.register_blueprint(module.blueprint)
