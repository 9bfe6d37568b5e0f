"""The pages and the interface for programs. Imports the kernel only, and never a network."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from suite.settings import Settings, load_settings
from web import (
    access,
    account,
    api,
    appearance,
    audit,
    dicomweb,
    display_ids,
    exports,
    failures,
    health,
    oidc,
    people,
    pixels,
    presentation,
    reports,
    research,
    rooms,
    security,
    streams,
    studies,
    viewer_files,
    worklist,
)
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
    access.init_app(app, settings)  # first: who is not let in sends no film either
    security.init_app(app, settings)
    appearance.init_app(app)
    audit.init_app(app)
    oidc.init_app(app, settings)
    display_ids.init_app(app)
    rooms.init_app(app)
    research.init_app(app)
    presentation.init_app(app)
    failures.init_app(app)
    streams.init_app(app, settings)
    for module in (worklist, studies, reports, exports, account, people, pixels, health, viewer_files):
        app.register_blueprint(module.blueprint)
    api.init_app(app)
    dicomweb.init_app(app)
    if settings.public_url is not None:  # a proxy that ends TLS stands in front, and tells who asks
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    elif (
        settings.secret is not None
    ):  # one may stand there, on this computer; it is believed in its scheme only
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]
    return app
