"""The parts of the kernel that pages talk to, opened once per process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import current_app

from suite.jobs.broker import create_celery, publisher
from suite.jobs.catalogue import Catalogue
from suite.jobs.contracts import Publish
from suite.jobs.database import Database
from suite.jobs.queue import JobQueue
from suite.jobs.store import Store
from suite.jobs.submission import Submission
from suite.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may need besides the request itself."""

    settings: Settings
    database: Database
    store: Store
    queue: JobQueue
    catalogue: Catalogue
    submission: Submission
    publish: Publish


def open_services(settings: Settings, publish: Publish | None = None) -> Services:
    """Open the database and the queue's sending end.

    Args:
        settings: where they are.
        publish: hands job ids to a broker; ``None`` takes the settings' one.

    Raises:
        StorageError: the data folder or the database cannot be used.
    """
    database = Database(settings)
    store = Store(settings.data)
    send = publish or publisher(create_celery(settings))
    return Services(
        settings=settings,
        database=database,
        store=store,
        queue=JobQueue(database, settings, time.time),
        catalogue=Catalogue(database, time.time),
        submission=Submission(database, store, send),
        publish=send,
    )


def services() -> Services:
    """The services of the application that handles the current request."""
    found: Services = current_app.extensions["radsuite"]
    return found
