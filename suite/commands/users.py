"""``radsuite users`` and ``radsuite tokens``: who may use the service, and with what."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from suite.commands.console import output

if TYPE_CHECKING:
    from suite.accounts.tokens import TokenView
    from suite.accounts.users import Account
    from suite.jobs.database import Database
    from suite.settings import Settings

ROLES = ("reader", "researcher", "admin")
SCOPES = (
    "studies:read",
    "studies:write",
    "studies:delete",
    "reviews:write",
    "nodes:read",
    "nodes:send",
    "admin",
)
ACTOR = "command line"
DAY_SECONDS = 86_400.0

F = TypeVar("F", bound=Callable[..., Any])


def _data_option(command: F) -> F:
    return click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service."
    )(command)


@click.group()
def users() -> None:
    """Who may sign in: create, list, change, remove.

    \b
    Example:
      radsuite users list
    """


@users.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="reader", show_default=True)
@click.option("--no-password", is_flag=True, help="For programs: only tokens let them in.")
@click.option("--password-stdin", is_flag=True, help="Read the password's line from standard input.")
@_data_option
def create_user(name: str, role: str, no_password: bool, password_stdin: bool, data: Path | None) -> None:
    """Add a user; the password is asked for.

    \b
    Example:
      radsuite users create ada --role admin
    """
    from suite.accounts.principal import Role

    password = None if no_password else _password(from_input=password_stdin)
    with _opened(data) as parts:
        account = parts.users.create(name, Role(role), password)
        parts.trail.record(ACTOR, "user.created", account.name, detail={"role": role})
    output(f"{account.name}: {role}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@_data_option
def list_users(as_json: bool, data: Path | None) -> None:
    """All users.

    \b
    Example:
      radsuite users list
    """
    with _opened(data) as parts:
        rows = parts.users.all()
    _show(("Name", "Role", "Created", "State"), [_user_row(row) for row in rows], as_json)


@users.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--password", "new_password", is_flag=True, help="Ask for a new password; ends a lock.")
@click.option("--disable/--enable", default=None, help="Disabling ends sessions and tokens at once.")
@_data_option
def change_user(
    name: str, role: str | None, new_password: bool, disable: bool | None, data: Path | None
) -> None:
    """Change a user's role or password, disable or enable them.

    \b
    Example:
      radsuite users change ada --disable
    """
    from suite.accounts.principal import Role

    password = _password(from_input=False) if new_password else None
    with _opened(data) as parts:
        account = parts.users.change(
            name, role=Role(role) if role else None, password=password, disabled=disable
        )
        changed = [
            key
            for key, value in (("role", role), ("password", password), ("disabled", disable))
            if value is not None
        ]
        parts.trail.record(ACTOR, "user.changed", account.name, detail={"changed": changed})
    output(f"{account.name}: {account.role}{', disabled' if account.disabled_at else ''}.")


@users.command("link")
@click.argument("name")
@_data_option
def link_user(name: str, data: Path | None) -> None:
    """Print a link that lets a user in once, within a day; earlier unused ones are void.

    \b
    Example:
      radsuite users link ada
    """
    with _opened(data) as parts:
        key = parts.links.create(name)
        parts.trail.record(ACTOR, "user.invited", name)
        base = parts.settings.public_url or parts.settings.base_url.rstrip("/")
    output(f"{base}/enter/{key}")


@users.command("remove")
@click.argument("name")
@_data_option
def remove_user(name: str, data: Path | None) -> None:
    """Remove a user and their tokens; reviews and the audit trail keep the name.

    \b
    Example:
      radsuite users remove ada
    """
    with _opened(data) as parts:
        parts.users.remove(name)
        parts.trail.record(ACTOR, "user.removed", name)
    output(f"{name}: removed.")


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
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Days it is valid.")
@click.option("--forever", is_flag=True, help="It does not expire.")
@_data_option
def create_token(
    user: str, name: str, scopes: Sequence[str], days: int, forever: bool, data: Path | None
) -> None:
    """Make a token for a user. Its key is printed once and kept nowhere.

    \b
    Example:
      radsuite tokens create ada --name gateway --scope studies:read --scope studies:write
    """
    from suite.accounts.principal import Scope

    with _opened(data) as parts:
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
@_data_option
def list_tokens(as_json: bool, data: Path | None) -> None:
    """All tokens, without their keys.

    \b
    Example:
      radsuite tokens list
    """
    with _opened(data) as parts:
        rows = parts.tokens.all()
    columns = ("Number", "User", "Name", "Scopes", "Expires", "Last used", "State")
    _show(columns, [_token_row(row) for row in rows], as_json)


@tokens.command("revoke")
@click.argument("number", type=click.IntRange(1))
@_data_option
def revoke_token(number: int, data: Path | None) -> None:
    """End a token at once.

    \b
    Example:
      radsuite tokens revoke 3
    """
    with _opened(data) as parts:
        view = parts.tokens.revoke(number)
        parts.trail.record(ACTOR, "token.revoked", str(number))
    output(f"Token {number} ({view.user}, {view.name}): revoked.")


class _Parts:
    """What these commands work on."""

    def __init__(self, database: Database, settings: Settings) -> None:
        from suite.accounts.audit import AuditTrail
        from suite.accounts.links import OneTimeLinks
        from suite.accounts.tokens import Tokens
        from suite.accounts.users import Users

        self.settings = settings
        self.users = Users(database, time.time)
        self.links = OneTimeLinks(database, time.time)
        self.tokens = Tokens(database, time.time)
        self.trail = AuditTrail(database, time.time)


@contextmanager
def _opened(data: Path | None) -> Iterator[_Parts]:
    from suite.jobs.database import Database
    from suite.settings import load_settings

    settings = load_settings(data=data)
    database = Database(settings)
    try:
        yield _Parts(database, settings)
    finally:
        database.close()


def _password(*, from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _show(columns: Sequence[str], rows: list[tuple[str, ...]], as_json: bool) -> None:
    if as_json:
        keys = [column.lower().replace(" ", "_") for column in columns]
        output(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    output(table)


def _user_row(account: Account) -> tuple[str, ...]:
    locked = account.locked_until is not None and account.locked_until > time.time()
    state = "disabled" if account.disabled_at else "locked" if locked else "active"
    return account.name, account.role.value, _day(account.created_at), state


def _token_row(token: TokenView) -> tuple[str, ...]:
    expired = token.expires_at is not None and token.expires_at <= time.time()
    state = "revoked" if token.revoked_at else "expired" if expired else "valid"
    scopes = " ".join(scope.value for scope in token.scopes)
    dates = (_day(token.expires_at), _day(token.last_used_at))
    return str(token.id), token.user, token.name, scopes, *dates, state


def _day(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).date().isoformat()
