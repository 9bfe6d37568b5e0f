"""Stages as work of their own: kept between attempts, shared by workers, on the CPU when the GPU is full."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from suite.analysis import Analyzer
from suite.errors import StageError
from suite.grid import Grid
from suite.jobs.database import Database
from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job, StageOffer, StageResult, StageRun
from suite.jobs.queue import JobQueue
from suite.jobs.remote_store import RemoteStore
from suite.jobs.requests import cancel, retry
from suite.jobs.store import Store, open_store
from suite.settings import Settings, load_settings
from suite.stages.artifacts import Check, GateResult
from suite.stages.contract import Artifact
from suite.stages.contract import StageRun as RunOfStage
from suite.stages.memory import Done, stage_keys
from suite.stages.packing import pack, unpack
from tests import fake_stages
from tests.jobs_fakes import film_png, load_study
from tests.jobs_fleet import submit


def counted(stage: type, runs: list[str], before: Callable[[str], None] = lambda _: None) -> type:
    """The stage, noting each of its runs; ``before`` is called first and may fail."""
    plain = stage.run  # type: ignore[attr-defined]

    def run(self: Any, studies: Any) -> Any:
        before(self.name)
        runs.append(self.name)
        return plain(self, studies)

    stage.run = run  # type: ignore[attr-defined]
    return stage


@dataclass
class House:
    """One installation with the suite's real analyzer around fake stages."""

    settings: Settings
    database: Database
    runs: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    told: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.database, self.settings, time.time)

    def runner(self, name: str = "w1") -> JobRunner:
        identity = WorkerIdentity("host", 1 if name == "w1" else 2, name)
        return JobRunner(
            self.database,
            self.queue,
            open_store(self.settings),
            self.settings,
            identity,
            analyzer=lambda: Analyzer(device="cpu"),
            load=load_study,
            tell=lambda *offer: self.told.append(offer),
        )

    def hand_in(self) -> str:
        submit(self.settings, self.database, "chest.png", film_png())
        with self.database.read() as session:
            return session.scalars(select(Job.id)).one()

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def rows(self, table: Any) -> list[Any]:
        with self.database.read() as session:
            return list(session.scalars(select(table)))

    def result(self, job_id: str) -> dict[str, bytes]:
        """Files of the job's reading; the report without the times it took."""
        store = open_store(self.settings)
        folder = store.file("chest", str(self.job(job_id).reading), "report.json").parent
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        report = json.loads(files["report.json"])
        for stage in report["provenance"]["stages"]:
            del stage["seconds"]
        return {**files, "report.json": json.dumps(report).encode()}


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    opened: list[Database] = []

    def make(name: str = "data", **options: Any) -> House:
        settings = load_settings(data=tmp_path / name, **options)
        opened.append(Database(settings))
        return House(settings, opened[-1])

    yield make
    for database in opened:
        database.close()


def install(patch: pytest.MonkeyPatch, house: House, before: Callable[[str], None] = lambda _: None) -> None:
    fake_stages.install(patch, [counted(stage, house.runs, before) for stage in fake_stages.whole_house()])


def fail_at(stage: str) -> tuple[Callable[[str], None], list[bool]]:
    """A stage that fails while the list that is returned holds something."""
    broken = [True]

    def before(name: str) -> None:
        if name == stage and broken:
            raise StageError(f"{name}: the lamp is out; try again.")

    return before, broken


def test_a_retry_runs_only_the_stages_that_had_not_finished(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    before, broken = fail_at("diagnosis")
    install(monkeypatch, house, before)
    job_id = house.hand_in()
    house.runner().run(job_id)
    assert house.job(job_id).error == "diagnosis: the lamp is out; try again."
    assert sorted(row.stage for row in house.rows(StageResult)) == ["bone", "gate", "lungs", "triage"]
    broken.clear()
    house.runs.clear()
    again, _ = retry(house.database, job_id, time.time())
    house.runner().run(again)
    assert house.job(again).state == "done"
    assert house.runs == ["diagnosis"]
    assert house.rows(StageResult) == []
    assert not (house.settings.data / "studies" / "chest" / "stages").exists()


def test_a_reading_from_kept_stages_is_the_reading_byte_for_byte(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, broken_off = make_house("plain"), make_house("broken")
    install(monkeypatch, plain)
    first = plain.hand_in()
    plain.runner().run(first)
    before, broken = fail_at("triage")
    install(monkeypatch, broken_off, before)
    job_id = broken_off.hand_in()
    broken_off.runner().run(job_id)
    broken.clear()
    again, _ = retry(broken_off.database, job_id, time.time())
    broken_off.runner().run(again)
    assert broken_off.result(again) == plain.result(first)


def test_a_damaged_stage_result_is_made_again(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    before, broken = fail_at("diagnosis")
    install(monkeypatch, house, before)
    job_id = house.hand_in()
    house.runner().run(job_id)
    [kept] = [row for row in house.rows(StageResult) if row.stage == "lungs"]
    (house.settings.data / "studies" / "chest" / kept.path).write_bytes(b"rotten")
    broken.clear()
    house.runs.clear()
    again, _ = retry(house.database, job_id, time.time())
    house.runner().run(again)
    assert house.runs == ["lungs", "diagnosis"]


def test_a_running_job_that_is_cancelled_stops_before_the_next_stage(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    jobs: list[str] = []

    def before(stage: str) -> None:
        if stage == "lungs":
            cancel(house.database, jobs[0], time.time())

    install(monkeypatch, house, before)
    jobs.append(house.hand_in())
    house.runner().run(jobs[0])
    job = house.job(jobs[0])
    assert (job.state, job.reading, job.lease_owner) == ("cancelled", None, None)
    assert house.runs == ["gate", "lungs"]
    assert {row.stage for row in house.rows(StageRun)} == {"gate", "lungs"}


def test_a_lone_worker_in_the_mode_stage_does_everything_itself(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, shared = make_house("plain"), make_house("shared", stage_tasks="stage")
    install(monkeypatch, plain)
    first = plain.hand_in()
    plain.runner().run(first)
    install(monkeypatch, shared)
    job_id = shared.hand_in()
    runner = shared.runner()
    runner.run(job_id)
    assert [stage for _, _, stage in shared.told] == ["triage", "bone"]  # beside lungs, then beside triage
    for offer in shared.told:
        runner.run_stage(*offer)  # the message comes when all is over
    assert sorted(shared.runs) == sorted(plain.runs)
    assert shared.result(job_id) == plain.result(first)
    assert shared.rows(StageOffer) == []


def test_two_workers_share_the_stages_of_one_study_and_the_bytes_are_the_same(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, shared = make_house("plain"), make_house("shared", stage_tasks="stage")
    install(monkeypatch, plain)
    first = plain.hand_in()
    plain.runner().run(first)
    helper_began = threading.Event()
    who: dict[str, str] = {}

    def before(stage: str) -> None:
        who[stage] = threading.current_thread().name
        if stage == "triage":
            helper_began.set()
        if stage == "lungs":
            assert helper_began.wait(30)  # does not end before the other worker has begun its stage

    install(monkeypatch, shared, before)
    owner, helper = shared.runner("w1"), shared.runner("w2")
    helper.warm_up()

    def tell(*offer: Any) -> None:
        threading.Thread(target=helper.run_stage, args=offer, name="helper").start()

    owner.tell = tell
    job_id = shared.hand_in()
    owner.run(job_id)
    assert shared.job(job_id).state == "done"
    assert who["triage"] == "helper"
    assert who["lungs"] != "helper"
    assert sorted(shared.runs) == sorted(plain.runs)
    assert shared.result(job_id) == plain.result(first)


def test_a_stage_whose_helper_died_is_done_by_the_owner(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house(stage_tasks="stage", lease_seconds=0.5, heartbeat_seconds=0.1)
    install(monkeypatch, house)
    owner, helper = house.runner("w1"), house.runner("w2")
    owner.tell = lambda job_id, attempt, stage: helper._offers.take(job_id, attempt, stage)  # then dies
    job_id = house.hand_in()
    owner.run(job_id)
    assert house.job(job_id).state == "done"
    assert "triage" in house.runs


def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    house = make_house()
    stages = fake_stages.whole_house()
    bone = next(stage for stage in stages if stage.name == "bone")  # type: ignore[attr-defined]
    plain = bone.run  # type: ignore[attr-defined]

    def run(self: Any, studies: Any) -> Any:
        if self.device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return plain(self, studies)

    bone.run = run  # type: ignore[attr-defined]
    fake_stages.install(monkeypatch, stages)
    monkeypatch.setattr("suite.analysis.resolve_device", lambda _device: "cuda")
    job_id = house.hand_in()
    house.runner().run(job_id)
    job = house.job(job_id)
    assert (job.state, job.error) == ("done", None)
    assert (job.device_fallback or "").startswith("bone: cuda was out of memory (OutOfMemoryError: CUDA")
    report = json.loads(house.result(job_id)["report.json"])
    devices = {stage["name"]: stage["device"] for stage in report["provenance"]["stages"]}
    assert devices == {"gate": "cuda", "lungs": "cuda", "bone": "cpu", "triage": "cuda", "diagnosis": "cuda"}
    [noted] = [stage for stage in report["provenance"]["stages"] if "fallback" in stage]
    assert "2.00 GiB" in noted["fallback"]


def test_a_result_survives_packing_with_its_types() -> None:
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    gate = GateResult((Check("chest", True, float("nan"), "A chest."),))
    outputs = {
        "mask": Artifact(mask, Grid.of((6, 8)).square().resize(4), ("cut",), ("A warning.",)),
        "gate": Artifact(gate),
        "share": Artifact({"left": np.float32(0.1), "right": None}),
    }
    done = unpack(pack(Done(outputs, RunOfStage("lungs", "ab" * 32, "cpu", 0.25))))
    np.testing.assert_array_equal(done.outputs["mask"].value, mask)
    assert done.outputs["mask"].value.dtype == np.uint8
    assert done.outputs["mask"].grid == outputs["mask"].grid
    assert done.outputs["mask"].history == ("cut",)
    assert np.isnan(done.outputs["gate"].value.checks[0].value)
    assert type(done.outputs["share"].value["left"]) is np.float32
    assert done.run == RunOfStage("lungs", "ab" * 32, "cpu", 0.25)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", pack(Done({}, RunOfStage("a", None, "cpu", 0)))[:-40]]
)
def test_damaged_bytes_are_one_sentence(content: bytes) -> None:
    with pytest.raises(StageError, match="cannot be read"):
        unpack(content)


def test_what_could_run_code_is_not_packed() -> None:
    with pytest.raises(StageError, match="type PosixPath"):
        pack(Done({"x": Artifact(Path("/"))}, RunOfStage("a", None, "cpu", 0)))


def test_the_key_of_a_stage_changes_with_the_weights_it_builds_on() -> None:
    def keys(lungs_weights: str) -> dict[str, str]:
        stages = [stage("cpu") for stage in fake_stages.whole_house()]
        stages[1].weights_sha256 = lungs_weights
        return dict(stage_keys(stages))

    one, other = keys("a" * 64), keys("b" * 64)
    assert {name for name in one if one[name] != other[name]} == {"lungs", "bone", "diagnosis"}


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_study_handed_in_on_one_machine_is_read_on_another(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    url = f"{scheme}://{tmp_path}/bucket"
    database = f"sqlite:///{tmp_path}/shared.sqlite3"
    front = make_house("front", store_url=url, database_url=database)
    worker = make_house("worker", store_url=url, database_url=database)
    install(monkeypatch, worker)
    job_id = front.hand_in()
    worker.runner().run(job_id)
    assert front.job(job_id).state == "done"
    assert isinstance(open_store(front.settings), RemoteStore)
    assert "lung_mask.png" in {path.name for path in (tmp_path / "worker").rglob("*.png")}
    reading = str(front.job(job_id).reading)
    store = open_store(front.settings)
    assert store.report("chest", reading)["schema"] == "radsuite.report/1"
    assert store.file("chest", reading, "lung_mask.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.tmp"))


def test_without_a_url_the_store_is_the_data_folder(make_house: Callable[..., House]) -> None:
    assert type(open_store(make_house().settings)) is Store
