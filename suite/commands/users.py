"""``radsuite users``: who may sign in, and how."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suite.commands.accounts import ACTOR, data_option, day, opened, show
from suite.commands.console import output

if TYPE_CHECKING:
    from suite.accounts.provider import ProviderIdentity
    from suite.accounts.users import Account
    from suite.settings import Settings

ROLES = ("reader", "researcher", "admin")


@click.group()
def users() -> None:
    """Who may sign in: create, list, change, remove.

    \b
    Example:
      radsuite users list
    """


@users.command("create")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(ROLES), default="reader", show_default=True, help="What they may do."
)
@click.option("--no-password", is_flag=True, help="For programs: only tokens let them in.")
@click.option("--password-stdin", is_flag=True, help="Read the password's line from standard input.")
@data_option
def create_user(name: str, role: str, no_password: bool, password_stdin: bool, data: Path | None) -> None:
    """Add a user; the password is asked for.

    \b
    Example:
      radsuite users create ada --role admin
    """
    from suite.accounts.principal import Role

    password = None if no_password else _password(from_input=password_stdin)
    with opened(data) as parts:
        account = parts.users.create(name, Role(role), password)
        parts.trail.record(ACTOR, "user.created", account.name, detail={"role": role})
    output(f"{account.name}: {role}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@data_option
def list_users(as_json: bool, data: Path | None) -> None:
    """All users.

    \b
    Example:
      radsuite users list
    """
    with opened(data) as parts:
        rows = parts.users.all()
    show(("Name", "Role", "Created", "State", "Signs in by"), [_user_row(row) for row in rows], as_json)


@users.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="What they may do.")
@click.option("--password", "new_password", is_flag=True, help="Ask for a new password; ends a lock.")
@click.option("--disable/--enable", default=None, help="Disabling ends sessions and tokens at once.")
@data_option
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
    with opened(data) as parts:
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
@data_option
def link_user(name: str, data: Path | None) -> None:
    """Print a link that lets a user in once, within a day. Earlier unused ones are void.

    \b
    Example:
      radsuite users link ada
    """
    with opened(data) as parts:
        key = parts.links.create(name)
        parts.trail.record(ACTOR, "user.invited", name)
        base = parts.settings.public_url or parts.settings.base_url.rstrip("/")
    output(f"{base}/enter/{key}")


@users.command("bind")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--subject", help="Whom the provider means, by its `sub`: bind at once, to nobody else.")
@data_option
def bind_users(names: Sequence[str], subject: str | None, data: Path | None) -> None:
    """Let users sign in by the OpenID provider.

    From now on, and by nothing else.
    Whoever signs in there under such a name within a week becomes that user; with --subject, only that one
    does, whatever their name. A password and unused links end then.

    \b
    Example:
      radsuite users bind ada
    """
    if subject is not None and len(names) > 1:
        raise click.UsageError("--subject is one person's; name one user with it.")
    with opened(data) as parts:
        for name in names:
            if subject is not None:
                account = parts.provider.bind(name, _identity(subject, parts.settings))
                parts.trail.record(ACTOR, "user.bound", account.name)
            else:
                account = parts.provider.expect(name)
                parts.trail.record(ACTOR, "user.binding-allowed", account.name)
            output(f"{account.name}: {_way_in(account)}.")


@users.command("unbind")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@data_option
def unbind_users(names: Sequence[str], data: Path | None) -> None:
    """Let users sign in by the OpenID provider no more.

    Their sessions end, their tokens stay.

    \b
    Example:
      radsuite users unbind ada
    """
    with opened(data) as parts:
        for name in names:
            account = parts.provider.unbind(name)
            parts.trail.record(ACTOR, "user.unbound", account.name)
            output(f"{account.name}: {_way_in(account)}.")


@users.command("remove")
@click.argument("name")
@data_option
def remove_user(name: str, data: Path | None) -> None:
    """Remove a user and their tokens. Reviews and the audit trail keep the name.

    Whom the OpenID provider vouches for is made again at the next sign-in: disable them instead.

    \b
    Example:
      radsuite users remove ada
    """
    with opened(data) as parts:
        parts.users.remove(name)
        parts.trail.record(ACTOR, "user.removed", name)
    output(f"{name}: removed.")


def _password(*, from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _identity(subject: str, settings: Settings) -> ProviderIdentity:
    from suite.accounts.provider import ProviderIdentity
    from suite.errors import RecipeError

    if settings.oidc_issuer is None:
        raise RecipeError(
            "No OpenID provider is set, so a subject means nobody; set RADSUITE_OIDC_ISSUER as for the "
            "service."
        )
    return ProviderIdentity(settings.oidc_issuer, subject)


def _user_row(account: Account) -> tuple[str, ...]:
    locked = account.locked_until is not None and account.locked_until > time.time()
    state = "disabled" if account.disabled_at else "locked" if locked else "active"
    return account.name, account.role.value, day(account.created_at), state, _way_in(account)


def _way_in(account: Account) -> str:
    expected = account.provider_expected_until
    if account.by_provider:
        return "provider"
    if expected is not None and expected > time.time():
        return f"provider, expected until {day(expected)}"
    return "password" if account.has_password else "link or token"
