"""Real worker processes around quick fake stages, and the questions asked after every fault.

Workers are forked from a server process that has imported everything already, so that a hundred of them may
be killed in a few minutes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from suite.errors import SuiteError
from suite.jobs.broker import create_celery, publisher
from suite.jobs.children import parent_death_signal
from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, JobState, Study
from suite.jobs.store import open_store, receive
from suite.jobs.submission import Outcome, Submission, Upload, file_name
from suite.report.schema import validate
from suite.settings import Settings
from tests.jobs_fakes import FakeAnalyzer, collect, film_png, load_study

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.jobs_fleet", "suite.jobs.worker", "celery.app.amqp", "kombu.transport.redis"]
)


def work(settings: Settings, stage_seconds: float) -> None:
    """A worker process: the real one, with stages that only take time."""
    from suite.jobs.worker import run

    end_with_the_test()
    logging.basicConfig(filename=settings.data / "worker.log", level="WARNING")
    os._exit(
        run(settings, analyzer=lambda: FakeAnalyzer(lambda _: time.sleep(stage_seconds)), load=load_study)
    )


def take_in(settings: Settings, seeds: list[int], receipt: Path) -> None:
    """A server process that takes films in, one after the other, and notes each that it has confirmed."""
    end_with_the_test()
    database = Database(settings)
    with receipt.open("a") as confirmed:
        for seed in seeds:
            outcome = submit(settings, database, f"film{seed}.png", film_png(seed))
            confirmed.write("".join(f"{item.study_id}\n" for item in outcome.accepted))
            confirmed.flush()


def end_with_the_test() -> None:
    """Arrange that this process dies with the one that forks workers, and that one with the test."""
    if sys.platform == "linux":
        parent_death_signal(os.getppid())()


def submit(settings: Settings, database: Database, name: str, film: bytes) -> Outcome:
    """Hand one film in, the way the pages do."""
    store = open_store(settings)
    submission = Submission(
        database, store, publisher(create_celery(settings)), collect=collect, name=file_name
    )
    with store.staging() as staging:
        receive(BytesIO(film), staging / name)
        return submission.submit(staging, [Upload(staging / name, name)], {})


@dataclass
class Findings:
    """What was found after a fault; all but ``studies`` and ``done`` should be zero."""

    studies: int = 0
    done: int = 0
    lost: int = 0
    read_differently: int = 0
    half_written: int = 0
    unfinished: int = 0
    states: Counter[str] = field(default_factory=Counter)

    @property
    def sound(self) -> bool:
        return not (self.lost or self.read_differently or self.half_written or self.unfinished)

    def __str__(self) -> str:
        states = " ".join(f"{name} {count}" for name, count in sorted(self.states.items()))
        return (
            f"studies {self.studies}, jobs: {states}; lost {self.lost}, read differently "
            f"{self.read_differently}, half-written {self.half_written}, unfinished {self.unfinished}"
        )


class Fleet:
    """An installation under test: settings, database and any number of workers, each running ``work``."""

    def __init__(
        self,
        settings: Settings,
        stage_seconds: float = 0.01,
        work: Callable[[Settings, float], None] = work,
    ) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.workers: list[Any] = []
        self.expected: set[str] = set()
        self._stage_seconds = stage_seconds
        self._work = work

    def hire(self, count: int = 1) -> None:
        """Start workers."""
        for _ in range(count):
            process = FORKS.Process(target=self._work, args=(self.settings, self._stage_seconds), daemon=True)
            process.start()
            self.workers.append(process)

    def submit(self, seeds: range) -> None:
        """Hand films in; each is a study of its own."""
        for seed in seeds:
            outcome = submit(self.settings, self.database, f"film{seed}.png", film_png(seed))
            self.expected |= {item.study_id for item in outcome.accepted}

    def kill_in_mid_task(self, deadline_seconds: float = 60) -> bool:
        """Kill -9 a worker while it holds a job, and start another; ``False`` if none was caught at work."""
        deadline = time.monotonic() + deadline_seconds
        while time.monotonic() < deadline:
            with self.database.read() as session:
                owners = session.scalars(select(Job.lease_owner).where(Job.state == JobState.RUNNING)).all()
            pids = {owner.pid for owner in (WorkerIdentity.parse(text or "") for text in owners) if owner}
            for process in self.workers:
                if process.pid in pids and process.is_alive():
                    process.kill()
                    process.join()
                    self.workers.remove(process)
                    self.hire()
                    return True
            time.sleep(0.01)
        return False

    def settle(self, patience_seconds: float = 120) -> bool:
        """Wait until every job is final; ``False`` once none has become so for ``patience_seconds``."""
        fewest, deadline = sys.maxsize, time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            try:
                waiting = self._open_jobs()
            except SuiteError:  # the database itself is being restarted
                waiting = fewest
            if not waiting:
                return True
            self._replace_ended()
            if waiting < fewest:
                fewest, deadline = waiting, time.monotonic() + patience_seconds
            time.sleep(0.25)
        return False

    def _replace_ended(self) -> None:
        """What the supervisor does with a worker that ended by itself, on a full disk for example."""
        ended = [process for process in self.workers if not process.is_alive()]
        self.workers = [process for process in self.workers if process.is_alive()]
        self.hire(len(ended))

    def dismiss(self) -> None:
        """End all workers at once."""
        for process in self.workers:
            process.kill()
            process.join()
        self.workers.clear()

    def close(self) -> None:
        """End the workers and close the database."""
        self.dismiss()
        self.database.close()

    def audit(self) -> Findings:
        """Look at every row and every file. Call once jobs are settled and workers dismissed."""
        found = Findings()
        with self.database.read() as session:
            jobs = list(session.scalars(select(Job)))
            studies = set(session.scalars(select(Study.id)))
        found.studies, found.states = len(studies), Counter(job.state for job in jobs)
        found.done = found.states[JobState.DONE]
        found.lost = len(self.expected - studies) + len(studies - {job.study_id for job in jobs})
        found.unfinished = sum(not JobState(job.state).is_final for job in jobs)
        results: dict[str, set[str]] = {}
        for job in jobs:
            if job.state == JobState.DONE:
                digest = self._digest(job)
                found.half_written += digest is None
                results.setdefault(str(job.study_id), set()).add(str(digest))
        found.read_differently = sum(len(digests) > 1 for digests in results.values())
        found.half_written += self._strays(jobs)
        return found

    def _open_jobs(self) -> int:
        states = (JobState.QUEUED, JobState.RUNNING)
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(Job).where(Job.state.in_(states))) or 0

    def _digest(self, job: Job) -> str | None:
        """sha256 over a reading's report and pictures; ``None`` if a part is missing or not whole."""
        folder = self.settings.data / "studies" / str(job.study_id) / "readings" / str(job.reading)
        try:
            report = json.loads((folder / "report.json").read_text())
            validate(report)
            pictures = [(folder / name).read_bytes() for name in sorted((report["images"] or {}).values())]
        except (OSError, ValueError, SuiteError):
            return None
        text = json.dumps(report, sort_keys=True).encode()
        return hashlib.sha256(text + b"".join(pictures)).hexdigest()

    def _strays(self, jobs: list[Job]) -> int:
        """Files and folders under their final name that no row names: results that were not thrown away."""
        named = {(str(job.study_id), str(job.reading)) for job in jobs if job.reading}
        there = {
            (folder.parent.parent.name, folder.name)
            for folder in (self.settings.data / "studies").glob("*/readings/*")
            if not folder.name.startswith(".")
        }
        return len({item for item in there - named if not self._is_orphan_of_a_kill(*item)})

    def _is_orphan_of_a_kill(self, study_id: str, reading: str) -> bool:
        """A complete folder written just before its worker was killed: whole, and named by nothing."""
        try:
            folder = self.settings.data / "studies" / study_id / "readings" / reading
            validate(json.loads((folder / "report.json").read_text()))
        except (OSError, ValueError, SuiteError):
            return False
        return True


def at_once(count: int, action: Callable[[int], Any]) -> list[Any]:
    """Call ``action(0) ... action(count - 1)`` from as many threads, all released at the same moment."""
    gate, results = threading.Barrier(count), [None] * count

    def one(index: int) -> None:
        gate.wait()
        results[index] = action(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
