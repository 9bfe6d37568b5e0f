"""Watching a job: each change once, an end when it is final, patience in between."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.jobs.database import Database
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import StageState, Study
from suite.jobs.queue import Claim, JobQueue
from suite.jobs.watching import LONGEST_PAUSE_SECONDS, watch
from suite.settings import load_settings

ALICE = WorkerIdentity("alpha", 1001, "a1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(load_settings(data=tmp_path))
    with opened.write() as session:
        session.add(Study(id="chest", content_sha256="1" * 64, created_at=1.0))
    yield opened
    opened.close()


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> JobQueue:
    return JobQueue(database, load_settings(data=tmp_path), time.time)


def test_every_change_is_told_once_and_the_stream_ends_with_the_job(
    database: Database, queue: JobQueue
) -> None:
    job_id = queue.submit("chest")
    steps = iter(("claim", "nothing", "gate", "done"))
    claims: list[Claim] = []

    def act(_seconds: float) -> None:
        step = next(steps)
        if step == "claim":
            claims.extend(filter(None, [queue.claim(job_id, ALICE)]))
        elif step == "gate":
            queue.record_stages(claims[0], [("gate", StageState.STARTED)])
        elif step == "done":
            queue.finish(claims[0], "reading", {"suggested": 1})

    told = [
        change and (change.job.state, [stage.name for stage in change.job.stages], change.final)
        for change in watch(database, job_id, sleep=act)
    ]
    assert told == [
        ("queued", [], False),
        ("running", [], False),
        None,
        ("running", ["gate"], False),
        ("done", ["gate"], True),
    ]


def test_what_the_watcher_has_seen_is_not_repeated(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    first = next(watch(database, job_id))
    assert first is not None
    assert next(watch(database, job_id, after=first.version)) is None
    assert json.loads(json.dumps(first.as_json()))["state"] == "queued"


def test_a_final_job_is_told_even_if_it_was_seen(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    claim = queue.claim(job_id, ALICE)
    assert claim is not None
    queue.fail(claim, "No.")
    [only] = watch(database, job_id)
    assert only is not None
    [again] = watch(database, job_id, after=only.version)
    assert again is not None
    assert again.final


def test_pauses_grow_while_nothing_happens_and_the_stream_ends_in_time(
    database: Database, queue: JobQueue
) -> None:
    job_id, now, pauses = queue.submit("chest"), [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    list(watch(database, job_id, timeout_seconds=20, sleep=sleep, clock=lambda: now[0]))
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert 20 <= now[0] <= 20 + LONGEST_PAUSE_SECONDS


def test_a_job_that_is_not_there_is_no_stream(database: Database) -> None:
    assert list(watch(database, "nothing")) == []
