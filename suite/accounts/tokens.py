"""Tokens: keys for programs, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from suite.accounts.principal import SCOPES_OF_ROLE, Means, Principal, Role, Scope
from suite.errors import AccessError, ConflictError, InputError, NotFoundError
from suite.jobs.database import Database
from suite.jobs.models import Token, User
from suite.jobs.queue import Clock

PREFIX = "rad_"
"""Begins every token, so that scanners of leaked keys find it."""

RANDOM_BYTES = 32
USED_RESOLUTION_SECONDS = 60.0
"""Last use is noted this often: a row is not written with every request."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token as others see it: never the key itself."""

    id: int
    user: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


class Tokens:
    """All tokens of the service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, user: str, name: str, scopes: Iterable[Scope], *, lifetime_seconds: float | None = None
    ) -> tuple[TokenView, str]:
        """Make a token for a user.

        Returns:
            The token's row, and the key: it is shown now and never again.

        Raises:
            NotFoundError: there is no such user.
            InputError: no scope was given, or one that the user's role does not have.
            ConflictError: the user has a token of that name.
        """
        wanted = sorted(set(scopes))
        key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        now = self._clock()
        try:
            with self._database.write() as session:
                owner = session.scalars(select(User).where(User.name == user.strip().lower())).one_or_none()
                if owner is None:
                    raise NotFoundError(
                        f"{user}: there is no user of that name; `radsuite users list` shows them."
                    )
                _check_scopes(owner, wanted)
                row = Token(
                    user=owner,
                    name=name,
                    sha256=_digest(key),
                    scopes=[scope.value for scope in wanted],
                    created_at=now,
                    expires_at=None if lifetime_seconds is None else now + lifetime_seconds,
                )
                session.add(row)
                session.flush()
                return _view(row), key
        except IntegrityError:
            raise ConflictError(f"{name}: {user} has a token of that name; choose another name.") from None

    def all(self, *, user_id: int | None = None, after: int = 0, limit: int = 1000) -> list[TokenView]:
        """Tokens by number, of everybody or of one user, beginning behind ``after``."""
        wanted = select(Token).options(joinedload(Token.user)).where(Token.id > after)
        if user_id is not None:
            wanted = wanted.where(Token.user_id == user_id)
        with self._database.read() as session:
            return [_view(row) for row in session.scalars(wanted.order_by(Token.id).limit(limit))]

    def revoke(self, token_id: int, *, user_id: int | None = None) -> TokenView:
        """End a token at once; its row stays for the record.

        Args:
            user_id: only if it belongs to this user; ``None`` for any.

        Raises:
            NotFoundError: there is no such token, or it is somebody else's.
        """
        with self._database.write() as session:
            row = session.get(Token, token_id)
            if row is None or (user_id is not None and row.user_id != user_id):
                raise NotFoundError(f"Token {token_id} does not exist; list the tokens to see which do.")
            row.revoked_at = row.revoked_at or self._clock()
            return _view(row)

    def recognise(self, key: str) -> Principal:
        """Whose token this is, with what both token and role allow.

        Raises:
            AccessError: unknown, expired or revoked, or its user is disabled.
        """
        now = self._clock()
        wanted = select(Token).options(joinedload(Token.user)).where(Token.sha256 == _digest(key))
        with self._database.read() as session:
            row = session.scalars(wanted).one_or_none()
            if row is None or not _is_valid(row, now):
                raise AccessError("The token is unknown, expired or revoked; ask for a new one.")
            role = Role(row.user.role)
            scopes = _known_scopes(row) & SCOPES_OF_ROLE[role]
            principal = Principal(row.user.name, role, scopes, Means.TOKEN, row.user_id, row.id)
            used = row.last_used_at
        if used is None or now - used >= USED_RESOLUTION_SECONDS:
            with self._database.write() as session:
                session.execute(update(Token).where(Token.id == principal.token_id).values(last_used_at=now))
        return principal


def _check_scopes(owner: User, wanted: list[Scope]) -> None:
    allowed = SCOPES_OF_ROLE[Role(owner.role)]
    beyond = [scope.value for scope in wanted if scope not in allowed]
    if not wanted or beyond:
        raise InputError(
            f"{', '.join(beyond) or 'No scope'}: a token of a {owner.role} can have "
            f"{', '.join(sorted(allowed))}; choose among these."
        )


def _is_valid(row: Token, now: float) -> bool:
    in_time = row.expires_at is None or now < row.expires_at
    return row.revoked_at is None and in_time and row.user.disabled_at is None


def _known_scopes(row: Token) -> frozenset[Scope]:
    """The row's scopes that this version knows."""
    return frozenset(scope for scope in Scope if scope.value in row.scopes)


def _digest(key: str) -> str:
    # The key has 256 random bits: a plain hash cannot be searched through, and needs no salt.
    return hashlib.sha256(key.encode()).hexdigest()


def _view(row: Token) -> TokenView:
    return TokenView(
        row.id,
        row.user.name,
        row.name,
        tuple(sorted(_known_scopes(row))),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
