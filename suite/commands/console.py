"""Where commands speak: results to standard output, errors and progress to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


def output(content: Any) -> None:
    """A result: text as it is, anything else as rich renders it."""
    if isinstance(content, str):
        sys.stdout.write(content + "\n")
        return
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 140).print(content)


def error_line(message: str) -> None:
    """One sentence on standard error."""
    sys.stderr.write(" ".join(message.split()) + "\n")


def progress_bar() -> Progress:
    """A progress bar on standard error that leaves standard output clean; none where nobody watches."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)
