"""Accounts of those whom an OpenID provider vouches for: theirs by issuer and subject, never by a name alone.

A name can be changed at the provider, and given to somebody else; issuer and subject together are one person
for good (OpenID Connect Core 1.0, section 5.7). An account that was made here belongs to nobody at the
provider, unless an administrator says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from suite.accounts.audit import AuditTrail
from suite.accounts.principal import Role
from suite.accounts.users import (
    Account,
    account_of,
    administrates,
    checked_name,
    find_user,
    keep_an_admin,
)
from suite.errors import AccessError, ConflictError, InputError
from suite.jobs.database import Database
from suite.jobs.models import SignInLink, User
from suite.jobs.queue import Clock

EXPECTED_DAYS = 7
MAX_LENGTH = 255
"""Of an issuer and of a subject, in characters; the standard gives a subject as many."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """Who somebody is at a provider.

    Attributes:
        issuer: the provider's ``iss``; a slash at its end does not count.
        subject: its ``sub``.

    Raises:
        InputError: one of them is empty, too long, or holds what cannot be printed.
    """

    issuer: str
    subject: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "issuer", self.issuer.rstrip("/"))
        for name, value in (("issuer", self.issuer), ("subject", self.subject)):
            if not 1 <= len(value) <= MAX_LENGTH or not value.isprintable():
                raise InputError(
                    f"The provider's {name} must be 1 to {MAX_LENGTH} printable characters; check it there."
                )


class ProviderAccounts:
    """Finds, makes and binds the accounts of a provider's users."""

    def __init__(self, database: Database, clock: Clock, trail: AuditTrail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail

    def sign_in(self, who: ProviderIdentity, name: str, role: Role, *, address: str | None = None) -> Account:
        """The account of whoever the provider vouches for, with the role that it gives them now.

        Args:
            name: what the provider calls them; looked at the first time only.
            address: network address they come from, for the trail.

        Raises:
            InputError: the name cannot be a user's name.
            AccessError: the account is disabled, or the name is that of an account that is not theirs.
            ConflictError: nobody would be left who may administrate.
        """
        try:
            return self._sign_in(who, name, role, address)
        except IntegrityError:  # they came twice at once, and the other request was first
            return self._sign_in(who, name, role, address)

    def expect(self, name: str) -> Account:
        """Let the provider's user of that name become this user, if they come within :data:`EXPECTED_DAYS`.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: it is bound already.
        """
        with self._database.write() as session:
            row = _unbound(session, name)
            row.oidc_expected_until = self._clock() + EXPECTED_DAYS * 86_400.0
            return account_of(row)

    def bind(self, name: str, who: ProviderIdentity) -> Account:
        """Bind a user to one whom the provider knows by ``who``.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: it is bound already, or another user is to the same.
        """
        with self._database.write() as session:
            row, other = _unbound(session, name), _known(session, who)
            if other is not None:
                raise ConflictError(f"{who.subject}: is {other.name} here; remove or unbind that one first.")
            _bind(session, row, who)
            return account_of(row)

    def unbind(self, name: str) -> Account:
        """Make a user one whom no provider vouches for, and none is expected to; sessions of a bound one end.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._database.write() as session:
            row = find_user(session, name)
            row.oidc_issuer = row.oidc_subject = row.oidc_expected_until = None
            return account_of(row)

    def _sign_in(self, who: ProviderIdentity, name: str, role: Role, address: str | None) -> Account:
        with self._database.write() as session:
            done: list[tuple[str, dict[str, str]]] = []
            row = _known(session, who)
            if row is None:
                row, action = self._of_that_name(session, who, checked_name(name), role)
                if action is not None:
                    done.append((action, {"by": "oidc", "role": role.value}))
            if row.disabled_at is not None:
                raise AccessError(f"The account {row.name} is disabled here; ask an administrator.")
            if row.role != role.value:
                administrated, row.role = administrates(row), role.value
                if administrated and not administrates(row):
                    keep_an_admin(session, row.name)
                done.append(("user.changed", {"by": "oidc", "role": role.value}))
            for action, detail in done:
                self._trail.add(session, row.name, action, row.name, detail=detail, address=address)
            return account_of(row)

    def _of_that_name(
        self, session: Session, who: ProviderIdentity, name: str, role: Role
    ) -> tuple[User, str | None]:
        """The account of somebody who comes for the first time, and what was done: made, or bound to them.

        ``None``: another request of theirs did it since this one looked for them.
        """
        row = session.scalars(select(User).where(User.name == name)).one_or_none()
        if row is None:
            row = User(name=name, role=role.value, created_at=self._clock(), failed_logins=0)
            row.oidc_issuer, row.oidc_subject = who.issuer, who.subject
            session.add(row)
            session.flush()
            return row, "user.created"
        if (row.oidc_issuer, row.oidc_subject) == (who.issuer, who.subject):
            return row, None
        if row.oidc_subject is not None:
            raise AccessError(
                f"The account {name} belongs to somebody else whom the sign-in provider called by that name; "
                "ask an administrator to remove or unbind it here, or to give you another name there."
            )
        if (row.oidc_expected_until or 0.0) <= self._clock():
            raise AccessError(
                f"There is an account {name} here that your sign-in provider does not vouch for. If it is "
                "yours, ask an administrator to let you take it over on the page People, or with "
                f"`radsuite users bind {name}`, and sign in again."
            )
        _bind(session, row, who)
        return row, "user.bound"


def _known(session: Session, who: ProviderIdentity) -> User | None:
    wanted = select(User).where(User.oidc_issuer == who.issuer, User.oidc_subject == who.subject)
    return session.scalars(wanted).one_or_none()


def _bind(session: Session, row: User, who: ProviderIdentity) -> None:
    """From here on the provider alone opens the door: the password and links that nobody used end."""
    row.oidc_issuer, row.oidc_subject, row.oidc_expected_until = who.issuer, who.subject, None
    row.password_hash, row.failed_logins, row.locked_until = None, 0, None
    session.execute(delete(SignInLink).where(SignInLink.user_id == row.id))
    session.flush()


def _unbound(session: Session, name: str) -> User:
    row = find_user(session, name)
    if row.oidc_subject is not None:
        raise ConflictError(
            f"{row.name}: is bound to the provider already; `radsuite users unbind {row.name}` first."
        )
    return row
