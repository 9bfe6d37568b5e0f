"""The life of a job row: every transition once, none lost, none done by two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from suite.errors import StorageError
from suite.jobs.database import Database, migrate, open_engine
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Base, Job, StageState, Study
from suite.jobs.queue import JobQueue, Standing
from suite.settings import Settings, load_settings

ALICE = WorkerIdentity("alpha", 1001, "a1")
BOB = WorkerIdentity("beta", 1002, "b2")


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Room:
    """One database with one study, a queue on a clock that the test turns."""

    settings: Settings
    database: Database
    clock: Clock = field(default_factory=Clock)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.database, self.settings, self.clock)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    settings = load_settings(data=tmp_path, lease_seconds=30, resend_seconds=60, max_attempts=3)
    database = Database(settings)
    for number in (1, 2):
        with database.write() as session:
            session.add(Study(id=f"chest-{number}", content_sha256=f"{number}" * 64, created_at=number))
    yield Room(settings, database)
    database.close()


def test_the_migrations_build_exactly_the_models_tables(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    migrate(settings)
    migrate(settings)
    engine = open_engine(settings)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()
    assert differences == []


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="data folder cannot be used"):
        Database(load_settings(data=tmp_path / "file" / "below"))


def test_only_one_worker_gets_a_job(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    claim = room.queue.claim(job_id, ALICE)
    assert claim is not None
    assert (claim.study_id, claim.attempt) == ("chest-1", 1)
    assert room.queue.claim(job_id, BOB) is None


def test_the_same_request_twice_is_one_job_until_it_ended(room: Room) -> None:
    first = room.queue.submit("chest-1")
    assert room.queue.submit("chest-1") == first
    assert room.queue.submit("chest-1", override_gate=True) != first
    claim = room.queue.claim(first, ALICE)
    assert claim is not None
    assert room.queue.finish(claim, "reading", {"accepted": True})
    assert room.queue.submit("chest-1") != first


def test_a_finished_job_stays_finished(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    claim = room.queue.claim(job_id, ALICE)
    assert claim is not None
    assert room.queue.finish(claim, "reading", {"suggested": 2})
    assert not room.queue.fail(claim, "too late")
    assert room.queue.beat(claim) is Standing.LOST
    room.clock.now += 1e6
    assert room.queue.sweep() == []
    assert room.queue.claim(job_id, BOB) is None
    job = room.job(job_id)
    assert (job.state, job.reading, job.summary, job.lease_owner) == (
        "done",
        "reading",
        {"suggested": 2},
        None,
    )


def test_a_heartbeat_keeps_the_lease_and_its_absence_ends_it(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    claim = room.queue.claim(job_id, ALICE)
    assert claim is not None
    room.clock.now += 29
    assert room.queue.beat(claim) is Standing.MINE
    room.clock.now += 29
    assert room.queue.sweep() == []
    room.clock.now += 1
    assert room.queue.sweep() == [job_id]
    assert room.job(job_id).state == "queued"
    assert room.queue.beat(claim) is Standing.LOST


def test_a_worker_that_lost_its_job_cannot_record_a_result(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    slow = room.queue.claim(job_id, ALICE)
    room.clock.now += 31
    room.queue.sweep()
    quick = room.queue.claim(job_id, BOB)
    assert slow is not None
    assert quick is not None
    assert not room.queue.finish(slow, "slow", {})
    assert room.queue.finish(quick, "quick", {})
    assert not room.queue.finish(slow, "slow", {})
    assert room.job(job_id).reading == "quick"


def test_the_same_worker_that_took_it_again_cannot_finish_its_first_attempt(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    first = room.queue.claim(job_id, ALICE)
    room.clock.now += 31
    room.queue.sweep()
    second = room.queue.claim(job_id, ALICE)
    assert first is not None
    assert second is not None
    assert not room.queue.finish(first, "first", {})
    assert room.queue.finish(second, "second", {})


def test_a_study_that_kills_its_worker_is_set_aside_after_the_last_attempt(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    for attempt in (1, 2, 3):
        claim = room.queue.claim(job_id, ALICE)
        assert claim is not None
        assert claim.attempt == attempt
        room.clock.now += 31
        assert room.queue.sweep() == ([job_id] if attempt < 3 else [])
    job = room.job(job_id)
    assert job.state == "dead"
    assert "stopped 3 times" in (job.error or "")
    assert job.finished_at == room.clock.now


def test_a_lost_message_is_sent_again_but_a_long_queue_is_not(room: Room) -> None:
    first = room.queue.submit("chest-1")
    room.clock.now += 1
    second = room.queue.submit("chest-2")
    running = room.queue.claim(first, ALICE)
    assert running is not None
    for _ in range(10):  # the first job runs for longer than resend_seconds: the second one simply waits
        room.clock.now += 20
        room.queue.beat(running)
        assert room.queue.sweep() == []
    room.queue.finish(running, "reading", {})
    assert room.queue.sweep() == [second]
    assert room.queue.sweep() == []  # and then not at every sweep
    assert room.queue.claim(second, ALICE) is not None


def test_a_job_that_was_overtaken_is_sent_again(room: Room) -> None:
    lost = room.queue.submit("chest-1")
    room.clock.now += 5
    later = room.queue.submit("chest-2")
    room.clock.now += 60
    claim = room.queue.claim(later, ALICE)
    assert claim is not None
    assert room.queue.sweep() == [lost]


def test_a_dead_process_of_this_host_does_not_hold_its_lease(room: Room) -> None:
    here = WorkerIdentity.of_this_process()
    job_id = room.queue.submit("chest-1")
    # the number is this process's own, the token another's: a worker before this one, as in a restarted
    # container
    assert room.queue.claim(job_id, WorkerIdentity(here.host, here.pid, "earlier")) is not None
    assert room.queue.sweep(BOB) == []  # another host cannot know
    assert room.queue.sweep(here) == [job_id]


def test_a_living_process_is_left_alone() -> None:
    here = WorkerIdentity.of_this_process()
    assert not here.knows_dead(here)
    assert not here.knows_dead(WorkerIdentity(here.host, 1, "init"))
    assert not here.knows_dead(WorkerIdentity("elsewhere", 2**22 + 1, "gone"))
    assert here.knows_dead(WorkerIdentity(here.host, 2**22 + 1, "gone"))  # above the largest pid


@pytest.mark.parametrize("text", ["", "host", "host:pid:token", "host:12", "host:12:"])
def test_an_owner_that_is_no_identity_is_none(text: str) -> None:
    assert WorkerIdentity.parse(text) is None


def test_an_identity_survives_the_way_through_text() -> None:
    assert WorkerIdentity.parse(str(ALICE)) == ALICE


def test_stages_are_rows_of_their_attempt(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    claim = room.queue.claim(job_id, ALICE)
    assert claim is not None
    room.queue.record_stages(claim, [("lungs", StageState.STARTED)])
    room.clock.now += 2
    room.queue.record_stages(claim, [("lungs", StageState.FINISHED)])
    room.queue.record_stages(claim, [("bone", StageState.STARTED)])
    with room.database.read() as session:
        runs = session.get_one(Job, job_id).stage_runs
        assert [(run.stage, run.state, run.finished_at) for run in runs] == [
            ("lungs", "finished", room.clock.now),
            ("bone", "started", None),
        ]
        assert runs[0].started_at == room.clock.now - 2


def test_readers_do_not_wait_for_a_writer(room: Room) -> None:
    with room.database.write() as writer:
        writer.add(Study(id="chest-3", content_sha256="3" * 64, created_at=3))
        writer.flush()
        with room.database.read() as reader:
            assert reader.get(Study, "chest-3") is None
    with room.database.read() as reader:
        assert reader.get(Study, "chest-3") is not None


def test_a_message_handed_over_by_a_clock_that_was_ahead_is_not_waited_for(room: Room) -> None:
    job_id = room.queue.submit("chest-1")
    room.clock.now -= 86_400  # the clock is put right
    assert room.queue.sweep() == [job_id]
    room.clock.now += 1
    assert room.queue.sweep() == []
