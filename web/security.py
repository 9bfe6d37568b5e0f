"""What every answer carries and every request must bring: policy headers, host check, CSRF token."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, request, session

from suite.errors import StorageError
from suite.settings import Settings
from suite.storage import write_bytes
from web.api.problems import is_api
from web.identity import CSRF_HEADER, CSRF_KEY
from web.kept_text import check_address, check_form

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CSRF_FIELD = "csrf_token"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_ALLOWANCE = 1_000_000
_YEAR_SECONDS = 365 * 24 * 3600


def init_app(app: Flask, settings: Settings) -> None:
    """Configure cookies, limits and hosts, and guard every request."""
    app.config.update(
        SECRET_KEY=_signing_key(settings),
        # A cookie belongs to a host, whatever the port: two instances must not overwrite each other's.
        SESSION_COOKIE_NAME=f"radsuite_{settings.port}",
        SESSION_COOKIE_HTTPONLY=True,
        # Coming back from an OpenID provider is a navigation from another site, which "Strict" leaves out.
        SESSION_COOKIE_SAMESITE="Lax" if settings.oidc_issuer is not None else "Strict",
        SESSION_COOKIE_SECURE=settings.public_url is not None,
        SESSION_REFRESH_EACH_REQUEST=False,  # a session lasts so long, however busy it is
        PERMANENT_SESSION_LIFETIME=timedelta(minutes=settings.session_minutes),
        MAX_CONTENT_LENGTH=settings.max_upload_bytes + _FORM_ALLOWANCE,
        # Without a login, a foreign page that points its own name at this address must not be served.
        TRUSTED_HOSTS=_trusted_hosts(settings),
    )
    app.wsgi_app = _InAscii(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(_check_address)
    app.before_request(_check_csrf)
    app.after_request(_add_headers)
    app.jinja_env.globals["csrf_token"] = csrf_token


def csrf_token() -> str:
    """The session's token, for a hidden field or the header of a script's request."""
    if CSRF_KEY not in session:
        session[CSRF_KEY] = secrets.token_urlsafe(24)
    token: str = session[CSRF_KEY]
    return token


def _trusted_hosts(settings: Settings) -> list[str] | None:
    if settings.public_url is not None:
        return [*_LOCAL_HOSTS, str(urlsplit(settings.public_url).hostname)]
    return None if settings.secret is not None else [*_LOCAL_HOSTS, settings.host]


class _InAscii:
    """Writes a query's raw bytes with percent signs: Werkzeug cannot read those that are no text."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        if not query.isascii():
            environ["QUERY_STRING"] = quote(query.encode("latin-1"), safe=string.punctuation)
        return self._application(environ, start_response)


def _check_address() -> None:
    if not is_api():  # DICOMweb asks for itself, and /api/v1 has patterns for each part of an address
        check_address()


def _check_csrf() -> None:
    if request.method in _SAFE_METHODS or is_api():  # the interface asks browsers only: web.identity
        return
    if request.endpoint != "worklist.upload":
        request.max_content_length = _FORM_ALLOWANCE
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    expected = session.get(CSRF_KEY, "")
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        abort(400, "This page is older than your session; load it again and repeat what you did.")
    check_form()


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_SECONDS}")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _signing_key(settings: Settings) -> bytes:
    """A key kept in the data folder, bound to the secret: a changed secret ends every session."""
    path = settings.data / "session.key"
    secret = settings.secret.get_secret_value() if settings.secret is not None else ""
    return hashlib.sha256(_stored_key(path) + secret.encode()).digest()


def _stored_key(path: Path) -> bytes:
    try:
        if not path.exists():
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            write_bytes(temporary, secrets.token_bytes(32))
            temporary.chmod(0o600)
            try:
                os.link(temporary, path)  # the first of several processes wins, and all read the same key
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path}: the session key cannot be kept ({error.strerror}); check the folder."
        ) from error
