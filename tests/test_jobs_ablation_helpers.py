"""An ablation's networks as jobs of their own: dealt once films are decoded, and gone with the ablation."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from suite.cli import main
from suite.errors import StorageError
from suite.jobs import training
from suite.jobs.database import Database
from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, JobKind
from suite.jobs.queue import Claim, JobQueue, Standing
from suite.jobs.requests import cancel, retry, submit_training
from suite.jobs.store import open_store
from suite.jobs.training import TrainingRequest, TrainingRuns, training_folder, training_request
from suite.settings import Settings, load_settings
from tests.jobs_fakes import FakeAnalyzer, load_study

ABLATION = """
import os, pathlib, sys, time
from suite.training.progress import ProgressFile
out, tell = pathlib.Path(sys.argv[-1]), ProgressFile.of_environment()
def done(): return len(list(out.glob("network-*")))
tell(done(), 4, {})
(out / f"network-{os.getpid()}").touch()
if "--one" in sys.argv:
    print("one more")
    sys.exit(0)
while not (out / "enough").exists():
    time.sleep(0.05)
(out / "metrics.json").write_text("{}")
tell(4, 4, {})
"""


class House:
    """A data folder, a broker that is a list, and as many workers as are asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.queue = JobQueue(self.database, settings, time.time)
        self.published: list[tuple[str, str]] = []

    def worker(self) -> JobRunner:
        return JobRunner(
            self.database,
            self.queue,
            open_store(self.settings),
            self.settings,
            WorkerIdentity.of_this_process(),
            analyzer=FakeAnalyzer,
            load=load_study,
            train=TrainingRuns(self.settings, lambda *message: self.published.append(message)),
        )

    def ask(self, **options: Any) -> str:
        content = {
            "data": {"phantom": "films"},
            "settings": ["size=64"],
            "options": {"shared": True, **options},
        }
        stored = training_request(JobKind.ABLATION, content).model_dump(mode="json")
        return submit_training(self.database, JobKind.ABLATION, stored, time.time())

    def jobs(self) -> dict[str, Job]:
        with self.database.read() as session:
            return {job.id: job for job in session.scalars(select(Job))}

    def begun(self, job_id: str) -> tuple[threading.Thread, Path]:
        """A worker at the ablation in a thread, when it has offered its networks; and the folder."""
        thread = threading.Thread(target=self.worker().run, args=(job_id,))
        thread.start()
        wait_for(lambda: bool(self.published))
        return thread, training_folder(self.settings, job_id)

    def claim(self, job_id: str) -> Claim:
        claim = self.queue.claim(job_id, WorkerIdentity.of_this_process())
        assert claim is not None
        return claim


def wait_for(there: Any) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, "nothing happened for a minute"
        time.sleep(0.02)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(training, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    plain = TrainingRequest.command

    def command(self: TrainingRequest, kind: JobKind, out: Path, device: str) -> list[str]:
        return [sys.executable, "-c", ABLATION, *plain(self, kind, out, device)[3:]]

    monkeypatch.setattr(TrainingRequest, "command", command)
    own = House(load_settings(data=tmp_path, queues=("train",)))
    yield own
    own.database.close()


def test_other_workers_train_single_networks_and_the_rest_is_forgotten(house: House) -> None:
    lead = house.ask(seeds=1)
    thread, folder = house.begun(lead)
    dealt = [job_id for job_id, queue in house.published if queue == "train"]
    assert len(dealt) == 3  # of four networks; one is the first worker's own
    for job_id in dealt:
        job = house.jobs()[job_id]
        assert (job.kind, job.queue, job.state) == ("ablation", "train", "queued")
        asked = training_request(JobKind.ABLATION, job.request or {})
        assert (asked.out, asked.resume, asked.settings) == (lead, True, ("size=64",))
        assert asked.options == {"shared": True, "seeds": 1, "one": True}
        assert (asked.helps, asked.leads) == (True, False)
    house.worker().run(dealt[0])
    helper = house.jobs()[dealt[0]]
    assert (helper.state, helper.reading, helper.error) == ("done", lead, None)
    assert len(house.published) == 3  # a helper deals nothing
    assert (folder / f"log-{dealt[0][:8]}.txt").read_text() == "one more\n"
    (folder / "enough").touch()
    thread.join(60)
    jobs = house.jobs()
    assert set(jobs) == {lead, dealt[0]}
    assert (jobs[lead].state, jobs[lead].progress) == ("done", {"step": 4, "total": 4, "losses": {}})
    house.worker().run(dealt[1])  # its message is still on its way
    assert set(house.jobs()) == {lead, dealt[0]}


def test_cancelling_an_ablation_cancels_its_helpers(house: House) -> None:
    lead = house.ask()
    thread, _ = house.begun(lead)
    dealt = [job_id for job_id, _ in house.published]
    other = house.ask()
    at_work = house.claim(dealt[0])
    cancel(house.database, lead, time.time(), by="ada")
    thread.join(60)
    jobs = house.jobs()
    assert jobs[lead].state == "cancelled"
    assert house.queue.beat(at_work) is Standing.CANCELLED
    assert {jobs[job_id].state for job_id in dealt[1:]} == {"cancelled"}
    assert "by ada" in (jobs[dealt[1]].error or "")
    assert jobs[other].state == "queued"  # another ablation's, whoever helps it

    house.published.clear()
    again, _ = retry(house.database, lead, time.time())
    thread, folder = (
        threading.Thread(target=house.worker().run, args=(again,)),
        training_folder(house.settings, lead),
    )
    thread.start()
    wait_for(lambda: bool(house.published))
    (folder / "enough").touch()
    thread.join(60)
    assert (house.jobs()[again].state, house.jobs()[again].reading) == ("done", lead)


def test_cancelling_a_helper_leaves_the_ablation_and_the_others(house: House) -> None:
    lead = house.ask()
    claim = house.claim(lead)
    asked = training_request(JobKind.ABLATION, claim.request or {}).for_helper(lead)
    one, other = house.queue.deal(claim, lead, asked, 2)
    cancel(house.database, one, time.time())
    states = {job_id: job.state for job_id, job in house.jobs().items()}
    assert states == {lead: "running", one: "cancelled", other: "queued"}
    assert house.queue.beat(claim) is Standing.MINE


def test_an_ablation_that_is_begun_again_deals_only_what_lacks(house: House) -> None:
    lead = house.ask()
    claim = house.claim(lead)
    asked = training_request(JobKind.ABLATION, claim.request or {}).for_helper(lead)
    first = house.queue.deal(claim, lead, asked, 3)
    assert len(first) == 3
    assert house.queue.deal(claim, lead, asked, 3) == []
    house.queue.finish(house.claim(first[0]), lead, {})
    assert len(house.queue.deal(claim, lead, asked, 3)) == 1
    assert house.queue.deal(claim, lead, asked, -1) == []
    house.queue.finish(claim, lead, {})
    assert house.queue.deal(claim, lead, asked, 9) == []  # it is not held any more


def test_a_database_that_is_away_when_networks_are_dealt_is_asked_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = house.ask()
    claim = house.claim(lead)
    request = training_request(JobKind.ABLATION, claim.request or {})
    runs = TrainingRuns(house.settings, lambda *message: house.published.append(message))
    heard = runs._dealing(claim, house.queue, request, lead)

    def refuse(*_: Any) -> None:
        raise StorageError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(JobQueue, "deal", refuse)
        heard({"step": 0, "total": 3})
    assert house.published == []
    for step in (1, 2):  # dealt once
        heard({"step": step, "total": 4})
        assert len(house.published) == 2


def test_an_ablation_that_is_not_shared_deals_nothing(house: House) -> None:
    lead = house.ask(shared=False)
    folder = training_folder(house.settings, lead)
    folder.mkdir(parents=True)
    (folder / "enough").touch()
    house.worker().run(lead)
    assert (house.jobs()[lead].state, house.published) == ("done", [])


def test_the_command_line_asks_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADSUITE_DATA", str(house.settings.data))
    words = ["ablate", "--data", "phantom=films", "--submit", "--shared"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    [job] = house.jobs().values()
    assert training_request(JobKind.ABLATION, job.request or {}).leads
    refused = CliRunner().invoke(main, [*words, "--one"])
    assert refused.exit_code == 2
    assert "use --shared with --submit" in refused.output
