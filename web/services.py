"""The parts of the kernel that pages talk to, opened once per process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import current_app

from suite.accounts.audit import AuditTrail
from suite.accounts.links import OneTimeLinks
from suite.accounts.provider import ProviderAccounts
from suite.accounts.repetition import Repetitions
from suite.accounts.tokens import Tokens
from suite.accounts.users import Users
from suite.dicom.network.archive import Archive
from suite.dicom.network.handed_in import HandedInFilms
from suite.dicom.network.index import InstanceIndex
from suite.jobs.broker import create_celery, publisher
from suite.jobs.catalogue import Catalogue
from suite.jobs.contracts import Publish
from suite.jobs.database import Database
from suite.jobs.models import QueueName
from suite.jobs.queue import JobQueue
from suite.jobs.store import Store, open_store
from suite.jobs.submission import Submission
from suite.records.reviews import Reviews
from suite.records.search import StudySearch
from suite.records.uploads import Uploads
from suite.records.worklist import Worklist
from suite.records.written import WrittenReports
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

    @property
    def users(self) -> Users:
        """Accounts of people and programs."""
        return Users(self.database, time.time)

    @property
    def tokens(self) -> Tokens:
        """Keys of programs."""
        return Tokens(self.database, time.time)

    @property
    def links(self) -> OneTimeLinks:
        """Links that let a user in once."""
        return OneTimeLinks(self.database, time.time)

    @property
    def provider_accounts(self) -> ProviderAccounts:
        """Accounts of those whom an OpenID provider vouches for."""
        return ProviderAccounts(self.database, time.time, self.trail)

    @property
    def worklist(self) -> Worklist:
        """Who reads what, and in which order."""
        cap = self.settings.waiting_cap_minutes * 60
        return Worklist(self.database, time.time, self.trail, cap_seconds=cap)

    @property
    def written(self) -> WrittenReports:
        """Reports that people write."""
        return WrittenReports(self.database, time.time, self.trail)

    @property
    def trail(self) -> AuditTrail:
        """Who did what."""
        return AuditTrail(self.database, time.time)

    @property
    def repetitions(self) -> Repetitions:
        """Requests with an idempotency key."""
        return Repetitions(self.database, time.time)

    @property
    def reviews(self) -> Reviews:
        """What readers say of readings."""
        return Reviews(self.database, time.time, self.trail)

    @property
    def search(self) -> StudySearch:
        """Finding studies."""
        return StudySearch(self.database)

    @property
    def uploads(self) -> Uploads:
        """Files that arrive in pieces."""
        return Uploads(self.database, self.settings.data, time.time)


def open_services(settings: Settings, publish: Publish | None = None) -> Services:
    """Open the database and the queue's sending end.

    Args:
        settings: where they are.
        publish: hands job ids to a broker; ``None`` takes the settings' one.

    Raises:
        StorageError: the data folder or the database cannot be used.
    """
    database = Database(settings)
    store = open_store(settings)
    send = publish or publisher(create_celery(settings))
    archive = Archive(settings.data)
    films = HandedInFilms(archive, InstanceIndex(database, archive, settings.data))
    return Services(
        settings=settings,
        database=database,
        store=store,
        queue=JobQueue(database, settings, time.time),
        catalogue=Catalogue(database, time.time),
        submission=Submission(database, store, send, queue=QueueName(settings.reading_queue), keep=films),
        publish=send,
    )


def services() -> Services:
    """The services of the application that handles the current request."""
    found: Services = current_app.extensions["radsuite"]
    return found
