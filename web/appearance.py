"""The dark reading theme, and the light one for those who want it: a cookie, so that no page flashes."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, request, url_for
from werkzeug.wrappers import Response

from web.identity import is_local

blueprint = Blueprint("appearance", __name__)

COOKIE = "radsuite_theme"
THEMES = ("dark", "light")
_YEAR_SECONDS = 365 * 24 * 3600


def init_app(app: Flask) -> None:
    """Tell every page which theme is chosen."""
    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"theme": chosen()})


def chosen() -> str:
    """The reader's theme; dark unless they said otherwise."""
    theme = request.cookies.get(COOKIE, "")
    return theme if theme in THEMES else THEMES[0]


@blueprint.post("/theme")
def choose() -> Response:
    """Change the theme, and lead back to the page where that was asked for."""
    theme = request.form.get("theme", "")
    back = request.form.get("back", "")
    response = redirect(back if is_local(back) else url_for("worklist.index"), 303)
    if theme in THEMES:
        response.set_cookie(
            COOKIE,
            theme,
            max_age=_YEAR_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure,
        )
    return response
