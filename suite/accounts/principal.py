"""Roles, scopes, and the one who makes a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a user is in the house."""

    READER = "reader"
    RESEARCHER = "researcher"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token may be used for; ``admin`` includes all others.

    ``studies:read`` also covers jobs, reports, images and reviews; ``studies:write`` uploads, and asking for,
    cancelling and repeating readings.
    """

    STUDIES_READ = "studies:read"
    STUDIES_WRITE = "studies:write"
    STUDIES_DELETE = "studies:delete"
    REVIEWS_WRITE = "reviews:write"
    NODES_READ = "nodes:read"
    NODES_SEND = "nodes:send"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)

SCOPES_OF_ROLE: dict[Role, frozenset[Scope]] = {
    Role.READER: frozenset(
        {Scope.STUDIES_READ, Scope.STUDIES_WRITE, Scope.REVIEWS_WRITE, Scope.NODES_READ, Scope.NODES_SEND}
    ),
    Role.RESEARCHER: frozenset({Scope.STUDIES_READ, Scope.STUDIES_WRITE, Scope.REVIEWS_WRITE}),
    Role.ADMIN: ALL_SCOPES,
}


class Means(StrEnum):
    """How somebody was recognised."""

    LOCAL = "local"
    SECRET = "secret"
    SESSION = "session"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request.

    Attributes:
        name: user name, or ``local`` / ``secret`` where nobody has an account.
        user_id: row of the user; ``None`` without an account.
        scopes: what may be done now.
    """

    name: str
    role: Role
    scopes: frozenset[Scope]
    means: Means
    user_id: int | None = None
    token_id: int | None = None

    @property
    def owner(self) -> str:
        """Key for what belongs to one sender: uploads, idempotency keys."""
        return f"user:{self.user_id}" if self.user_id is not None else f"door:{self.name}"

    def may(self, scope: Scope) -> bool:
        """Whether something that needs ``scope`` is allowed."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


LOCAL = Principal("local", Role.ADMIN, ALL_SCOPES, Means.LOCAL)
"""Whoever sits at this computer, where no secret is set."""

SECRET = Principal("secret", Role.ADMIN, ALL_SCOPES, Means.SECRET)
"""Whoever holds the service's one access token."""

RESERVED_NAMES = frozenset({"local", "secret", "system"})
