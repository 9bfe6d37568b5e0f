"""The door: signing in by password, access token or one-time link; and who may do what."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Blueprint, Flask, abort, g, redirect, render_template, request, session, url_for
from werkzeug.exceptions import SecurityError
from werkzeug.wrappers import Response

from suite.accounts.principal import Role, Scope
from suite.accounts.users import Account
from suite.errors import AccessError
from suite.settings import Settings
from web import identity
from web.api.problems import is_api
from web.identity import NotIdentifiedError, attempts, begin_session, identify
from web.services import services

blueprint = Blueprint("access", __name__)

OPEN_ENDPOINTS = frozenset(
    {
        "access.login",
        "access.enter",
        "access.enter_once",
        "access.leave",
        "appearance.choose",
        "oidc.begin",
        "oidc.finish",
        "health.healthz",
        "health.readyz",
        "health.metrics",
        "static",
    }
)

P = ParamSpec("P")
R = TypeVar("R")


def init_app(app: Flask, settings: Settings) -> None:
    """Register the login page, and close every other page to those who have not signed in."""
    app.register_blueprint(blueprint)
    app.before_request(_require_login)
    app.context_processor(_who)
    app.jinja_env.globals["login_needed"] = settings.needs_sign_in


def needs(scope: Scope, *roles: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A page for those who have the scope, and one of the roles where any are named. Others get 403."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            principal = identify()
            if not principal.may(scope) or (roles and principal.role not in roles):
                wanted = " or ".join(roles) or "other"
                abort(
                    403,
                    f"This is for the role {wanted}, and {principal.name} is {principal.role}; "
                    "ask an administrator.",
                )
            return view(*args, **kwargs)

        return guarded

    return guard


@blueprint.get("/login")
def login() -> str:
    """The login page."""
    return _page(wanted=_local_path(request.args.get("next", "")))


@blueprint.post("/login")
def enter() -> Response | tuple[str, int]:
    """Check name and password, or the access token. 401 when wrong, 429 after too many wrong ones."""
    _check_attempts()
    wanted, shown = _local_path(request.form.get("next", "")), request.form.get("token", "")
    try:
        account = _account_of(shown)
    except AccessError as error:
        attempts().note(identity.address())
        services().trail.record("system", "sign-in.refused", address=identity.address())
        return _page(wanted=wanted, wrong=str(error), by_token=bool(shown)), 401
    return _let_in(account, wanted)


@blueprint.get("/enter/<key>")
def enter_once(key: str) -> Response | str:
    """Let the owner of a one-time link in. 401 when it was used before, 405 for a look without a visit.

    Wrong keys are not counted: they have too many bits to be guessed, and any page could make a browser try.
    """
    if request.method == "HEAD":  # a preview must not use the link up
        abort(405)
    try:
        account = services().links.redeem(key)
    except AccessError as error:
        abort(401, str(error))
    entered = _let_in(account, url_for("worklist.index"))
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        # From a mail on another site, the browser would leave the new cookie out of a redirection.
        return render_template("access/entered.html", name=account.name)
    return entered


@blueprint.post("/logout")
def leave() -> Response:
    """End the session."""
    session.clear()
    return redirect(url_for("access.login"), 303)


def _let_in(account: Account | None, wanted: str) -> Response:
    begin_session(account)
    services().trail.record(identify(), "session.begun", address=identity.address())
    return redirect(wanted, 303)


def _account_of(shown: str) -> Account | None:
    """Who signs in: with a token, whoever holds the secret; otherwise the user of that name and password."""
    if not shown:
        return services().users.sign_in(request.form.get("name", ""), request.form.get("password", ""))
    secret = services().settings.secret
    expected = secret.get_secret_value() if secret is not None else ""
    if not expected or not hmac.compare_digest(shown.encode(), expected.encode()):
        raise AccessError("That is not the token. Check it and try again.")
    return None


def _check_attempts() -> None:
    if wait := attempts().wait_seconds(identity.address()):
        minutes = "five minutes" if wait > 240 else f"{round(wait / 60) or 1} min"
        abort(429, f"Too many wrong sign-ins came from this address; wait {minutes} and try again.")


def _page(**values: object) -> str:
    settings = services().settings
    return render_template(
        "access/login.html",
        has_token=settings.secret is not None,
        has_oidc=settings.oidc_issuer is not None,
        ended="ended" in request.args,
        **values,
    )


def _require_login() -> Response | None:
    if is_api():  # asks for itself: programs bring tokens
        return None
    if request.endpoint in OPEN_ENDPOINTS or isinstance(request.routing_exception, SecurityError):
        return None
    try:
        principal = identify()
    except NotIdentifiedError:
        return _to_the_door()
    if not principal.may(Scope.STUDIES_READ):
        abort(403, "This token may not look at studies; ask an administrator for one that may.")
    return None


def _to_the_door() -> Response:
    had_session = identity.SINCE_KEY in session
    if request.method != "GET" or "text/html" not in request.headers.get("Accept", ""):
        ended = "Your session has ended; load the page and sign in again."
        abort(401, ended if had_session else "Nobody is signed in here; sign in first, then ask again.")
    wanted = request.full_path.removesuffix("?")
    return redirect(url_for("access.login", next=wanted, ended="yes" if had_session else None))


def _who() -> dict[str, object]:
    """For the pages' head: who is signed in, if anybody."""
    if "principal" not in g:
        try:
            identify()
        except AccessError:
            return {"principal": None}
    return {"principal": g.principal}


def _local_path(wanted: str) -> str:
    """Only a path of this site: no other host, no backslash that a browser reads as a slash."""
    return wanted if identity.is_local(wanted) else url_for("worklist.index")
