"""Several processes at one ablation: each network is trained once, and nobody waits for the dead."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from classifiers.ablation import command, shared
from classifiers.ablation.plan import VARIANTS, Variant
from classifiers.ablation.predictions import write_predictions
from classifiers.ablation.runs import Outcome, Plan, Run
from suite.datasets.manifest import Manifest
from suite.errors import InputError, StorageError
from suite.findings import CODES
from tests.made_cohort import cohort, cohort_folder  # noqa: F401 - fixtures

HOLD = """
import sys, time
from pathlib import Path
from classifiers.ablation.shared import taken
with taken(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""
TWO = VARIANTS[:2]


class Trainer:
    """In the place of ``run_all``: finishes a network in a moment, and keeps which."""

    def __init__(self, records: Sequence[Any] = (), seconds: float = 0.0) -> None:
        self.records = records
        self.seconds = seconds
        self.trained: list[Run] = []

    def __call__(
        self, plan: Plan, variants: Sequence[Variant], runs: Sequence[Run], key: str, processes: int
    ) -> Iterator[Outcome]:
        assert (len(runs), processes) == (1, 1)
        time.sleep(self.seconds)
        self.trained += runs
        truth = (np.arange(len(self.records))[:, None] + np.arange(len(CODES))) % 2.0
        nothing = np.full_like(truth, math.nan)
        made = SimpleNamespace(records=self.records, truth=truth, scores=truth, hits=nothing, areas=nothing)
        write_predictions(runs[0].predictions(plan.out), made, {})
        yield Outcome(runs[0], 1.0, 8, self.seconds, 1.0)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    own = Trainer()
    monkeypatch.setattr(shared, "run_all", own)
    monkeypatch.setattr(shared, "WAIT_SECONDS", 0.02)
    return own


def plan(folder: Path) -> Plan:
    return Plan({}, {}, folder, "cpu", folder)


def runs(count: int) -> list[Run]:
    return [Run(variant, seed) for seed in range(count // 2) for variant in TWO]


def test_a_lock_is_one_process_own_and_free_when_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "taken.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "True\n"
            with shared.taken(path) as mine:
                assert not mine
        finally:
            other.send_signal(signal.SIGKILL)
    with shared.taken(path) as mine:
        assert mine
    with shared.taken(path) as mine:  # given back at the end of the block
        assert mine


def test_a_folder_that_cannot_be_locked_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(shared.fcntl, "flock", refuse)
    with (
        pytest.raises(StorageError, match=r"cannot be locked .*leave --shared out"),
        shared.taken(tmp_path / "x"),
    ):
        pytest.fail("the lock was taken")


def test_a_lone_process_trains_everything_in_order(tmp_path: Path, trainer: Trainer) -> None:
    every = runs(4)
    found = list(shared.run_shared(plan(tmp_path), TWO, every, "", one=False))
    assert [outcome and outcome.run for outcome in found] == trainer.trained == every
    assert list(shared.run_shared(plan(tmp_path), TWO, every, "", one=False)) == []


def test_two_at_work_train_each_network_once_and_both_see_the_end(tmp_path: Path, trainer: Trainer) -> None:
    every = runs(8)
    trainer.seconds = 0.05
    found: list[list[Outcome | None]] = [[], []]

    def work(mine: list[Outcome | None]) -> None:
        mine += shared.run_shared(plan(tmp_path), TWO, every, "", one=False)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not shared.missing(plan(tmp_path), every)
    assert sorted(map(str, trainer.trained)) == sorted(map(str, every))
    own = [outcome for mine in found for outcome in mine if outcome is not None]
    assert len(own) == len(every)
    assert all(any(mine) for mine in found)


def test_who_waits_hears_of_what_others_finish_and_takes_what_they_leave(
    tmp_path: Path, trainer: Trainer
) -> None:
    first, second = both = runs(2)
    locks = [run.folder(tmp_path) / shared.LOCK for run in both]
    with shared.taken(locks[0]), shared.taken(locks[1]):
        assert list(shared.run_shared(plan(tmp_path), TWO, both, "", one=True)) == []  # nothing is free
    work = shared.run_shared(plan(tmp_path), TWO, both, "", one=False)
    with shared.taken(locks[0]):
        outcome = next(work)
        assert outcome is not None
        assert outcome.run == second
        threading.Timer(0.1, lambda: list(trainer(plan(tmp_path), TWO, [first], "", 1))).start()
        assert next(work) is None  # somebody finished the first
    assert list(work) == []


def test_a_helper_trains_one_network_and_ends(tmp_path: Path, trainer: Trainer) -> None:
    every = runs(4)
    assert len(list(shared.run_shared(plan(tmp_path), TWO, every, "", one=True))) == 1
    assert trainer.trained == every[:1]


def test_a_shared_ablation_tells_how_many_are_done_and_makes_the_tables(
    cohort_folder: Path,  # noqa: F811
    cohort: Manifest,  # noqa: F811
    tmp_path: Path,
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer.records = cohort.records
    monkeypatch.setattr(command, "decode_films", lambda *_: len(cohort))
    heard: list[tuple[int, int]] = []

    def on_run(done: int, total: int, _figures: Mapping[str, float]) -> None:
        heard.append((done, total))

    def run(**options: Any) -> str:
        chosen = command.Options(seeds=1, names=("single", "dual"), device="cpu", shared=True, **options)
        return command.ablate(
            {"phantom": cohort_folder}, ["size=64", "lung_source=true"], tmp_path, chosen,
            say=lambda _line: None, on_run=on_run,
        )  # fmt: skip

    assert run(one=True) == "1 of 2 networks are finished; the tables are another's work."
    assert not (tmp_path / "table.md").exists()
    assert heard == [(0, 2), (1, 2)]
    heard.clear()
    text = run(resume=True)
    assert heard == [(1, 2), (2, 2)]
    assert text == (tmp_path / "table.md").read_text()
    assert "not final" not in text
    assert [run.variant.name for run in trainer.trained] == ["single", "dual"]
    assert run(resume=True, one=True).startswith("2 of 2 networks")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"shared": True, "processes": 2}, "leave --processes out"), ({"one": True}, "add --shared")],
)
def test_options_that_do_not_go_together_are_named(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        command.ablate({}, [], tmp_path, command.Options(**options), say=lambda _line: None)
