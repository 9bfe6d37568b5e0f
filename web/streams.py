"""Server-sent events: each open stream keeps one of the server's threads, so there are seats for a part only.

Lists and jobs have seats of their own, a quarter and half of the threads, rounded down. However many threads
there are, one at least is left to answer; a server of one thread streams nothing, and one of two or three no
lists: readers ask now and then instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Flask, Response, current_app

from suite.settings import Settings

MEDIA_TYPE = "text/event-stream"
_KEY = "radsuite.streams"


class Seats:
    """How many streams of one kind run at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._left = threading.BoundedSemaphore(count)

    def take(self) -> Callable[[], None] | None:
        """A seat: what gives it back, once however often it is called. ``None`` when all are taken."""
        if not self._left.acquire(blocking=False):
            return None
        held = threading.Lock()

        def give_back() -> None:
            if held.acquire(blocking=False):
                self._left.release()

        return give_back


@dataclass(frozen=True, slots=True)
class Streams:
    """The seats of one process.

    Attributes:
        lists: for worklists that keep themselves up to date.
        jobs: for programs that follow a job.
    """

    lists: Seats
    jobs: Seats


def init_app(app: Flask, settings: Settings) -> None:
    """Put up as many seats as the threads allow."""
    threads = settings.web_threads
    app.extensions[_KEY] = Streams(lists=Seats(threads // 4), jobs=Seats(threads // 2))


def streams() -> Streams:
    """The seats of the application that handles the current request."""
    found: Streams = current_app.extensions[_KEY]
    return found


def stream(events: Iterator[str], seats: Seats) -> Response | None:
    """The events as they happen, until they end or the reader goes away; ``None`` when no seat is left.

    Args:
        events: blocks of the format, each with its empty line; asked for only while somebody listens.
    """
    give_back = seats.take()
    if give_back is None:
        return None
    response = Response(events, content_type=MEDIA_TYPE)
    response.call_on_close(give_back)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response
