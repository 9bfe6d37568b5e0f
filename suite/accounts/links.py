"""Links that let a user in once: for the demonstration, and for users whom an administrator invites."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, select

from suite.accounts.users import Account, account_of, find_user
from suite.errors import AccessError, ConflictError
from suite.jobs.database import Database
from suite.jobs.models import SignInLink, User
from suite.jobs.queue import Clock

LIFETIME_SECONDS = 24 * 3600.0
RANDOM_BYTES = 24


class OneTimeLinks:
    """Makes links, and takes each of them once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, user: str, *, lifetime_seconds: float = LIFETIME_SECONDS) -> str:
        """The key of a new link for a user; earlier ones that nobody used are void.

        Raises:
            NotFoundError: there is no such user.
            ConflictError: a provider vouches for them: a link would let them in past it.
        """
        key, now = secrets.token_urlsafe(RANDOM_BYTES), self._clock()
        with self._database.write() as session:
            row = find_user(session, user)
            if row.oidc_subject is not None:
                raise ConflictError(
                    f"{row.name}: signs in by the OpenID provider, not by a link; "
                    f"`radsuite users unbind {row.name}` changes that."
                )
            session.execute(delete(SignInLink).where(SignInLink.user_id == row.id))
            expires = now + lifetime_seconds
            session.add(SignInLink(user_id=row.id, sha256=_digest(key), created_at=now, expires_at=expires))
        return key

    def redeem(self, key: str) -> Account:
        """Whom the link lets in, this once.

        Raises:
            AccessError: it is unknown, was used, is too old, or its user is disabled.
        """
        now = self._clock()
        with self._database.write() as session:
            wanted = select(SignInLink).where(SignInLink.sha256 == _digest(key))
            link = session.scalars(wanted.with_for_update()).one_or_none()
            user = session.get(User, link.user_id) if link is not None else None
            good = link is not None and link.used_at is None and now < link.expires_at
            if link is None or user is None or user.disabled_at is not None or not good:
                raise AccessError("This link was used before or is too old; ask for a new one.")
            link.used_at = now
            return account_of(user)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
