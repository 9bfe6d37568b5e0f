"""An ablation that workers share through a live broker, when a helper's training fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from suite.jobs import training
from suite.jobs.broker import create_celery, publisher
from suite.jobs.models import Job, JobKind, JobState
from suite.jobs.requests import submit_training
from suite.jobs.training import TrainingRequest, training_folder, training_request
from suite.settings import Settings
from tests.jobs_fleet import Fleet, end_with_the_test

REASON = "single-1: the memory of the graphics card is full; give a smaller batch."

ABLATION = f"""
import sys, time
from pathlib import Path
from classifiers.ablation import shared
from classifiers.ablation.plan import VARIANTS
from classifiers.ablation.runs import Outcome, Plan, Run
from suite.training.progress import ProgressFile
out, tell, helps = Path(sys.argv[-1]), ProgressFile.of_environment(), "--one" in sys.argv
plan, runs = Plan({{}}, {{}}, out, "cpu", out), [Run(VARIANTS[0], seed) for seed in range(2)]

def train(_plan, _variants, runs, _key, _processes):
    [run] = runs
    with (out / "trained.txt").open("a") as record:
        print("helper" if helps else "first", run.seed, file=record)
    if helps:
        sys.exit("{REASON}")
    while "helper" not in (out / "trained.txt").read_text():
        time.sleep(0.05)
    run.predictions(out).touch()
    yield Outcome(run, 1.0, 8, 0.0, 1.0)

def told():
    tell(len(runs) - len(shared.missing(plan, runs)), len(runs), {{}})

shared.run_all = train
told()
for _ in shared.run_shared(plan, VARIANTS[:1], runs, "", one=helps):
    told()
(out / "metrics.json").write_text("{{}}")
"""


def work(settings: Settings, _stage_seconds: float) -> None:
    """A worker process for training: the real one, whose children run ``ABLATION`` for the command line."""
    from suite.jobs.worker import run

    end_with_the_test()
    plain = TrainingRequest.command

    def command(self: TrainingRequest, kind: JobKind, out: Path, device: str) -> list[str]:
        return [sys.executable, "-c", ABLATION, *plain(self, kind, out, device)[3:]]

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        patched.setattr(TrainingRequest, "command", command)
        patched.setattr(training, "LOOK_SECONDS", 0.05)
        os._exit(run(settings))


@pytest.fixture
def fleet(backend: Settings) -> Iterator[Fleet]:
    made = Fleet(backend.model_copy(update={"queues": ("train",)}), work=work)
    yield made
    made.close()


@pytest.mark.parametrize("backend", ["postgres+redis", "postgres+rabbitmq"], indirect=True)
def test_what_a_failing_helper_leaves_the_first_worker_trains_and_the_ablation_is_done(fleet: Fleet) -> None:
    content = {"data": {"phantom": "films"}, "options": {"shared": True}}
    stored = training_request(JobKind.ABLATION, content).model_dump(mode="json")
    lead = submit_training(fleet.database, JobKind.ABLATION, stored, time.time())
    publisher(create_celery(fleet.settings))(lead, "train")
    fleet.hire(2)
    assert fleet.settle(60)
    with fleet.database.read() as session:
        jobs = {job.id: job for job in session.scalars(select(Job))}
    first = jobs.pop(lead)
    assert (first.state, first.error) == (JobState.DONE, None)
    assert first.progress == {"step": 2, "total": 2, "losses": {}}
    (helper,) = jobs.values()
    assert (helper.state, helper.error, helper.attempts) == (JobState.FAILED, REASON, 1)
    folder = training_folder(fleet.settings, lead)
    assert sorted((folder / "trained.txt").read_text().splitlines()) == ["first 0", "first 1", "helper 1"]
    assert (folder / f"log-{helper.id[:8]}.txt").read_text() == f"{REASON}\n"
