"""Sign-in by OpenID Connect, where the settings name a provider: authorization code with PKCE.

A user is made at the first sign-in, without a password, and known by the provider's issuer and subject from
then on; the provider's word decides the role each time.
"""

from __future__ import annotations

import logging
from typing import Any

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, abort, current_app, redirect, session, url_for
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from suite.accounts.principal import Role
from suite.accounts.provider import ProviderIdentity
from suite.accounts.users import Account
from suite.errors import AccessError, ConflictError, InputError
from suite.settings import Settings
from web import identity
from web.identity import begin_session, identify
from web.services import services

blueprint = Blueprint("oidc", __name__)

_STRONGEST_FIRST = (Role.ADMIN, Role.RESEARCHER, Role.READER)
TIMEOUT_SECONDS = 10
_log = logging.getLogger(__name__)


def init_app(app: Flask, settings: Settings) -> None:
    """Register the way to the provider and back, if there is a provider."""
    if settings.oidc_issuer is None or settings.oidc_client_secret is None:
        return
    app.register_blueprint(blueprint)
    oauth = OAuth(app)
    oauth.register(
        "provider",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        server_metadata_url=f"{settings.oidc_issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT_SECONDS,
        },
    )
    app.extensions["radsuite.oidc"] = oauth


@blueprint.get("/login/oidc")
def begin() -> Response:
    """Lead to the provider. 503 while it does not answer."""
    settings = services().settings
    path = url_for("oidc.finish")
    back = settings.public_url + path if settings.public_url else url_for("oidc.finish", _external=True)
    try:
        there: Response = _provider().authorize_redirect(back)
    except (requests.RequestException, OAuthError, ValueError) as error:
        _log.error("the OpenID provider does not answer: %s", error)
        abort(503, "The sign-in provider does not answer; try again, or sign in with a password.")
    return there


@blueprint.get("/login/oidc/finish")
def finish() -> Response:
    """Let in whom the provider vouches for. 401 when it does not, 403 without a role here."""
    try:
        token = _provider().authorize_access_token()
    except (OAuthError, JoseError, requests.RequestException, ValueError) as error:
        _log.warning("a sign-in by OpenID failed: %s", type(error).__name__)
        abort(401, "The sign-in provider did not confirm who you are; go to the sign-in page and try again.")
    claims: dict[str, Any] = dict(token.get("userinfo") or {})
    account = _account(claims, services().settings)
    begin_session(account)
    session[identity.PROVIDER_KEY] = True  # its word decides each time: no password of their own here
    services().trail.record(identify(), "session.begun", address=identity.address(), detail={"by": "oidc"})
    return redirect(url_for("worklist.index"), 303)


def _account(claims: dict[str, Any], settings: Settings) -> Account:
    role = role_of(claims, settings)
    if role is None:
        abort(403, "Your account has no role in this service; ask an administrator to give it one.")
    name = str(claims.get(settings.oidc_name_claim) or "")
    try:
        who = ProviderIdentity(str(claims.get("iss") or ""), str(claims.get("sub") or ""))
        return services().provider_accounts.sign_in(who, name, role, address=identity.address())
    except AccessError as error:
        abort(403, str(error))
    except ConflictError:  # the last administrator would be none; that sentence says what to do
        raise
    except InputError:
        abort(403, "Your account's name or number at the provider cannot be used here; ask an administrator.")


def role_of(claims: dict[str, Any], settings: Settings) -> Role | None:
    """The strongest role that the provider's words stand for; ``None`` without any."""
    found = claims.get(settings.oidc_role_claim)
    words = (
        [found]
        if isinstance(found, str)
        else [str(word) for word in found]
        if isinstance(found, list)
        else []
    )
    roles = {Role(settings.oidc_roles[word]) for word in words if word in settings.oidc_roles}
    return next((role for role in _STRONGEST_FIRST if role in roles), None)


def _provider() -> Any:
    return current_app.extensions["radsuite.oidc"].provider
