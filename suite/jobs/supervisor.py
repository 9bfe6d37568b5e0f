"""``radsuite serve``: a parent that starts the pages and the worker, and keeps both alive.

The parent imports no network and touches no device. The pages run under gunicorn (one process, threads),
named by an import string, because this package does not import ``web``.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from suite.errors import InputError
from suite.jobs import logs
from suite.jobs.children import Child, ChildSpec
from suite.jobs.database import migrate
from suite.settings import Settings, to_environment

_log = logging.getLogger(__name__)

WEB_APPLICATION = "web:create_app()"

_GUNICORN = "import os, sys; sys.path.append(os.getcwd()); from gunicorn.app.wsgiapp import run; run()"
"""Gunicorn puts the working folder before all others on the path, unless it is there already. No child looks
there first (``-P``): an ``attrs.py`` that lies where the service is started is no part of it."""

GRACE_SECONDS = 20.0
"""Time a child has to finish its work after SIGTERM; a job cut off is taken up at the next start."""
GIVE_UP_AFTER = 6
"""Failed starts in a row after which the cause is not one that waiting cures."""

_TEND_SECONDS = 0.2
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> int:
    """Serve the pages and work on jobs until SIGTERM or SIGINT.

    Args:
        settings: where to serve, and where the data is.
        on_ready: called once with the pages' address when they answer.

    Returns:
        Exit status: 0 after a signal, 1 when a child could not be kept running.

    Raises:
        InputError: the address cannot be bound.
        StorageError: the data folder or the database cannot be used.
    """
    logs.configure(settings)
    _check_address(settings)
    migrate(settings)
    children = [web_child(settings), worker_child(settings), exchange_child(settings)]
    if settings.train_worker:
        children.append(train_child(settings))
    supervisor = Supervisor(children)
    if on_ready is not None:
        announce = threading.Thread(
            target=_announce, args=(settings, supervisor.ended, on_ready), daemon=True
        )
        announce.start()
    return supervisor.run()


class Supervisor:
    """Runs child processes until a signal comes or one of them cannot be kept running."""

    def __init__(self, specs: Sequence[ChildSpec], grace_seconds: float = GRACE_SECONDS) -> None:
        self.children = [Child(spec) for spec in specs]
        self.ended = threading.Event()
        self._grace_seconds = grace_seconds

    def run(self) -> int:
        """Start, tend, stop; returns the exit status. Call from the main thread: it takes the signals."""
        with _signals(self.stop):
            try:
                for child in self.children:
                    child.start()
                while not self.ended.wait(_TEND_SECONDS):
                    if not self._tend_children():
                        return 1
                return 0
            finally:
                self.ended.set()
                self._stop_children()

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        self.ended.set()

    def _tend_children(self) -> bool:
        """Start again what ended; ``False`` if one of them cannot be kept running."""
        for child in self.children:
            child.tend()
            if child.quick_failures >= GIVE_UP_AFTER:
                _log.critical("%s cannot be kept running; see the lines above", child.spec.name)
                return False
        return True

    def _stop_children(self) -> None:
        for child in self.children:
            child.ask_to_stop()
        deadline = time.monotonic() + self._grace_seconds
        for child in self.children:
            if not child.wait(deadline - time.monotonic()):
                _log.warning("%s did not end in time and is killed", child.spec.name)
                child.kill()
                child.wait(self._grace_seconds)


def web_child(settings: Settings) -> ChildSpec:
    """The pages under gunicorn: one process with threads, since pages wait for the disk."""
    host = (
        f"[{settings.host}]" if ":" in settings.host and not settings.host.startswith("[") else settings.host
    )
    arguments = {
        "--bind": f"{host}:{settings.port}",
        "--worker-class": "gthread",
        "--workers": "1",
        "--threads": str(settings.web_threads),
        "--timeout": "120",
        "--graceful-timeout": "5",
        "--log-level": settings.log_level.lower() if settings.log_level != "INFO" else "warning",
    }
    options = [part for pair in arguments.items() for part in pair]
    command = [sys.executable, "-Pc", _GUNICORN, *options, "--no-control-socket", WEB_APPLICATION]
    return ChildSpec("web", command, to_environment(settings))


def worker_child(settings: Settings) -> ChildSpec:
    """The worker that runs the networks."""
    return ChildSpec("worker", [sys.executable, "-Pm", "suite.jobs.worker"], to_environment(settings))


def train_child(settings: Settings) -> ChildSpec:
    """A worker of its own for training, which takes hours; it loads no network itself."""
    own = settings.model_copy(update={"queues": ("train",)})
    return ChildSpec("training worker", [sys.executable, "-Pm", "suite.jobs.worker"], to_environment(own))


def exchange_child(settings: Settings) -> ChildSpec:
    """The DICOM side: what DICOMweb stored becomes studies, results are sent, and films are listened for."""
    command = [sys.executable, "-Pm", "suite.dicom.network.exchange"]
    return ChildSpec("exchange", command, to_environment(settings))


def _check_address(settings: Settings) -> None:
    """Say at once, and in a sentence, what gunicorn would say in a traceback a second later."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            raise InputError(
                f"{settings.host}:{settings.port} cannot be served on ({error.strerror}); stop what uses it, "
                "or choose another one with --port."
            ) from error


def _announce(settings: Settings, ended: threading.Event, on_ready: Callable[[str], None]) -> None:
    while not ended.wait(0.1):
        try:
            with urllib.request.urlopen(f"{settings.base_url}healthz", timeout=5):
                on_ready(settings.base_url)
                return
        except (urllib.error.URLError, OSError):
            continue


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        _log.info("%s: stopping", signal.Signals(number).name)
        stop()

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
