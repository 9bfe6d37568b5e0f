"""Running one job: claim it, load the films, read them, store the result, record it."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable
from typing import Literal

from suite.errors import StorageError, SuiteError
from suite.jobs.contracts import Analyzer, AnalyzerFactory, StoredFilms, StudyLoader
from suite.jobs.database import Database
from suite.jobs.heartbeat import Heartbeat, Leased
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import JobKind, StageState
from suite.jobs.models import Study as StudyRow
from suite.jobs.offers import OfferClaim, StageOffers
from suite.jobs.queue import Claim, JobQueue, Standing
from suite.jobs.rows import artifact_rows
from suite.jobs.sharing import AttemptMemory, HelperMemory, SharedMemory, Tell
from suite.jobs.stage_results import StageResults
from suite.jobs.store import Store
from suite.jobs.summary import summarise
from suite.settings import Settings
from suite.study import Study

_log = logging.getLogger(__name__)

EXIT_OVERRUN = 75
"""Exit status of a worker whose job ran too long (EX_TEMPFAIL); the supervisor starts it again."""

RunTraining = Callable[[Claim, JobQueue], Callable[[], bool] | None]
"""Trains what a claim asks for; gives what records how it ended, or ``None`` when the job was taken away
(:class:`suite.jobs.training.TrainingRuns`)."""


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
        train: RunTraining | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._store = store
        self._settings = settings
        self._worker = worker
        self._make_analyzer = analyzer
        self._load = load
        self._train = train
        self.tell: Tell = tell or (lambda _job, _attempt, _stage: None)
        self._analyzer: Analyzer | None = None
        self._results = StageResults(database, store, time.time)
        self._offers = StageOffers(database, settings, time.time, worker)

    def warm_up(self) -> None:
        """Load the models now, not with the first job; a failure is logged, and met again by that job."""
        try:
            self._models()
        except SuiteError as error:
            _log.error("the models could not be loaded: %s", error)
        except Exception:  # noqa: BLE001 -- the worker must live to report it with each job
            _log.exception("the models could not be loaded")

    def run(self, job_id: str) -> None:
        """Bring one job from ``queued`` to its end, if it is there to be taken.

        Raises:
            StorageError: the database refused to record the outcome; the lease then expires.
        """
        claim = self._queue.claim(job_id, self._worker)
        if claim is None:
            _log.info("job %s: nothing to do", job_id)
            return
        _log.info("job %s: %s %s", job_id, claim.kind, claim.study_id or "")
        overrun = _never if claim.kind is not JobKind.READING else _give_up
        with Heartbeat(self._queue, claim, self._settings, overrun):
            try:
                self._work(claim)
            except _StoppedError as stopped:
                _log.info("job %s stops: %s", job_id, stopped.standing.value)
                if stopped.standing is Standing.CANCELLED:
                    self._record(lambda: self._queue.stop(claim, _CANCELLED))
            except SuiteError as error:
                sentence = str(error)
                _log.warning("job %s failed: %s", job_id, sentence)
                self._record(lambda: self._queue.fail(claim, sentence))
            except Exception:  # noqa: BLE001 -- one job must not end the worker
                _log.exception("job %s failed unexpectedly", job_id)
                self._record(lambda: self._queue.fail(claim, _neutral_sentence(job_id)))

    def run_stage(self, job_id: str, attempt: int, stage: str) -> None:
        """Do one stage that a running job offers, if it is still there to be taken.

        Raises:
            StorageError: the database refused; the offer's lease then expires.
        """
        claim = self._offers.take(job_id, attempt, stage)
        if claim is None:
            return
        with Heartbeat(self._offers, claim, self._settings, _give_up):
            self._offers.end(claim, self._help(claim))

    def _help(self, claim: OfferClaim) -> str | None:
        """Why an offered stage could not be done here, or ``None``; whoever runs the job then does it."""
        try:
            models = self._models()
            memory = HelperMemory(self._results, models.stage_keys, claim.study_id)
            if models.stage_keys.get(claim.stage) != claim.key:
                return f"{self._worker} has other weights for stage {claim.stage}."
            done = models.run_stage(self._study(claim.study_id), claim.stage, memory)
            return None if done else f"What stage {claim.stage} builds on is not there."
        except SuiteError as error:
            return str(error)
        except Exception:  # noqa: BLE001 -- the owner of the job meets it again and reports it
            _log.exception("stage %s of job %s failed unexpectedly", claim.stage, claim.job_id)
            return f"Stage {claim.stage} failed unexpectedly."

    def _work(self, claim: Claim) -> None:
        if claim.kind is JobKind.READING:
            self._read(claim)
        elif self._train is not None:
            outcome = self._train(claim, self._queue)
            if outcome is not None:
                self._record(outcome)
        else:
            raise StorageError(f"This worker does no {claim.kind}; start one with --queues train.")

    def _read(self, claim: Claim) -> None:
        study_id = claim.study_id or ""
        models = self._models()
        memory = self._memory(claim, models)
        try:
            study = self._study(study_id)
            progress = _Progress(self._queue, claim)
            reading = models.run(study, override_gate=claim.override, on_progress=progress, memory=memory)
            progress.write()
            name = f"{claim.job_id}-{claim.attempt}-{secrets.token_hex(4)}"
            written = self._store.write_reading(study_id, name, reading)
        except Exception:
            memory.save()
            raise
        finally:
            if isinstance(memory, SharedMemory):
                self._offers.withdraw(claim.job_id)
        fallback = "; ".join(memory.fallbacks) or None
        summary = summarise(reading.report)
        folder = self._store.reading(study_id, written)

        def finish() -> bool:
            files = artifact_rows(study_id, claim.job_id, folder, time.time())
            return self._queue.finish(claim, written, summary, fallback, files)

        if self._record(finish):
            self._store.discard_readings(study_id, f"{claim.job_id}-", keep=written)
            self._results.forget(study_id)
            _log.info("job %s: done", claim.job_id)
        else:
            _log.warning("job %s was finished by another worker; this result is dropped", claim.job_id)
            self._store.discard_readings(study_id, name)

    def _record(self, transition: Callable[[], bool]) -> bool:
        """Record an outcome, patiently: a database that is being restarted is back before the lease ends."""
        deadline = time.monotonic() + self._settings.lease_seconds
        while True:
            try:
                return transition()
            except StorageError as error:
                if time.monotonic() >= deadline:
                    raise
                _log.warning("an outcome could not be recorded yet: %s", error)
                time.sleep(min(1.0, self._settings.lease_seconds / 20))

    def _memory(self, claim: Claim, models: Analyzer) -> AttemptMemory:
        if self._settings.stage_tasks == "stage":
            return SharedMemory(self._results, models.stage_keys, claim, self._offers, self.tell)
        return AttemptMemory(self._results, claim.study_id or "", models.stage_keys)

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


class _StoppedError(Exception):
    """The reading is not to go on."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.value)
        self.standing = standing


class _Progress:
    """Writes stage starts and ends as rows, and stops the reading between two stages when it is to stop.

    The end of a stage is written together with the start of the next one, a moment later. A database that
    refuses these rows does not end the reading.
    """

    def __init__(self, queue: JobQueue, claim: Claim) -> None:
        self._queue = queue
        self._claim = claim
        self._unwritten: list[tuple[str, StageState]] = []

    def __call__(self, stage: str, state: Literal["started", "finished"]) -> None:
        self._unwritten.append((stage, StageState(state)))
        if state == "started":
            self.write()

    def write(self) -> None:
        """Write what has not been written; called once more when the last stage is finished."""
        changes, self._unwritten = self._unwritten, []
        try:
            standing = self._queue.record_stages(self._claim, changes)
        except SuiteError as error:
            _log.warning("job %s: progress not written: %s", self._claim.job_id, error)
            return
        if standing is not Standing.MINE:
            raise _StoppedError(standing)


_CANCELLED = "Cancelled before it was finished; ask for it again when wanted."


def _neutral_sentence(job_id: str) -> str:
    return (
        "The reading stopped for a reason the suite did not foresee; the worker's log tells it under job "
        f"{job_id[:12]}. Try again, and report it if it happens twice."
    )


def _give_up(claim: Leased) -> None:
    _log.critical("job %s ran longer than allowed; this worker ends and its lease expires", claim.job_id)
    logging.shutdown()
    os._exit(EXIT_OVERRUN)


def _never(_claim: Leased) -> None:
    """Training takes as long as it takes."""
