"""``radsuite backup`` and ``radsuite restore``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from suite.commands.console import error_line, output
from suite.commands.serving import settings_from
from suite.jobs.backup import Summary


def back_up(target: Path, *, data: Path | None) -> int:
    """Write a backup; returns the exit status."""
    from suite.jobs.backup import backup

    settings = settings_from(data=data)
    if settings.store_url is not None:
        error_line("Films in the object store are not in this backup beyond local copies; keep its versions.")
    output(f"{target}: {_words(backup(settings, target))}")
    return 0


def bring_back(source: Path, *, data: Path | None) -> int:
    """Restore a backup; returns the exit status."""
    from suite.jobs.backup import restore

    settings = settings_from(data=data)
    output(f"{settings.data}: {_words(restore(settings, source))}")
    return 0


def _words(summary: Summary) -> str:
    made = datetime.fromtimestamp(summary.created_at, UTC)
    return (
        f"{summary.files} files, {summary.bytes / 1e6:.1f} MB, sha256 of each checked, "
        f"version {summary.version}, {made:%Y-%m-%d %H:%M} UTC"
    )
