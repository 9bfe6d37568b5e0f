"""The worker process: a Celery consumer, and the two threads that keep jobs from getting lost.

``python -m suite.jobs.worker`` runs it with the settings of its environment; ``radsuite serve`` starts it so.
The pool is ``solo``: the process that loads the models is the process that uses them, and no fork ever
carries a CUDA context.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery

from suite.devices import limit_threads
from suite.errors import StorageError, SuiteError
from suite.intake import StudyFiles
from suite.jobs import logs, workers
from suite.jobs.broker import create_celery, offer_stage, publisher, queue_name, warm_up
from suite.jobs.contracts import Analyzer, AnalyzerFactory, StoredFilms, StudyLoader
from suite.jobs.database import Database
from suite.jobs.execution import JobRunner
from suite.jobs.heartbeat import Sweeper
from suite.jobs.identity import WorkerIdentity
from suite.jobs.queue import JobQueue
from suite.jobs.store import open_store
from suite.jobs.training import TrainingRuns
from suite.settings import Settings, load_settings
from suite.study import Study

_log = logging.getLogger("suite.jobs.worker")  # also when run as a script


def run(
    settings: Settings, *, analyzer: AnalyzerFactory | None = None, load: StudyLoader | None = None
) -> int:
    """Work until told to stop (SIGTERM, SIGINT: the job at hand is finished first).

    Args:
        settings: where database, broker and store are.
        analyzer: builds the models; ``None`` takes all installed stages.
        load: reads a study's files; ``None`` takes the suite's intake.

    Returns:
        The process's exit status.

    Raises:
        StorageError: the data folder or the database cannot be used.
    """
    logs.configure(settings)
    identity = WorkerIdentity.of_this_process()
    database = Database(settings)
    queue = JobQueue(database, settings, time.time)
    store = open_store(settings)
    trainer = TrainingRuns(settings) if "train" in settings.queues else None
    runner = JobRunner(
        database,
        queue,
        store,
        settings,
        identity,
        analyzer=analyzer or installed_analyzer(settings),
        load=load or load_study,
        train=trainer,
    )
    app = create_celery(settings, runner.run, runner.run_stage)
    runner.tell = partial(_tell, app, settings.reading_queue)
    if trainer is not None:
        trainer.publish = publisher(app)
    warm_up(app)
    store.clean()
    if settings.reading_queue in settings.queues:
        runner.warm_up()
    sign = partial(_give_sign, database, identity, settings)
    _first_sign(sign)
    sweeper = Sweeper(queue, publisher(app), settings, identity, sign)
    sweeper.start()
    try:
        worker = _celery_worker(app, settings, identity)
        _log.info("worker %s is ready", identity)
        worker.start()
        return int(worker.exitcode or 0)
    finally:
        sweeper.stop()
        _leave(database, identity)
        database.close()


def _celery_worker(app: Celery, settings: Settings, identity: WorkerIdentity) -> Any:
    """One job at a time, from the queues of the settings; signs of life go to the database instead."""
    return app.Worker(
        pool="solo",
        concurrency=1,
        queues=[queue_name(queue) for queue in settings.queues],
        hostname=f"{identity.host}-{identity.pid}",
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )


def _tell(app: Celery, queue: str, job_id: str, attempt: int, stage: str) -> None:
    offer_stage(app, job_id, attempt, stage, queue)


def _give_sign(database: Database, identity: WorkerIdentity, settings: Settings) -> None:
    """Note that this worker lives, with a row where it has none yet."""
    now = time.time()
    if not workers.give_sign(database, identity, now):
        workers.announce(database, identity, settings, now)


def _first_sign(sign: Callable[[], None]) -> None:
    """A worker that starts on a full disk can work as soon as there is space again."""
    try:
        sign()
    except StorageError as error:
        _log.warning("%s", error)


def _leave(database: Database, identity: WorkerIdentity) -> None:
    try:
        workers.take_leave(database, identity)
    except StorageError as error:  # its row is then removed by another worker, a day later
        _log.warning("%s", error)


def installed_analyzer(settings: Settings) -> AnalyzerFactory:
    """A factory of the suite's analyzer on the settings' device; nothing is imported before it is called."""

    def build() -> Analyzer:
        limit_threads(settings.threads)
        analysis = importlib.import_module("suite.analysis")
        analyzer: Analyzer = analysis.Analyzer(
            stages=settings.stages, device=settings.device, calibration=settings.calibration
        )
        return analyzer

    return build


def load_study(films: StoredFilms) -> Study:
    """Read the films of one stored study with the suite's intake.

    Raises:
        SuiteError: a film cannot be read.
    """
    return StudyFiles(
        films.id,
        films.frontal,
        films.lateral,
        frontal_source=films.frontal_name,
        lateral_source=films.lateral_name,
        paired_by_hand=films.paired_by_hand,
    ).load()


def main() -> int:
    """Entry point of the child process of ``radsuite serve``."""
    try:
        return run(load_settings())
    except SuiteError as error:
        _log.error("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
