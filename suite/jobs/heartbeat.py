"""Threads of a worker process: one that keeps the lease of the running job, one that sweeps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from suite.errors import StorageError
from suite.jobs.contracts import Publish
from suite.jobs.identity import WorkerIdentity
from suite.jobs.queue import JobQueue, Standing
from suite.settings import Settings

_log = logging.getLogger(__name__)


class Leased(Protocol):
    """Something held for a time: a job, or one stage of a job."""

    @property
    def job_id(self) -> str: ...


Held = TypeVar("Held", bound=Leased)
_Beaten = TypeVar("_Beaten", bound=Leased, contravariant=True)


class Leases(Protocol[_Beaten]):
    """Where leases are kept."""

    def beat(self, claim: _Beaten, /) -> Standing:
        """Extend the lease, and see whether it is still one's own."""


class Heartbeat(Generic[Held]):
    """Extends a claim's lease while the ``with`` block runs.

    Past ``job_limit_seconds`` it calls ``on_overrun`` once and stops: whoever hangs loses the job.
    """

    def __init__(
        self, leases: Leases[Held], claim: Held, settings: Settings, on_overrun: Callable[[Held], None]
    ) -> None:
        self._leases = leases
        self._claim = claim
        self._interval = settings.heartbeat_seconds
        self._beats_left = int(settings.job_limit_seconds / settings.heartbeat_seconds) + 1
        self._on_overrun = on_overrun
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat[Held]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._interval):
            self._beats_left -= 1
            if self._beats_left < 0:
                self._on_overrun(self._claim)
                return
            try:
                if self._leases.beat(self._claim) is Standing.LOST:
                    _log.warning("job %s was taken away from this worker", self._claim.job_id)
                    return
            except StorageError as error:  # one missed beat is no loss; the lease spans several
                _log.warning("job %s: no heartbeat written: %s", self._claim.job_id, error)
            except Exception:  # noqa: BLE001 -- the next beat may be in time
                _log.exception("job %s: no heartbeat written", self._claim.job_id)


class Sweeper:
    """Looks for expired leases and lost messages every ``sweep_seconds``, and hands those jobs over again.

    Any number of sweepers may run, one per worker process: each job row is put right by one of them.
    ``on_sweep`` is called before each sweep: the worker's own sign of life.
    """

    def __init__(
        self,
        queue: JobQueue,
        publish: Publish,
        settings: Settings,
        worker: WorkerIdentity,
        on_sweep: Callable[[], None] | None = None,
    ) -> None:
        self._queue = queue
        self._on_sweep = on_sweep
        self._publish = publish
        self._interval = settings.sweep_seconds
        self._worker = worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin in a thread of its own, with a sweep at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep that is going on."""
        self._ended.set()
        self._thread.join()

    def sweep(self) -> list[str]:
        """One sweep; returns the ids handed over again."""
        if self._on_sweep is not None:
            self._on_sweep()
        ids = self._queue.sweep(self._worker)
        for job_id in ids:
            _log.warning("job %s is handed to the queue again", job_id)
            self._publish(job_id, self._queue.queue_of(job_id))
        return ids

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except StorageError as error:
                _log.warning("sweep skipped: %s", error)
            except Exception:  # noqa: BLE001 -- without its sweeps a worker would leave others' jobs lying
                _log.exception("sweep skipped")
            if self._ended.wait(self._interval):
                return
