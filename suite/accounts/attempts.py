"""Slows down whoever guesses: counts wrong credentials for each address, in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_FAILURES = 10
WINDOW_SECONDS = 300.0
MAX_ADDRESSES = 10_000
"""The oldest address is forgotten beyond this, so that nobody fills the memory."""


class AttemptLimit:
    """Remembers the times of the last wrong credentials of each address."""

    def __init__(
        self,
        failures: int = MAX_FAILURES,
        window: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._window = window
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, address: str) -> None:
        """One more wrong credential from there."""
        with self._lock:
            times = self._times.setdefault(address, deque(maxlen=self._failures))
            times.append(self._clock())
            self._times.move_to_end(address)
            while len(self._times) > MAX_ADDRESSES:
                self._times.popitem(last=False)

    def wait_seconds(self, address: str) -> float:
        """How long this address must wait before it is looked at again; 0 when it may try."""
        with self._lock:
            times = self._times.get(address)
            if times is None or len(times) < self._failures:
                return 0.0
            return max(0.0, times[0] + self._window - self._clock())
