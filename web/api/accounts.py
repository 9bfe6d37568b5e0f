"""Users, tokens, the audit trail, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from suite.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from suite.accounts.principal import Means, Role, Scope
from suite.accounts.tokens import TokenView
from suite.accounts.users import NAME_PATTERN
from suite.errors import NotFoundError
from web.api.operations import ROOT, Answers, Reply, api
from web.api.problems import ProblemError
from web.api.shapes import (
    PAGE_HEADERS,
    Cursor,
    Limit,
    Moment,
    Shape,
    Wanted,
    from_cursor,
    link_header,
    to_cursor,
)
from web.identity import identify
from web.services import services

DAY_SECONDS = 86_400.0

UserName = Annotated[str, Field(pattern=NAME_PATTERN)]
Password = Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
Label = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Me(Shape):
    """Who makes the request."""

    name: str
    role: Role
    means: Means = Field(description="How one was recognised")
    scopes: list[Scope]


class UserShape(Shape):
    """One user."""

    id: int
    name: str
    role: Role
    created_at: Moment
    disabled_at: Moment | None
    locked_until: Moment | None = Field(description="No sign-in before this, after wrong passwords")
    has_password: bool


class UserPage(Shape):
    """Some users, by name."""

    items: list[UserShape]
    next: str | None


class UserRequest(Wanted):
    """A new user; without a password only tokens let them in."""

    name: UserName
    role: Role
    password: Password | None = None


class UserChange(Wanted):
    """What shall change of a user."""

    role: Role | None = None
    password: Password | None = None
    disabled: bool | None = None


class TokenShape(Shape):
    """One token; the key itself is not kept."""

    id: int
    user: str
    name: str
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None


class NewToken(TokenShape):
    """A token that was just made."""

    key: str = Field(description="Shown now and never again")


class TokenPage(Shape):
    """Some tokens, by number."""

    items: list[TokenShape]
    next: str | None


class TokenRequest(Wanted):
    """A new token, for oneself unless an administrator names another user."""

    name: Label
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    user: UserName | None = None
    expires_in_days: int | None = Field(90, ge=1, le=3650, description="Null for one that does not expire")


class AuditShape(Shape):
    """One line of the audit trail."""

    id: int
    at: Moment
    actor: str
    action: str
    subject: str | None
    detail: dict[str, Any] | None
    address: str | None


class AuditPage(Shape):
    """Some lines, the latest first."""

    items: list[AuditShape]
    next: str | None


class PageQuery(Wanted):
    """Which page."""

    limit: Limit = 50
    cursor: Cursor | None = None


class AuditQuery(PageQuery):
    """Which lines."""

    actor: str | None = Field(None, max_length=128, pattern=r"^[^\x00]*$")
    subject: str | None = Field(None, max_length=255, pattern=r"^[^\x00]*$")


@api.operation("GET", "/me", tag="accounts", scope=Scope.STUDIES_READ, answers={200: Answers("You", Me)})
def get_me() -> Me:
    """Who makes this request, and what they may do."""
    who = identify()
    return Me(name=who.name, role=who.role, means=who.means, scopes=sorted(s for s in Scope if who.may(s)))


@api.operation(
    "GET",
    "/users",
    tag="accounts",
    scope=Scope.ADMIN,
    query=PageQuery,
    answers={200: Answers("Some users", UserPage, headers=PAGE_HEADERS)},
)
def list_users(query: PageQuery) -> Reply:
    """Users by name."""
    after = from_cursor(query.cursor, str)[0] if query.cursor is not None else ""
    rows = services().users.all(after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    following = to_cursor(shown[-1].name) if len(rows) > query.limit else None
    page = UserPage(items=[UserShape.model_validate(row) for row in shown], next=following)
    return Reply(page, headers=link_header(following))


@api.operation(
    "POST",
    "/users",
    tag="accounts",
    scope=Scope.ADMIN,
    body=UserRequest,
    audit="user.created",
    answers={201: Answers("The user", UserShape, headers={"Location": "The user"})},
)
def create_user(body: UserRequest) -> Reply:
    """Add a user. A name that is taken answers 409."""
    account = services().users.create(body.name, body.role, body.password)
    headers = {"Location": f"{ROOT}/users/{account.name}"}
    return Reply(UserShape.model_validate(account), 201, headers, account.name, {"role": account.role.value})


@api.operation(
    "GET", "/users/<user>", tag="accounts", scope=Scope.ADMIN, answers={200: Answers("The user", UserShape)}
)
def get_user(user: str) -> UserShape:
    """One user."""
    return UserShape.model_validate(services().users.get(user))


@api.operation(
    "PATCH",
    "/users/<user>",
    tag="accounts",
    scope=Scope.ADMIN,
    body=UserChange,
    audit="user.changed",
    problems=(409,),
    answers={200: Answers("The user as it is now", UserShape)},
)
def change_user(user: str, body: UserChange) -> Reply:
    """Change a user's role or password, disable them, or enable them again.

    Disabling ends their sessions and tokens at once. The last administrator stays one (409).
    """
    account = services().users.change(user, role=body.role, password=body.password, disabled=body.disabled)
    return Reply(UserShape.model_validate(account), detail={"changed": sorted(body.model_fields_set)})


@api.operation(
    "DELETE",
    "/users/<user>",
    tag="accounts",
    scope=Scope.ADMIN,
    audit="user.removed",
    problems=(409,),
    answers={204: Answers("They are gone")},
)
def remove_user(user: str) -> Reply:
    """Remove a user and their tokens. What they reviewed stays under their name."""
    services().users.remove(user)
    return Reply(status=204)


@api.operation(
    "GET",
    "/tokens",
    tag="accounts",
    scope=Scope.STUDIES_READ,
    query=PageQuery,
    answers={200: Answers("Some tokens", TokenPage, headers=PAGE_HEADERS)},
)
def list_tokens(query: PageQuery) -> Reply:
    """One's own tokens; everybody's for an administrator."""
    after = from_cursor(query.cursor, int)[0] if query.cursor is not None else 0
    rows = services().tokens.all(user_id=_whose(), after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    following = to_cursor(shown[-1].id) if len(rows) > query.limit else None
    page = TokenPage(items=[TokenShape.model_validate(row) for row in shown], next=following)
    return Reply(page, headers=link_header(following))


@api.operation(
    "POST",
    "/tokens",
    tag="accounts",
    scope=Scope.STUDIES_READ,
    body=TokenRequest,
    audit="token.created",
    repeatable=False,
    problems=(404,),
    answers={201: Answers("The token with its key", NewToken)},
)
def create_token(body: TokenRequest) -> Reply:
    """Make a token. Its key is in this answer and nowhere else.

    A token never has scopes that its maker does not have, and a token without `admin` makes no others: it
    would outlive its own end.
    """
    who = identify()
    if who.means is Means.TOKEN and not who.may(Scope.ADMIN):
        raise ProblemError(
            403, "scope-missing", "A token makes no other tokens; sign in, or ask an administrator."
        )
    owner = body.user or who.name
    if owner != who.name and not who.may(Scope.ADMIN):
        raise ProblemError(403, "scope-missing", "Only an administrator makes tokens for others.")
    beyond = [scope.value for scope in body.scopes if not who.may(scope)]
    if beyond:
        raise ProblemError(403, "scope-missing", f"You do not have {', '.join(beyond)} yourself.")
    lifetime = None if body.expires_in_days is None else body.expires_in_days * DAY_SECONDS
    view, key = services().tokens.create(owner, body.name, body.scopes, lifetime_seconds=lifetime)
    return Reply(
        NewToken(**_values(view), key=key),
        201,
        {"Cache-Control": "no-store"},
        subject=str(view.id),
        detail={"user": view.user, "scopes": [scope.value for scope in view.scopes]},
    )


@api.operation(
    "DELETE",
    "/tokens/<token_id>",
    tag="accounts",
    scope=Scope.STUDIES_READ,
    audit="token.revoked",
    answers={200: Answers("The token as it is now", TokenShape)},
)
def revoke_token(token_id: int) -> TokenShape:
    """End a token at once: one's own, or anybody's for an administrator."""
    return TokenShape.model_validate(services().tokens.revoke(token_id, user_id=_whose()))


@api.operation(
    "GET",
    "/audit",
    tag="accounts",
    scope=Scope.ADMIN,
    query=AuditQuery,
    answers={200: Answers("Some lines", AuditPage, headers=PAGE_HEADERS)},
)
def list_audit(query: AuditQuery) -> Reply:
    """The audit trail, the latest line first."""
    before = from_cursor(query.cursor, int)[0] if query.cursor is not None else None
    rows = services().trail.lines(
        before=before, limit=query.limit + 1, actor=query.actor, subject=query.subject
    )
    shown = rows[: query.limit]
    following = to_cursor(shown[-1].id) if len(rows) > query.limit else None
    page = AuditPage(items=[AuditShape.model_validate(row) for row in shown], next=following)
    return Reply(page, headers=link_header(following))


def _whose() -> int | None:
    """Whose tokens one may see and end; ``None`` for everybody's."""
    who = identify()
    if who.may(Scope.ADMIN):
        return None
    if who.user_id is None:
        raise NotFoundError("Only users have tokens; sign in as one.")
    return who.user_id


def _values(view: TokenView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in TokenShape.model_fields}
