"""The same battery on SQLite with files, PostgreSQL with Redis, and PostgreSQL with RabbitMQ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from suite.errors import InputError, StorageError
from suite.jobs import worker
from suite.jobs.database import Database, open_engine
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Base, Job, JobState, Study
from suite.jobs.queue import JobQueue, Standing
from suite.jobs.requests import cancel, raise_priority, retry
from suite.jobs.workers import announce, give_sign, present, take_leave
from suite.settings import Settings
from tests.jobs_fakes import film_png
from tests.jobs_fleet import Fleet, at_once, submit

ALICE = WorkerIdentity("alpha", 1001, "a1")
BOB = WorkerIdentity("beta", 1002, "b2")


@pytest.fixture
def database(backend: Settings) -> Iterator[Database]:
    opened = Database(backend)
    with opened.write() as session:
        session.add(Study(id="chest", content_sha256="1" * 64, created_at=1.0))
    yield opened
    opened.close()


@pytest.fixture
def queue(backend: Settings, database: Database) -> JobQueue:
    return JobQueue(database, backend, time.time)


@pytest.fixture
def fleet(backend: Settings) -> Iterator[Fleet]:
    made = Fleet(backend)
    yield made
    made.close()


def state_of(database: Database, job_id: str) -> str:
    with database.read() as session:
        return session.get_one(Job, job_id).state


def test_processes_that_start_at_once_build_the_tables_once(backend: Settings) -> None:
    for database in at_once(4, lambda _: Database(backend)):
        database.close()
    engine = open_engine(backend)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_of_many_workers_at_once_one_gets_the_job(queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    claims = at_once(8, lambda index: queue.claim(job_id, WorkerIdentity("host", 100 + index, "t")))
    assert sum(claim is not None for claim in claims) == 1


def test_many_requests_at_once_are_one_job(queue: JobQueue) -> None:
    assert len(set(at_once(8, lambda _: queue.submit("chest")))) == 1


def test_many_sweepers_at_once_release_a_job_once(
    backend: Settings, database: Database, queue: JobQueue
) -> None:
    job_id = queue.submit("chest")
    assert queue.claim(job_id, ALICE)
    late = JobQueue(database, backend, lambda: time.time() + 100)
    assert [ids for ids in at_once(6, lambda _: late.sweep()) if ids] == [[job_id]]
    claim = queue.claim(job_id, BOB)
    assert claim is not None
    assert claim.attempt == 2


def test_a_queued_job_is_cancelled_at_once(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    assert cancel(database, job_id, time.time(), by="anna") is JobState.CANCELLED
    assert queue.claim(job_id, ALICE) is None
    with database.read() as session:
        assert "by anna" in (session.get_one(Job, job_id).error or "")


def test_a_running_job_is_asked_to_stop_and_its_worker_hears_it(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    claim = queue.claim(job_id, ALICE)
    assert claim is not None
    assert cancel(database, job_id, time.time()) is JobState.RUNNING
    assert queue.beat(claim) is Standing.CANCELLED
    assert queue.stop(claim, "Cancelled.")
    assert state_of(database, job_id) == "cancelled"


def test_a_job_to_be_cancelled_whose_worker_died_is_cancelled_by_the_sweep(
    backend: Settings, database: Database, queue: JobQueue
) -> None:
    job_id = queue.submit("chest")
    assert queue.claim(job_id, ALICE)
    cancel(database, job_id, time.time())
    assert JobQueue(database, backend, lambda: time.time() + 100).sweep() == []
    assert state_of(database, job_id) == "cancelled"


def test_only_what_ended_without_a_result_is_retried(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest", override_gate=True)
    with pytest.raises(InputError, match="is queued"):
        retry(database, job_id, time.time())
    cancel(database, job_id, time.time())
    again, name = retry(database, job_id, time.time())
    assert (again != job_id, name) == (True, "cpu")
    claim = queue.claim(again, ALICE)
    assert claim is not None
    assert claim.override_gate
    with pytest.raises(InputError, match="no job"):
        retry(database, "nothing", time.time())


def test_the_checks_that_are_overridden_stay_with_the_request(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest", override_checks=["view", "chest"])
    assert queue.submit("chest", override_checks=["chest", "view"]) == job_id
    assert queue.submit("chest", override_checks=["chest"]) != job_id
    assert queue.submit("chest") != job_id
    cancel(database, job_id, time.time())
    again, _ = retry(database, job_id, time.time())
    claim = queue.claim(again, ALICE)
    assert claim is not None
    assert (claim.override_gate, claim.override) == (False, ("chest", "view"))
    everything = queue.submit("chest", override_gate=True)
    assert queue.submit("chest", override_gate=True, override_checks=["chest"]) == everything


def test_priority_is_only_raised(database: Database, queue: JobQueue) -> None:
    job_id = queue.submit("chest")
    assert raise_priority(database, job_id, 0.8, "probably abnormal")
    assert not raise_priority(database, job_id, 0.3, "probably normal")
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.priority, job.priority_reason) == (0.8, "probably abnormal")


def test_workers_are_known_while_they_live(backend: Settings, database: Database) -> None:
    now = time.time()
    announce(database, ALICE, backend, now)
    assert [worker.queues for worker in present(database, backend, now + 1)] == [("cpu", "gpu")]
    assert present(database, backend, now + 1, "train") == []
    assert present(database, backend, now + backend.lease_seconds + 1) == []
    assert give_sign(database, ALICE, now + 5)
    assert len(present(database, backend, now + 6)) == 1
    take_leave(database, ALICE)
    assert present(database, backend, now) == []
    assert not give_sign(database, ALICE, now + 7)


def test_a_worker_that_cannot_announce_itself_starts_and_does_so_later(
    backend: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk may be full while it starts."""

    def refuse(*_: object) -> None:
        raise StorageError("The database refused (database or disk is full); check free disk space.")

    sign = partial(worker._give_sign, database, ALICE, backend)
    with monkeypatch.context() as patch:
        patch.setattr(worker.workers, "announce", refuse)
        worker._first_sign(sign)
    assert "disk is full" in caplog.text
    assert present(database, backend, time.time()) == []
    sign()
    assert len(present(database, backend, time.time())) == 1
    take_leave(database, ALICE)


def test_the_same_film_from_many_senders_at_once_is_one_study_and_one_job(fleet: Fleet) -> None:
    film = film_png()
    outcomes = at_once(12, lambda _: submit(fleet.settings, fleet.database, "film.png", film))
    accepted = [item for outcome in outcomes for item in outcome.accepted]
    assert {item.study_id for item in accepted} == {"film"}
    assert sum(item.is_new for item in accepted) == 1
    assert len(accepted) == 12


def test_two_workers_read_every_study_once_although_one_is_killed(fleet: Fleet) -> None:
    fleet.hire(2)
    fleet.submit(range(6))
    assert fleet.kill_in_mid_task()
    assert fleet.settle()
    fleet.dismiss()
    found = fleet.audit()
    assert found.sound, str(found)
    assert (found.studies, found.done) == (6, 6)


@pytest.mark.parametrize("backend", ["postgres+redis", "postgres+rabbitmq"], indirect=True)
def test_a_restart_of_database_and_broker_loses_nothing(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    names = request.node.callspec.params["backend"].split("+")
    servers = [request.getfixturevalue(name) for name in names]
    fleet.hire(1)
    fleet.submit(range(3))
    for server in servers:
        server.stop()
    for server in servers:
        server.start()
    fleet.submit(range(3, 6))
    assert fleet.settle()
    fleet.dismiss()
    found = fleet.audit()
    assert found.sound, str(found)
    assert (found.studies, found.done) == (6, 6)
