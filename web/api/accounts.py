"""Users, tokens, the audit trail, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from suite.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from suite.accounts.principal import Means, Role, Scope
from suite.accounts.tokens import TokenView
from suite.errors import NotFoundError
from web.api.names import LABEL, TEXT, UserName
from web.api.operations import ROOT, Reply
from web.api.paging import PageQuery, page_of, position_of, rows_for
from web.api.problems import ProblemError
from web.api.resources import Resource
from web.api.shapes import Moment, Shape, Wanted
from web.identity import identify
from web.services import services

DAY_SECONDS = 86_400.0

people = Resource("accounts", reads=Scope.ADMIN, writes=Scope.ADMIN)
own = Resource("accounts", reads=Scope.STUDIES_READ, writes=Scope.STUDIES_READ)

Password = Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
Label = Annotated[str, Field(min_length=1, max_length=128, pattern=LABEL)]


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
    by_provider: bool = Field(description="Signs in by the OpenID provider, which decides the role")


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


class AuditQuery(PageQuery):
    """Which lines."""

    actor: str | None = Field(None, max_length=128, pattern=TEXT)
    subject: str | None = Field(None, max_length=255, pattern=TEXT)


@own.get("/me", "You", Me)
def get_me() -> Me:
    """Who makes this request, and what they may do."""
    who = identify()
    return Me(name=who.name, role=who.role, means=who.means, scopes=sorted(s for s in Scope if who.may(s)))


@people.page("/users", "Some users", UserPage, PageQuery)
def list_users(query: PageQuery) -> Reply:
    """Users by name."""
    (after,) = position_of(query, str) or ("",)
    rows = services().users.all(after=after, limit=rows_for(query))
    return page_of(UserPage, rows, query, UserShape.model_validate, lambda row: (row.name,))


@people.post("/users", 201, "The user", UserShape, at="The user", body=UserRequest, audit="user.created")
def create_user(body: UserRequest) -> Reply:
    """Add a user. A name that is taken answers 409."""
    account = services().users.create(body.name, body.role, body.password)
    headers = {"Location": f"{ROOT}/users/{account.name}"}
    return Reply(UserShape.model_validate(account), 201, headers, account.name, {"role": account.role.value})


@people.get("/users/<user>", "The user", UserShape)
def get_user(user: str) -> UserShape:
    """One user."""
    return UserShape.model_validate(services().users.get(user))


@people.patch(
    "/users/<user>",
    "The user as it is now",
    UserShape,
    body=UserChange,
    audit="user.changed",
    problems=(409,),
)
def change_user(user: str, body: UserChange) -> Reply:
    """Change a user's role or password, disable them, or enable them again.

    Disabling ends their sessions and tokens at once. The last administrator stays one, and who signs in by
    the OpenID provider gets no password (409).
    """
    account = services().users.change(user, role=body.role, password=body.password, disabled=body.disabled)
    return Reply(UserShape.model_validate(account), detail={"changed": sorted(body.model_fields_set)})


@people.delete("/users/<user>", 204, "They are gone", audit="user.removed", problems=(409,))
def remove_user(user: str) -> Reply:
    """Remove a user and their tokens. What they reviewed stays under their name."""
    services().users.remove(user)
    return Reply(status=204)


@own.page("/tokens", "Some tokens", TokenPage, PageQuery)
def list_tokens(query: PageQuery) -> Reply:
    """One's own tokens; everybody's for an administrator."""
    (after,) = position_of(query, int) or (0,)
    rows = services().tokens.all(user_id=_whose(), after=after, limit=rows_for(query))
    return page_of(TokenPage, rows, query, TokenShape.model_validate, lambda row: (row.id,))


@own.post(
    "/tokens",
    201,
    "The token with its key",
    NewToken,
    body=TokenRequest,
    audit="token.created",
    repeatable=False,
    problems=(404,),
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


@own.delete("/tokens/<token_id>", 200, "The token as it is now", TokenShape, audit="token.revoked")
def revoke_token(token_id: int) -> TokenShape:
    """End a token at once: one's own, or anybody's for an administrator."""
    return TokenShape.model_validate(services().tokens.revoke(token_id, user_id=_whose()))


@people.page("/audit", "Some lines", AuditPage, AuditQuery)
def list_audit(query: AuditQuery) -> Reply:
    """The audit trail, the latest line first."""
    (before,) = position_of(query, int) or (None,)
    rows = services().trail.lines(
        before=before, limit=rows_for(query), actor=query.actor, subject=query.subject
    )
    return page_of(AuditPage, rows, query, AuditShape.model_validate, lambda row: (row.id,))


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
