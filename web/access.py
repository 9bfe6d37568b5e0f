"""The door: a page that asks for the access token, where one is set."""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from suite.settings import Settings
from web.api.problems import is_api
from web.services import services

blueprint = Blueprint("access", __name__)

OPEN_ENDPOINTS = frozenset(
    {"access.login", "access.enter", "health.healthz", "health.readyz", "health.metrics", "static"}
)
MAX_FAILURES = 10
FAILURE_WINDOW_SECONDS = 300.0


class FailureLimit:
    """Counts wrong tokens of the whole service; guessing is slowed, whatever address it comes from."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_FAILURES)
        self._lock = threading.Lock()

    def note(self) -> None:
        """One more wrong token."""
        with self._lock:
            self._times.append(time.monotonic())

    def is_reached(self) -> bool:
        """Whether so many were wrong lately that nobody is let in for a while."""
        with self._lock:
            full = len(self._times) == MAX_FAILURES
            return full and time.monotonic() - self._times[0] < FAILURE_WINDOW_SECONDS


def init_app(app: Flask, settings: Settings) -> None:
    """Register the login page, and close every other page where a secret is set."""
    app.register_blueprint(blueprint)
    app.extensions["radsuite.failures"] = FailureLimit()
    if settings.secret is not None:
        app.before_request(_require_login)
    app.jinja_env.globals["login_needed"] = settings.secret is not None


@blueprint.get("/login")
def login() -> str:
    """The login page."""
    return render_template("access/login.html", wanted=_local_path(request.args.get("next", "")))


@blueprint.post("/login")
def enter() -> Response | tuple[str, int]:
    """Check the token. 401 when it is wrong, 429 after too many wrong ones."""
    limit: FailureLimit = current_app.extensions["radsuite.failures"]
    if limit.is_reached():
        abort(429, "Too many wrong tokens; wait five minutes and try again.")
    secret = services().settings.secret
    expected = secret.get_secret_value() if secret is not None else ""
    wanted = _local_path(request.form.get("next", ""))
    if not expected or not hmac.compare_digest(request.form.get("token", "").encode(), expected.encode()):
        limit.note()
        return render_template("access/login.html", wanted=wanted, wrong=True), 401
    session.clear()
    session.permanent = True
    session["entered"] = True
    return redirect(wanted, 303)


@blueprint.post("/logout")
def leave() -> Response:
    """End the session."""
    session.clear()
    return redirect(url_for("access.login"), 303)


def _require_login() -> Response | None:
    if is_api():  # asks for itself: programs bring tokens
        return None
    if request.endpoint in OPEN_ENDPOINTS or session.get("entered"):
        return None
    if request.method != "GET" or "text/html" not in request.headers.get("Accept", ""):
        abort(401, "Your session has ended; load the page and enter the access token again.")
    return redirect(url_for("access.login", next=request.path))


def _local_path(wanted: str) -> str:
    """Only a path of this site: no other host, no backslash that a browser reads as a slash."""
    parts = urlsplit(wanted)
    is_local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if is_local and not parts.netloc and not parts.scheme else url_for("studies.index")
