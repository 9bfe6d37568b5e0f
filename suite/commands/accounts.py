"""What ``radsuite users`` and ``radsuite tokens`` share: the accounts they work on, and their tables."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from suite.commands.console import output

if TYPE_CHECKING:
    from suite.jobs.database import Database
    from suite.settings import Settings

ACTOR = "command line"

F = TypeVar("F", bound=Callable[..., Any])


def data_option(command: F) -> F:
    """The option that says which service's accounts are meant."""
    return click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the service."
    )(command)


class Parts:
    """What these commands work on."""

    def __init__(self, database: Database, settings: Settings) -> None:
        from suite.accounts.audit import AuditTrail
        from suite.accounts.links import OneTimeLinks
        from suite.accounts.provider import ProviderAccounts
        from suite.accounts.tokens import Tokens
        from suite.accounts.users import Users

        self.settings = settings
        self.users = Users(database, time.time)
        self.links = OneTimeLinks(database, time.time)
        self.tokens = Tokens(database, time.time)
        self.trail = AuditTrail(database, time.time)
        self.provider = ProviderAccounts(database, time.time, self.trail)


@contextmanager
def opened(data: Path | None) -> Iterator[Parts]:
    """The accounts of the service on ``data``."""
    from suite.jobs.database import Database
    from suite.settings import load_settings

    settings = load_settings(data=data)
    database = Database(settings)
    try:
        yield Parts(database, settings)
    finally:
        database.close()


def show(columns: Sequence[str], rows: list[tuple[str, ...]], as_json: bool) -> None:
    """Print a table, or a JSON list with a key a column."""
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


def day(moment: float | None) -> str:
    """The date of a moment in UTC; ``never`` without one."""
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).date().isoformat()
