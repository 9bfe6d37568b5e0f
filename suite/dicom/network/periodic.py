"""A thread that does one thing again and again until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from suite.errors import SuiteError

_log = logging.getLogger(__name__)


class Periodic(threading.Thread):
    """Calls a task with pauses; what fails is logged and tried again at the next turn."""

    def __init__(self, name: str, task: Callable[[], object], pause_seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self._task = task
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()

    def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._ended.wait(self._pause_seconds):
            try:
                self._task()
            except SuiteError as error:
                _log.error("%s: %s", self.name, error)
            except Exception:  # noqa: BLE001 -- one bad study must not stop those that come after it
                _log.exception("%s failed and goes on", self.name)

    def stop(self, seconds: float = 10.0) -> None:
        """Ask for the end and wait for it."""
        self._ended.set()
        if self.is_alive():
            self.join(seconds)
