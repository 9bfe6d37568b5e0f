"""The Celery application, and the embedded queue of files below it.

A message is a job's id (and a stage's name where stages are shared out) and nothing else. The embedded broker
is kombu's file-system transport with four things put right: a message appears whole (it is renamed into
place), names sort by age, nothing passes through ``/tmp``, and a full disk leaves no table that stops it.
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
from kombu import Exchange, Queue
from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

from suite.errors import StorageError
from suite.jobs.broker_address import AMQP, REDIS, connection_settings, scheme_of
from suite.jobs.contracts import Publish
from suite.settings import Settings

TASK = "radsuite.job"
"""One job from ``queued`` to its end; its argument is the job's id."""
STAGE_TASK = "radsuite.stage"
"""One stage that a running job offers; its arguments are the job's id, the attempt and the stage's name."""

_CONSUMER_TIMEOUT_MILLISECONDS = 24 * 3600 * 1000
"""RabbitMQ closes the channel of a consumer that keeps a message longer; its own 30 minutes are a training
run's beginning. Honoured per queue from RabbitMQ 3.12 on, ignored before. Harmless when it strikes: the
message comes again and finds the job taken."""

ROUND_SECONDS = 0.25
"""Longest time a worker listens to the embedded queue at a stretch."""

_log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """File-system channel whose messages are never seen half-written."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        temporary = folder / f"{name}.tmp"
        try:
            temporary.write_bytes(str_to_bytes(dumps(payload)))
        except OSError:  # a full disk needs no empty files on top
            temporary.unlink(missing_ok=True)
            raise
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

    def get_table(self, exchange: str) -> list[Any]:
        """The queues of an exchange; a table that a full disk cut short is none."""
        try:
            table: list[Any] = super().get_table(exchange)
        except ValueError:
            return []
        return table

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """As the parent's, which leaves an empty table on a full disk and cannot read it ever after."""
        table = Path(self.control_folder) / f"{exchange}.exchange"
        try:
            loads(table.read_text())
        except FileNotFoundError:
            pass
        except ValueError:
            table.unlink(missing_ok=True)
        super()._queue_bind(exchange, routing_key, pattern, queue)


class Transport(filesystem.Transport):
    """The embedded broker; named in ``broker_transport`` by this path."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """As the parent's, in short rounds: between two of them a worker notices that it is to stop."""
        return super().drain_events(
            connection, timeout=min(timeout or ROUND_SECONDS, ROUND_SECONDS), **kwargs
        )


def create_celery(
    settings: Settings,
    run: Callable[[str], None] | None = None,
    run_stage: Callable[[str, int, str], None] | None = None,
) -> Celery:
    """The application for one process: a sender without ``run``, a worker with it.

    Args:
        settings: broker URL or data folder.
        run: brings one job to its end (:meth:`suite.jobs.execution.JobRunner.run`).
        run_stage: does one offered stage (:meth:`suite.jobs.execution.JobRunner.run_stage`).

    Raises:
        StorageError: the queue's folders cannot be made.
    """
    app = Celery("radsuite", set_as_current=False)
    app.conf.update(
        task_default_queue=queue_name(settings.reading_queue),
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
        app.conf.update(_external(settings.broker_url, settings))
    if run is not None:
        app.task(run, name=TASK)
    if run_stage is not None:
        app.task(run_stage, name=STAGE_TASK)
    return app


def queue_name(queue: str) -> str:
    """The broker's name of the queue ``cpu``, ``gpu`` or ``train``."""
    return f"radsuite.{queue}"


def publisher(app: Celery) -> Publish:
    """A function that hands job ids to the broker; one that is away is logged, the sweeper repeats it."""

    def publish(job_id: str, queue: str | None = None, /) -> None:
        _send(app, TASK, [job_id], queue)

    return publish


def offer_stage(app: Celery, job_id: str, attempt: int, stage: str, queue: str) -> None:
    """Tell the workers of ``queue`` of a stage they may do; whoever runs the job does it if nobody comes."""
    _send(app, STAGE_TASK, [job_id, attempt, stage], queue)


def warm_up(app: Celery) -> None:
    """Import what sending needs, in this thread: two threads that do so at once may meet in a deadlock."""
    app.finalize()
    _ = app.amqp.send_task_message


def _send(app: Celery, task: str, arguments: list[str | int], queue: str | None) -> None:
    try:
        # a second try: the connection may be one that a restarted broker knows nothing of
        app.send_task(
            task,
            args=arguments,
            queue=queue_name(queue) if queue else None,
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
        )
    except Exception as error:  # noqa: BLE001 -- each broker's library has exceptions of its own
        _log.warning("job %s could not be handed to the broker yet: %s", arguments[0], error)


def _external(url: str, settings: Settings) -> dict[str, Any]:
    """What Redis and RabbitMQ need to be told; the ``job`` table does not depend on it."""
    conf = connection_settings(url)
    if scheme_of(url) in REDIS:
        # A message that is not acknowledged in this time is delivered again. Shorter than a job, it would be
        # delivered while the job runs; what a dead worker held is found sooner by the sweep anyway.
        conf["broker_transport_options"] = {
            "visibility_timeout": int(settings.job_limit_seconds + settings.lease_seconds) + 1,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 4,
            "health_check_interval": 10,
        }
    if scheme_of(url) in AMQP:
        arguments = {"x-consumer-timeout": _CONSUMER_TIMEOUT_MILLISECONDS}
        names = [queue_name(queue) for queue in ("cpu", "gpu", "train")]
        conf["task_queues"] = [
            Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments) for name in names
        ]
        conf["broker_heartbeat"] = 0  # the solo pool cannot answer while a network runs
    return conf


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
