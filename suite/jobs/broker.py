"""The Celery application, and the embedded queue of files below it.

A message is a job's id and nothing else. The embedded broker is kombu's file-system transport with three
things put right: a message appears whole (it is renamed into place), names sort by age, and nothing passes
through ``/tmp``.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

from suite.errors import StorageError
from suite.jobs.contracts import Publish
from suite.settings import Settings

TASK = "radsuite.read_study"
QUEUE = "radsuite"

_log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """File-system channel whose messages are never seen half-written."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        temporary = folder / f"{name}.tmp"
        temporary.write_bytes(str_to_bytes(dumps(payload)))
        os.replace(temporary, folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """The oldest message of a queue; the rename decides which of several workers has it."""
        taken = Path(self.processed_folder)
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                os.replace(Path(self.data_folder_in) / name, taken / name)
            except FileNotFoundError:
                continue
            payload: dict[str, Any] = loads(bytes_to_str((taken / name).read_bytes()))
            (taken / name).unlink()
            return payload
        raise Empty


class Transport(filesystem.Transport):
    """The embedded broker; named in ``broker_transport`` by this path."""

    Channel = Channel


def create_celery(settings: Settings, run: Callable[[str], None] | None = None) -> Celery:
    """The application for one process: a sender without ``run``, a worker with it.

    Args:
        settings: broker URL or data folder.
        run: brings one job to its end (:meth:`suite.jobs.execution.JobRunner.run`).

    Raises:
        StorageError: the queue's folders cannot be made.
    """
    app = Celery("radsuite", set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=4,
    )
    if settings.broker_url is None:
        app.conf.update(_embedded(settings))
    else:
        app.conf.broker_url = settings.broker_url
    if run is not None:
        app.task(run, name=TASK)
    return app


def publisher(app: Celery) -> Publish:
    """A function that hands job ids to the broker; one that is away is logged, the sweeper repeats it."""

    def publish(job_id: str) -> None:
        try:
            app.send_task(TASK, args=[job_id], retry=False)
        except (KombuError, OSError) as error:
            _log.warning("job %s could not be handed to the broker yet: %s", job_id, error)

    return publish


def _embedded(settings: Settings) -> dict[str, Any]:
    folder = settings.data / "queue"
    names = ("messages", "taken", "control")
    try:
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: the queue cannot be made ({error.strerror}); choose another --data."
        ) from error
    messages, taken, control = (str(folder / name) for name in names)
    return {
        "broker_url": "filesystem://localhost//",
        "broker_transport": f"{__name__}:Transport",
        "broker_transport_options": {
            "data_folder_in": messages,
            "data_folder_out": messages,
            "processed_folder": taken,
            "control_folder": control,
            "store_processed": False,
            "polling_interval": settings.poll_seconds,
        },
    }
