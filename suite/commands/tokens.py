"""``radsuite tokens``: keys for programs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suite.commands.accounts import ACTOR, data_option, day, opened, show
from suite.commands.console import output

if TYPE_CHECKING:
    from suite.accounts.tokens import TokenView

SCOPES = (
    "studies:read",
    "studies:write",
    "studies:delete",
    "reviews:write",
    "nodes:read",
    "nodes:send",
    "admin",
)
DAY_SECONDS = 86_400.0


@click.group()
def tokens() -> None:
    """Keys for programs: create, list, revoke.

    \b
    Example:
      radsuite tokens list
    """


@tokens.command("create")
@click.argument("user")
@click.option("--name", required=True, help="What the token is for.")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="May be repeated."
)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Days it is valid.")
@click.option("--forever", is_flag=True, help="It does not expire.")
@data_option
def create_token(
    user: str, name: str, scopes: Sequence[str], days: int, forever: bool, data: Path | None
) -> None:
    """Make a token for a user. Its key is printed once and kept nowhere.

    \b
    Example:
      radsuite tokens create ada --name gateway --scope studies:read --scope studies:write
    """
    from suite.accounts.principal import Scope

    with opened(data) as parts:
        view, key = parts.tokens.create(
            user,
            name,
            [Scope(scope) for scope in scopes],
            lifetime_seconds=None if forever else days * DAY_SECONDS,
        )
        detail = {"user": view.user, "scopes": list(view.scopes)}
        parts.trail.record(ACTOR, "token.created", str(view.id), detail=detail)
    output(key)


@tokens.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@data_option
def list_tokens(as_json: bool, data: Path | None) -> None:
    """All tokens, without their keys.

    \b
    Example:
      radsuite tokens list
    """
    with opened(data) as parts:
        rows = parts.tokens.all()
    columns = ("Number", "User", "Name", "Scopes", "Expires", "Last used", "State")
    show(columns, [_token_row(row) for row in rows], as_json)


@tokens.command("revoke")
@click.argument("number", type=click.IntRange(1))
@data_option
def revoke_token(number: int, data: Path | None) -> None:
    """End a token at once.

    \b
    Example:
      radsuite tokens revoke 3
    """
    with opened(data) as parts:
        view = parts.tokens.revoke(number)
        parts.trail.record(ACTOR, "token.revoked", str(number))
    output(f"Token {number} ({view.user}, {view.name}): revoked.")


def _token_row(token: TokenView) -> tuple[str, ...]:
    expired = token.expires_at is not None and token.expires_at <= time.time()
    state = "revoked" if token.revoked_at else "expired" if expired else "valid"
    scopes = " ".join(scope.value for scope in token.scopes)
    dates = (day(token.expires_at), day(token.last_used_at))
    return str(token.id), token.user, token.name, scopes, *dates, state
