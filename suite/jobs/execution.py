"""Running one job: claim it, load the films, read them, store the result, record it."""

from __future__ import annotations

import logging
import os
import secrets
from typing import Literal

from suite.errors import SuiteError
from suite.jobs.contracts import Analyzer, AnalyzerFactory, StoredFilms, StudyLoader
from suite.jobs.database import Database
from suite.jobs.heartbeat import Heartbeat
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import StageState
from suite.jobs.models import Study as StudyRow
from suite.jobs.queue import Claim, JobQueue
from suite.jobs.store import Store
from suite.jobs.summary import summarise
from suite.settings import Settings
from suite.study import Study

_log = logging.getLogger(__name__)

EXIT_OVERRUN = 75
"""Exit status of a worker whose job ran too long (EX_TEMPFAIL); the supervisor starts it again."""


class JobRunner:
    """One worker's way through jobs. Models are built at the first use and kept.

    Running an id twice, or after another worker finished it, does nothing; a result is only recorded by the
    worker that still holds the job.
    """

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        store: Store,
        settings: Settings,
        worker: WorkerIdentity,
        *,
        analyzer: AnalyzerFactory,
        load: StudyLoader,
    ) -> None:
        self._database = database
        self._queue = queue
        self._store = store
        self._settings = settings
        self._worker = worker
        self._make_analyzer = analyzer
        self._load = load
        self._analyzer: Analyzer | None = None

    def warm_up(self) -> None:
        """Load the models now, not with the first job; a failure is logged, and met again by that job."""
        try:
            self._models()
        except SuiteError as error:
            _log.error("the models could not be loaded: %s", error)
        except Exception:  # noqa: BLE001 -- the worker must live to report it with each job
            _log.exception("the models could not be loaded")

    def run(self, job_id: str) -> None:
        """Bring one job from ``queued`` to ``done`` or ``failed``, if it is there to be taken.

        Raises:
            StorageError: the database refused to record the outcome; the lease then expires.
        """
        claim = self._queue.claim(job_id, self._worker)
        if claim is None:
            _log.info("job %s: nothing to do", job_id)
            return
        _log.info("job %s: reading study %s", job_id, claim.study_id)
        with Heartbeat(self._queue, claim, self._settings, _give_up):
            try:
                self._read(claim)
            except SuiteError as error:
                _log.warning("job %s failed: %s", job_id, error)
                self._queue.fail(claim, str(error))
            except Exception:  # noqa: BLE001 -- one job must not end the worker
                _log.exception("job %s failed unexpectedly", job_id)
                self._queue.fail(claim, _neutral_sentence(job_id))

    def _read(self, claim: Claim) -> None:
        study = self._study(claim.study_id)
        progress = _Progress(self._queue, claim)
        reading = self._models().run(study, override_gate=claim.override_gate, on_progress=progress)
        name = f"{claim.job_id}-{claim.attempt}-{secrets.token_hex(4)}"
        written = self._store.write_reading(claim.study_id, name, reading)
        if self._queue.finish(claim, written, summarise(reading.report)):
            self._store.discard_readings(claim.study_id, f"{claim.job_id}-", keep=written)
            _log.info("job %s: done", claim.job_id)
        else:
            _log.warning("job %s was finished by another worker; this result is dropped", claim.job_id)
            self._store.discard_readings(claim.study_id, name)

    def _models(self) -> Analyzer:
        if self._analyzer is None:
            self._analyzer = self._make_analyzer()
        return self._analyzer

    def _study(self, study_id: str) -> Study:
        with self._database.read() as session:
            row = session.get_one(StudyRow, study_id)
        return self._load(
            StoredFilms(
                study_id,
                self._store.source(study_id, row.frontal_file),
                self._store.source(study_id, row.lateral_file),
                row.frontal_name,
                row.lateral_name,
                row.paired_by_hand,
            )
        )


class _Progress:
    """Writes stage starts and ends as rows; a database that refuses one of them does not end the reading."""

    def __init__(self, queue: JobQueue, claim: Claim) -> None:
        self._queue = queue
        self._claim = claim

    def __call__(self, stage: str, state: Literal["started", "finished"]) -> None:
        try:
            self._queue.record_stage(self._claim, stage, StageState(state))
        except SuiteError as error:
            _log.warning("job %s: progress not written: %s", self._claim.job_id, error)


def _neutral_sentence(job_id: str) -> str:
    return (
        "The reading stopped for a reason the suite did not foresee; the worker's log tells it under job "
        f"{job_id[:12]}. Try again, and report it if it happens twice."
    )


def _give_up(claim: Claim) -> None:
    _log.critical("job %s ran longer than allowed; this worker ends and its lease expires", claim.job_id)
    logging.shutdown()
    os._exit(EXIT_OVERRUN)
