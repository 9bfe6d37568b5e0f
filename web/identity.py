"""Who makes a request: a token, the service's secret, a session of the pages, or whoever sits here.

Pages and interfaces ask the same function. Views that change something also ask :func:`check_origin`, because
a browser sends cookies, and on this computer needs none, whatever site the request comes from.
"""

from __future__ import annotations

import hmac
import time

from flask import current_app, g, request, session

from suite.accounts.attempts import AttemptLimit
from suite.accounts.principal import LOCAL, SECRET, Means, Principal
from suite.accounts.tokens import PREFIX
from suite.accounts.users import Account
from suite.errors import AccessError
from suite.settings import Settings
from web.services import services

USER_KEY = "user"
"""Number of the signed-in user in a session."""

ENTERED_KEY = "entered"
"""Set in a session that began with the service's secret."""

STAMP_KEY = "stamp"
"""The user's stamp when they signed in; another one now means that the password was changed."""

SINCE_KEY = "since"
"""When the session began, seconds since 1970."""

PROVIDER_KEY = "by_provider"
"""Set in a session that an OpenID provider began."""

CSRF_KEY = "csrf"
CSRF_HEADER = "X-CSRF-Token"


class NotIdentifiedError(AccessError):
    """Nobody, or nobody known, makes this request. ``given`` tells whether something was shown."""

    def __init__(self, sentence: str, *, given: bool) -> None:
        super().__init__(sentence)
        self.given = given


class TooManyAttemptsError(AccessError):
    """This address was wrong too often lately."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"Too many wrong credentials came from this address; wait {round(seconds / 60) or 1} min."
        )
        self.seconds = seconds


class ForeignOriginError(AccessError):
    """A request that changes something came without the session's token."""


def attempts() -> AttemptLimit:
    """The application's count of wrong credentials."""
    found: AttemptLimit = current_app.extensions.setdefault("radsuite.attempts", AttemptLimit())
    return found


def identify() -> Principal:
    """Who makes the current request.

    Raises:
        NotIdentifiedError: nobody, or credentials that are wrong.
        TooManyAttemptsError: the address was wrong too often.
    """
    if "principal" not in g:
        g.principal = _identify()
    principal: Principal = g.principal
    return principal


def is_in_person() -> bool:
    """Whether somebody sits in front of this request: a program brings its credentials in a header."""
    return "Authorization" not in request.headers


def is_local(path: str) -> bool:
    """Whether ``path`` leads to this site: no host, and nothing that a browser reads as one or strips."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()


def address() -> str:
    """Network address of the sender."""
    return request.remote_addr or "unknown"


def begin_session(account: Account | None) -> None:
    """Sign a user in, or with ``None`` whoever showed the secret; nothing of an earlier session stays."""
    session.clear()
    session.permanent = True
    session[SINCE_KEY] = time.time()
    if account is None:
        session[ENTERED_KEY] = True
    else:
        session[USER_KEY], session[STAMP_KEY] = account.id, account.stamp
    g.pop("principal", None)


def check_origin(principal: Principal) -> None:
    """Refuse changes that another site asks for through this browser.

    A token or secret in a header cannot be sent by another site. A session needs its own token in
    ``X-CSRF-Token``. On this computer, where nothing is shown, programs may do without; browsers, which say
    where a request comes from, may not.

    Raises:
        ForeignOriginError: the session's token is missing or wrong.
    """
    if not is_in_person():
        return
    from_browser = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
    if principal.means is Means.LOCAL and not from_browser:
        return
    expected = session.get(CSRF_KEY, "")
    if not expected or not hmac.compare_digest(
        request.headers.get(CSRF_HEADER, "").encode(), expected.encode()
    ):
        raise ForeignOriginError(
            f"A change through a browser needs its session's token in {CSRF_HEADER}; load the page again."
        )


def _identify() -> Principal:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    if kind:
        if kind.lower() != "bearer" or not shown.strip():
            raise NotIdentifiedError("Send credentials as `Authorization: Bearer TOKEN`.", given=True)
        return _by_key(shown.strip())
    settings = services().settings
    if time.time() - session.get(SINCE_KEY, 0.0) < _lifetime_seconds(settings):
        if user_id := session.get(USER_KEY):
            account = services().users.by_id(int(user_id))
            if account is not None and _goes_on(account):
                return account.principal(Means.SESSION)
        elif session.get(ENTERED_KEY) and settings.secret is not None:
            return SECRET
    if not settings.needs_sign_in:
        return LOCAL
    raise NotIdentifiedError("This needs a token; send it as `Authorization: Bearer TOKEN`.", given=False)


def _lifetime_seconds(settings: Settings) -> float:
    """How long a session may last: a provider is asked at sign-in only, so its word holds for less."""
    minutes = settings.session_minutes
    if session.get(PROVIDER_KEY):
        minutes = min(minutes, settings.oidc_session_minutes)
    return minutes * 60.0


def _goes_on(account: Account) -> bool:
    """Whether the session is still this account's.

    One that a provider began, of an account that it does not vouch for, began before accounts were bound to a
    provider's subject: nobody knows any more whose it is.
    """
    vouched = account.by_provider or not session.get(PROVIDER_KEY)
    return vouched and account.stamp == session.get(STAMP_KEY, account.stamp)


def _by_key(key: str) -> Principal:
    """A token has 256 random bits, so a right one is let in even from an address that others guess from."""
    limit, place = attempts(), address()
    if key.startswith(PREFIX):
        try:
            return services().tokens.recognise(key)
        except AccessError as error:
            _note(limit, place)
            raise NotIdentifiedError(str(error), given=True) from None
    if wait := limit.wait_seconds(place):
        raise TooManyAttemptsError(wait)
    secret = services().settings.secret
    if secret is not None and hmac.compare_digest(key.encode(), secret.get_secret_value().encode()):
        return SECRET
    _note(limit, place)
    raise NotIdentifiedError("The token is unknown, expired or revoked; ask for a new one.", given=True)


def _note(limit: AttemptLimit, place: str) -> None:
    if wait := limit.wait_seconds(place):
        raise TooManyAttemptsError(wait)
    limit.note(place)
