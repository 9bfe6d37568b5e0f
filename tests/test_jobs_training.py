"""Training as a job: a child process with progress rows, its result, its failure, its cancellation."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from suite.cli import main
from suite.errors import InputError
from suite.jobs import training
from suite.jobs.database import Database
from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, JobKind
from suite.jobs.queue import JobQueue
from suite.jobs.requests import cancel, retry, submit_training
from suite.jobs.store import open_store
from suite.jobs.training import TrainingRequest, TrainingRuns, training_folder, training_request
from suite.jobs.watching import watch
from suite.settings import Settings, load_settings
from suite.training.progress import ProgressFile
from tests.jobs_fakes import FakeAnalyzer, load_study

WHOLE = """
import json, sys, pathlib
out = pathlib.Path(sys.argv[-1])
from suite.training.progress import ProgressFile
ProgressFile.of_environment()(4, 4, {"loss": 0.5})
(out / "metrics.json").write_text(json.dumps({"dice": {"value": 0.9}}))
(out / "arguments.json").write_text(json.dumps(sys.argv[1:]))
"""
ENDLESS = """
import pathlib, sys, time
from suite.training.progress import ProgressFile
ProgressFile.of_environment()(1, 100, {"loss": 2.0})
time.sleep(600)
"""
BROKEN = "import sys; print('epoch 1'); print('jsrt: no films in this folder; give another.'); sys.exit(2)"


@dataclass
class Room:
    settings: Settings
    database: Database

    @property
    def runner(self) -> JobRunner:
        return JobRunner(
            self.database,
            JobQueue(self.database, self.settings, time.time),
            open_store(self.settings),
            self.settings,
            WorkerIdentity.of_this_process(),
            analyzer=FakeAnalyzer,
            load=load_study,
            train=TrainingRuns(self.settings),
        )

    def ask(self, **request: Any) -> str:
        content = training_request(
            JobKind.TRAINING, {"recipe": "lungs", "data": {"jsrt": "films"}, **request}
        )
        stored = content.model_dump(mode="json")
        return submit_training(self.database, JobKind.TRAINING, stored, time.time())

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setattr(training, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    settings = load_settings(data=tmp_path, queues=("train",))
    database = Database(settings)
    yield Room(settings, database)
    database.close()


def run_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the child be this program instead of the command line, with the same arguments."""
    plain = TrainingRequest.command

    def command(self: TrainingRequest, kind: JobKind, out: Path, device: str) -> list[str]:
        return [sys.executable, "-c", code, *plain(self, kind, out, device)[3:]]

    monkeypatch.setattr(TrainingRequest, "command", command)


def test_a_training_run_ends_with_its_figures(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, WHOLE)
    job_id = room.ask(settings=["epochs=2"])
    room.runner.run(job_id)
    job = room.job(job_id)
    assert (job.state, job.error, job.reading) == ("done", None, job_id)
    assert job.progress == {"step": 4, "total": 4, "losses": {"loss": 0.5}}
    assert (job.summary or {})["metrics"] == {"dice": {"value": 0.9}}
    folder = training_folder(room.settings, job_id)
    words = json.loads((folder / "arguments.json").read_text())
    options = ["--data", "jsrt=films", "--set", "epochs=2", "--out", str(folder)]
    assert words == ["train", "lungs", "--device", "auto", *options]


def test_the_real_command_line_says_in_its_last_line_why_it_failed(room: Room) -> None:
    job_id = room.ask(recipe="no-such-network")
    room.runner.run(job_id)
    job = room.job(job_id)
    assert job.state == "failed"
    assert "recipe 'no-such-network' is not installed" in (job.error or "")


def test_a_failed_run_gives_its_own_last_line_and_a_retry_goes_on_in_its_folder(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, BROKEN)
    first = room.ask()
    room.runner.run(first)
    assert room.job(first).error == "jsrt: no films in this folder; give another."
    run_instead(monkeypatch, WHOLE)
    again, queue = retry(room.database, first, time.time())
    room.runner.run(again)
    assert (room.job(again).state, queue, room.job(again).reading) == ("done", "train", first)
    assert "--resume" in json.loads((training_folder(room.settings, first) / "arguments.json").read_text())


def test_a_run_that_is_cancelled_ends_with_its_child(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, ENDLESS)
    job_id = room.ask()
    worker = threading.Thread(target=room.runner.run, args=(job_id,))
    worker.start()
    for change in watch(room.database, job_id, timeout_seconds=60):
        if change and change.job.progress:
            cancel(room.database, job_id, time.time())
    worker.join(60)
    assert not worker.is_alive()
    job = room.job(job_id)
    assert (job.state, job.progress) == ("cancelled", {"step": 1, "total": 100, "losses": {"loss": 2.0}})
    assert "checkpoint is kept" in (job.error or "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"recipe": "lungs"}, "data: Field required"),
        ({"recipe": "../x", "data": {}}, "recipe: String should match"),
        ({"recipe": "--help", "data": {}}, "recipe: String should match"),
        ({"data": {}}, "a recipe is missing"),
        ({"recipe": "lungs", "data": {}, "command": "rm"}, "command: Extra inputs"),
    ],
)
def test_a_request_that_is_not_one_is_refused(content: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        training_request(JobKind.TRAINING, content)


def test_progress_is_written_whole_and_not_more_than_twice_a_second(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    progress = ProgressFile(path)
    for step in range(1, 100):
        progress(step, 100, {})
    assert json.loads(path.read_text())["step"] < 99
    progress(100, 100, {"loss": 1})
    assert json.loads(path.read_text()) == {"step": 100, "total": 100, "losses": {"loss": 1.0}}


def test_the_command_line_hands_a_run_in_and_says_that_no_worker_is_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADSUITE_DATA", str(room.settings.data))
    films = str(room.settings.data / "films")
    done = CliRunner().invoke(
        main, ["train", "lungs", "--data", f"jsrt={films}", "--set", "epochs=3", "--submit"]
    )
    assert done.exit_code == 0, done.output
    with room.database.read() as session:
        job = session.scalars(select(Job)).one()
    assert job.id in done.output
    assert "radsuite worker --queues train" in done.output
    assert (job.queue, job.kind, job.state) == ("train", "training", "queued")
    assert job.request == {
        "recipe": "lungs",
        "data": {"jsrt": films},
        "settings": ["epochs=3"],
        "options": {},
        "out": None,
        "resume": False,
    }


def test_an_ablation_is_handed_in_with_its_options_and_run_with_them(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADSUITE_DATA", str(room.settings.data))
    films = str(room.settings.data / "films")
    words = ["--data", f"phantom={films}", "--set", "size=64", "--seeds", "2", "--leave-one-out"]
    done = CliRunner().invoke(main, ["ablate", *words, "--subgroups", "view,sex", "--submit"])
    assert done.exit_code == 0, done.output
    with room.database.read() as session:
        job = session.scalars(select(Job)).one()
    assert (job.queue, job.kind) == ("train", "ablation")
    request = training_request(JobKind(job.kind), job.request or {})
    command = request.command(JobKind.ABLATION, Path("out"), "cpu")
    assert command[3:] == [
        *("ablate", "--device", "cpu", "--data", f"phantom={films}", "--set", "size=64"),
        *("--seeds=2", "--leave-one-out", "--subgroups=view,sex", "--out", "out"),
    ]
    assert main.commands["ablate"].make_context("ablate", command[4:]).params["seeds"] == 2


@pytest.mark.parametrize("name", ["out", "data", "submit", "Seeds", "-x", "a b"])
def test_an_option_that_is_the_jobs_own_or_no_option_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="options"):
        training_request(JobKind.ABLATION, {"data": {"phantom": "films"}, "options": {name: 1}})
