"""Child processes that are started again when they end, and that never outlive their parent."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 20.0
"""A child that ran this long had a sound start: the next pause is the shortest again."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. ``stop_signal`` asks it to finish what it has at hand and end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """One supervised process: started, watched by :meth:`tend`, started again after a pause that doubles."""

    def __init__(self, spec: ChildSpec, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        self.quick_failures = 0
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_again_at = 0.0

    @property
    def pid(self) -> int | None:
        """Process number while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process in a session of its own: a Ctrl+C in the terminal reaches the parent only."""
        self._started_at = self._clock()
        self._process = subprocess.Popen(
            list(self.spec.command),
            env={**os.environ, **self.spec.environment},
            start_new_session=True,
            preexec_fn=parent_death_signal(os.getpid()) if sys.platform == "linux" else None,
        )
        _log.info("%s started (process %d)", self.spec.name, self._process.pid)

    def tend(self) -> None:
        """Notice an end, and start again once the pause is over."""
        now = self._clock()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._note_end(status, now)
            return
        if now >= self._start_again_at:
            self.start()

    def ask_to_stop(self) -> None:
        """Send the stop signal, if it runs."""
        self._signal(self.spec.stop_signal)

    def kill(self) -> None:
        """End it and what it started, at once."""
        self._signal(signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within ``seconds``."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _note_end(self, status: int, now: float) -> None:
        stable = now - self._started_at >= STABLE_SECONDS
        self.quick_failures = 1 if stable else self.quick_failures + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self.quick_failures - 1))
        _log.error("%s ended with status %d; starting it again in %.1f s", self.spec.name, status, pause)
        self._process = None
        self._start_again_at = now + pause

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if number is signal.SIGKILL:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)


def parent_death_signal(parent: int) -> Callable[[], None]:
    """Code for the new process: die when the parent does, even when that one is killed."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved here: between fork and exec little is allowed

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arrange
