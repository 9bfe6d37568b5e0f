"""The pages and the interface for programs. Imports the kernel only, and never a network."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from suite.settings import Settings, load_settings
from web import access, api, dicomweb, failures, health, pixels, presentation, security, studies, viewer_files
from web.services import Services, open_services

__all__ = ["create_app"]


def create_app(settings: Settings | None = None, *, services: Services | None = None) -> Flask:
    """The application, ready for any WSGI server.

    Args:
        settings: ``None`` reads them from the environment, as under ``radsuite serve``.
        services: parts to use instead of those the settings name (tests).

    Raises:
        RecipeError: a setting is wrong.
        StorageError: the data folder or the database cannot be used.
    """
    settings = settings or load_settings()
    here = Path(__file__).parent
    app = Flask(__name__, template_folder=str(here / "templates"), static_folder=str(here / "static"))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["radsuite"] = services or open_services(settings)
    security.init_app(app, settings)
    access.init_app(app, settings)
    presentation.init_app(app)
    failures.init_app(app)
    for module in (studies, pixels, health, viewer_files):
        app.register_blueprint(module.blueprint)
    api.init_app(app)
    dicomweb.init_app(app)
    if settings.secret is not None:  # reachable by others, so a proxy that ends TLS may stand in front
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]
    return app
