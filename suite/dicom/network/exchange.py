"""The process on the hospital's wires: listener, folder watch, completion of studies, outbox.

``python -m suite.dicom.network.exchange`` runs it with the settings of its environment; ``radsuite serve``
starts it so, and ``radsuite listen`` runs it by itself. It loads no network and decodes no film.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from suite.dicom.network.archive import Archive
from suite.dicom.network.commitment import Commitments
from suite.dicom.network.commitment_provider import CommitmentProvider
from suite.dicom.network.completeness import StudyCloser
from suite.dicom.network.folder_watch import FolderWatch
from suite.dicom.network.index import InstanceIndex
from suite.dicom.network.listener import Listener
from suite.dicom.network.nodes import Nodes
from suite.dicom.network.notes import Note, audit_trail
from suite.dicom.network.outbox import Outbox, sender_of
from suite.dicom.network.periodic import Periodic
from suite.dicom.network.privacy import keep_values_out_of_logs
from suite.dicom.network.reception import Reception
from suite.dicom.network.result_objects import ResultObjects, result_objects
from suite.dicom.network.routing import Router
from suite.errors import SuiteError
from suite.jobs import logs
from suite.jobs.broker import create_celery, publisher
from suite.jobs.contracts import Publish
from suite.jobs.database import Database
from suite.jobs.store import Store, open_store
from suite.jobs.submission import Submission, file_name
from suite.settings import Settings, load_settings

_log = logging.getLogger("suite.dicom.network.exchange")  # also when run as a script

TURN_SECONDS = 1.0
"""How often complete studies, finished jobs and due objects are looked for."""


@dataclass(slots=True)
class Exchange:
    """All parts, opened on one data folder.

    Args:
        settings: where the data is, and which parts are wanted.
        publish: hands job ids to the broker; ``None`` takes the settings' one.

    Raises:
        StorageError: the data folder or the database cannot be used.
    """

    settings: Settings
    publish: Publish | None = None
    database: Database = field(init=False)
    archive: Archive = field(init=False)
    index: InstanceIndex = field(init=False)
    reception: Reception = field(init=False)
    closer: StudyCloser = field(init=False)
    router: Router = field(init=False)
    outbox: Outbox = field(init=False)
    objects: ResultObjects = field(init=False)
    listener: Listener | None = field(init=False, default=None)
    _submission: Submission = field(init=False)
    _store: Store = field(init=False)
    _note: Note = field(init=False)
    _threads: list[Periodic] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        keep_values_out_of_logs()
        settings = self.settings
        self.database = Database(settings)
        self._note = audit_trail(self.database)
        self._store = open_store(settings)
        self.archive = Archive(settings.data)
        self.index = InstanceIndex(self.database, self.archive, settings.data)
        send = self.publish or publisher(create_celery(settings))
        self._submission = Submission(self.database, self._store, send, name=file_name)
        self.reception = Reception(self.archive, self.index, settings.max_instance_bytes, self._note)
        self.closer = StudyCloser(
            self.archive,
            self.index,
            self._store,
            self._submission,
            settings.quiet_seconds,
            note=self._note,
        )
        self.objects = result_objects(settings, self.database, self._store)
        self.outbox = Outbox(self.database, self.objects, settings, self._note)
        self.router = Router(self.database, self.objects, settings.data, make_all=settings.make_dicom_results)

    def start(self) -> int | None:
        """Start all parts in threads; gives the listener's port where there is one.

        Raises:
            InputError: the address cannot be bound, or there is no such folder to watch.
        """
        self.archive.clean()
        tasks: list[tuple[str, Callable[[], object], float]] = [
            ("completion of studies", self.closer.run_once, TURN_SECONDS),
            ("routing of results", self.router.run_once, TURN_SECONDS),
            ("outbox", self.outbox.deliver_due, TURN_SECONDS),
        ]
        if self.settings.watch_folder is not None:
            tasks.append(("folder watch", self._folder_watch().look, self.settings.watch_seconds))
        port = None
        if self.settings.listen_port is not None:
            self.listener = Listener(self.settings, self.reception, self.commitment_provider())
            port = self.listener.start()
        self._threads = [Periodic(*task) for task in tasks]
        for thread in self._threads:
            thread.start()
        return port

    def stop(self) -> None:
        """Take nothing more, finish what is at hand, give everything back."""
        if self.listener is not None:
            self.listener.stop()
        for thread in self._threads:
            thread.stop()
        self.database.close()

    def commitment_provider(self) -> CommitmentProvider:
        """What answers for the archive's instances, and takes nodes' answers to the outbox."""
        commitments = Commitments(self.database, self.settings.send_pause_seconds, self._note)
        return CommitmentProvider(self.archive, Nodes(self.database), sender_of(self.settings), commitments)

    def _folder_watch(self) -> FolderWatch:
        settings = self.settings
        assert settings.watch_folder is not None
        return FolderWatch(
            settings.watch_folder,
            settings.data,
            self.reception,
            self._store,
            self._submission,
            move=settings.watch_move,
        )


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT; gives the exit status.

    Raises:
        SuiteError: it cannot start; the sentence says why.
    """
    logs.configure(settings)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    exchange = Exchange(settings)
    try:
        exchange.start()
        _log.info("exchange is ready")
        while not ended.wait(TURN_SECONDS):
            time.sleep(0)
    finally:
        exchange.stop()
    return 0


def main() -> int:
    """Entry point of the child process of ``radsuite serve``."""
    try:
        return run(load_settings())
    except SuiteError as error:
        _log.error("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
