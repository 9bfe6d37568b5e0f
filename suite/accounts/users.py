"""Users: created by an administrator, signed in with a password, locked after too many wrong ones."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from suite.accounts.passwords import hash_password, is_outdated, is_right
from suite.accounts.principal import RESERVED_NAMES, SCOPES_OF_ROLE, Means, Principal, Role
from suite.errors import AccessError, ConflictError, InputError, NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import SignInLink, User
from suite.jobs.queue import Clock

FREE_FAILURES = 5
"""Wrong passwords in a row before the account is locked."""

FIRST_LOCK_SECONDS = 60.0
LONGEST_LOCK_SECONDS = 3600.0

NAME_PATTERN = r"^[a-z0-9][a-z0-9._@-]{0,63}$"
_WRONG = (
    "The name or the password is wrong, or the account is locked for a while after wrong passwords; check "
    "both and try again later."
)


@dataclass(frozen=True, slots=True)
class Account:
    """One user as others see them."""

    id: int
    name: str
    role: Role
    created_at: float
    disabled_at: float | None
    locked_until: float | None
    has_password: bool
    by_provider: bool = False
    """An OpenID provider vouches for them: it decides their role, and they have no password here."""
    provider_expected_until: float | None = None
    """Until then, whoever the provider calls by this name becomes this user."""
    stamp: str = ""
    """Changes with the password and the provider, so that sessions that began before that end."""

    def principal(self, means: Means) -> Principal:
        """The user as somebody who makes a request."""
        return Principal(self.name, self.role, SCOPES_OF_ROLE[self.role], means, self.id)


class Users:
    """All users of the service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, role: Role, password: str | None = None) -> Account:
        """Add a user; without a password only tokens open the door for them.

        Raises:
            InputError: the name or the password is not of the allowed kind.
            ConflictError: the name is taken.
        """
        name = checked_name(name)
        stored = hash_password(password) if password is not None else None
        try:
            with self._database.write() as session:
                row = User(
                    name=name,
                    password_hash=stored,
                    role=role.value,
                    created_at=self._clock(),
                    failed_logins=0,
                )
                session.add(row)
                session.flush()
                return account_of(row)
        except IntegrityError:
            raise ConflictError(f"{name}: there is a user of that name; choose another one.") from None

    def all(self, *, after: str = "", limit: int = 1000) -> list[Account]:
        """Users by name, beginning behind ``after``."""
        wanted = select(User).where(User.name > after).order_by(User.name).limit(limit)
        with self._database.read() as session:
            return [account_of(row) for row in session.scalars(wanted)]

    def get(self, name: str) -> Account:
        """One user.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._database.read() as session:
            return account_of(find_user(session, name))

    def by_id(self, user_id: int) -> Account | None:
        """The user of a session; ``None`` when removed or disabled meanwhile."""
        with self._database.read() as session:
            row = session.get(User, user_id)
            return account_of(row) if row is not None and row.disabled_at is None else None

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change what is given. A new password also ends a lock.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: nobody would be left who may administrate, or a password for somebody whom a
                provider vouches for.
            InputError: the password is not of the allowed kind.
        """
        stored = hash_password(password) if password is not None else None
        with self._database.write() as session:
            row = find_user(session, name)
            administrated = administrates(row)
            if stored is not None and row.oidc_subject is not None:
                raise ConflictError(
                    f"{row.name}: signs in by the OpenID provider and has no password here; "
                    f"`radsuite users unbind {row.name}` changes that."
                )
            if role is not None:
                row.role = role.value
            if disabled is not None:
                row.disabled_at = (row.disabled_at or self._clock()) if disabled else None
            if stored is not None:
                row.password_hash, row.failed_logins, row.locked_until = stored, 0, None
                session.execute(delete(SignInLink).where(SignInLink.user_id == row.id))
            if administrated and not administrates(row):
                keep_an_admin(session, name)
            return account_of(row)

    def remove(self, name: str) -> None:
        """Remove a user and their tokens; the audit trail keeps the name.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: nobody would be left who may administrate.
        """
        with self._database.write() as session:
            row = find_user(session, name)
            session.delete(row)
            if administrates(row):
                keep_an_admin(session, name)

    def sign_in(self, name: str, password: str) -> Account:
        """The user of that name and password.

        Raises:
            AccessError: wrong, unknown, disabled or locked; the sentence is the same for all of them.
        """
        name, now = name.strip().lower(), self._clock()
        with self._database.read() as session:
            known = session.scalars(select(User).where(User.name == name)).one_or_none()
            stored = known.password_hash if known is not None else None
        right = is_right(stored, password)  # outside of any transaction: it takes a tenth of a second
        renewed = hash_password(password) if right and stored and is_outdated(stored) else None
        with self._database.write() as session:
            row = session.scalars(select(User).where(User.name == name)).one_or_none()
            if row is None or (row.locked_until or 0.0) > now:
                row = None
            elif not right:
                _note_failure(row, now)
                row = None
            elif row.disabled_at is not None or row.password_hash != stored:
                row = None
            else:
                row.failed_logins, row.locked_until = 0, None
                row.password_hash = renewed or row.password_hash
            account = account_of(row) if row is not None else None
        if account is None:
            raise AccessError(_WRONG)
        return account


def checked_name(name: str) -> str:
    """A user name in lower case.

    Raises:
        InputError: it has other characters, or is one that the audit trail needs for itself.
    """
    name = name.strip().lower()
    if not re.match(NAME_PATTERN, name) or name in RESERVED_NAMES:
        raise InputError(
            f"{name!r} cannot be a user name; take 1 to 64 letters, digits, dots, hyphens, underscores or @, "
            f"and none of {', '.join(sorted(RESERVED_NAMES))}."
        )
    return name


def _note_failure(row: User, now: float) -> None:
    row.failed_logins += 1
    beyond = row.failed_logins - FREE_FAILURES
    if beyond >= 0:
        row.locked_until = now + min(LONGEST_LOCK_SECONDS, FIRST_LOCK_SECONDS * 2.0 ** min(beyond, 16))


def find_user(session: Session, name: str) -> User:
    """The row of a user.

    Raises:
        NotFoundError: there is none of that name.
    """
    row = session.scalars(select(User).where(User.name == name.strip().lower())).one_or_none()
    if row is None:
        raise NotFoundError(f"{name}: there is no user of that name; `radsuite users list` shows them.")
    return row


def administrates(row: User) -> bool:
    """Whether this user counts among those who may administrate now."""
    return row.role == Role.ADMIN.value and row.disabled_at is None


def keep_an_admin(session: Session, name: str) -> None:
    """A service whose users had an administrator keeps one.

    Raises:
        ConflictError: nobody would be left who may administrate.
    """
    session.flush()
    left = session.scalar(
        select(func.count()).where(User.role == Role.ADMIN.value, User.disabled_at.is_(None))
    )
    if not left and session.scalar(select(func.count()).select_from(User)):
        raise ConflictError(f"{name}: is the last administrator; make another user one first.")


def account_of(row: User) -> Account:
    """A row as others see it."""
    return Account(
        row.id,
        row.name,
        Role(row.role),
        row.created_at,
        row.disabled_at,
        row.locked_until,
        row.password_hash is not None,
        row.oidc_subject is not None,
        row.oidc_expected_until,
        _stamp(row),
    )


def _stamp(row: User) -> str:
    text = f"{row.created_at!r} {row.password_hash or ''}"
    if row.oidc_subject is not None:
        text += f" {row.oidc_issuer} {row.oidc_subject}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
