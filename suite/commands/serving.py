"""``radsuite serve`` and ``radsuite worker``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.commands.console import output
from suite.settings import Settings, load_settings


def settings_from(**options: Any) -> Settings:
    """The environment's settings with the options that were given on the command line."""
    return load_settings(**{name: value for name, value in options.items() if value is not None})


def serve_pages(*, host: str | None, port: int | None, data: Path | None) -> int:
    """Serve until stopped; returns the exit status."""
    return serve_with(settings_from(host=host, port=port, data=data))


def serve_with(settings: Settings, path: str = "") -> int:
    """Serve by ready settings until stopped; gives the exit status. ``path`` is printed with the address."""
    from suite.jobs.supervisor import serve

    return serve(settings, on_ready=lambda address: output(f"Reading pages: {address}{path}  (Ctrl-C stops)"))


def run_worker(*, data: Path | None, queues: str | None = None) -> int:
    """Work until stopped; returns the exit status."""
    from suite.jobs.worker import run

    names = tuple(name.strip() for name in queues.split(",") if name.strip()) if queues else None
    return run(settings_from(data=data, queues=names))
