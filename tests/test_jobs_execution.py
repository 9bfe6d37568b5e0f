"""Submitting and running jobs in one process: what is stored, what a failure says, what a second run does."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select, text

from suite.errors import StageError, StorageError, UnreadableFileError
from suite.jobs.broker import create_celery, publisher
from suite.jobs.contracts import AnalyzerFactory
from suite.jobs.database import Database
from suite.jobs.execution import JobRunner
from suite.jobs.heartbeat import Heartbeat, Sweeper
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Artifact, Job, Study, View
from suite.jobs.queue import Claim, JobQueue
from suite.jobs.rows import view_row
from suite.jobs.store import Store, receive
from suite.jobs.submission import Outcome, Submission, Upload, file_name
from suite.settings import Settings, load_settings
from tests.jobs_fakes import STAGES, FakeAnalyzer, collect, film_png, load_study


@dataclass
class House:
    """Submission and one worker on a temporary data folder; the broker is a list of ids."""

    settings: Settings
    database: Database
    sent: list[str] = field(default_factory=list)
    analyzer: FakeAnalyzer = field(default_factory=FakeAnalyzer)

    @property
    def store(self) -> Store:
        return Store(self.settings.data)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.database, self.settings, time.time)

    def runner(self, analyzer: AnalyzerFactory | None = None) -> JobRunner:
        identity = WorkerIdentity.of_this_process()
        make = analyzer or (lambda: self.analyzer)
        return JobRunner(
            self.database, self.queue, self.store, self.settings, identity, analyzer=make, load=load_study
        )

    def submit(
        self, files: dict[str, bytes], laterals: dict[int, tuple[str, bytes]] | None = None
    ) -> Outcome:
        submission = Submission(self.database, self.store, self.sent.append, collect=collect, name=file_name)
        with self.store.staging() as staging:
            uploads = [_upload(staging / str(index), *item) for index, item in enumerate(files.items())]
            pairs = {index: _upload(staging / f"l{index}", *item) for index, item in (laterals or {}).items()}
            return submission.submit(staging, uploads, pairs)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def readings(self, study_id: str) -> list[str]:
        return sorted(
            path.name for path in (self.settings.data / "studies" / study_id / "readings").iterdir()
        )


def _upload(folder: Path, name: str, content: bytes) -> Upload:
    folder.mkdir()
    (folder / name).write_bytes(content)
    return Upload(folder / name, name)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = load_settings(data=tmp_path / "data")
    database = Database(settings)
    yield House(settings, database)
    database.close()


def test_a_film_goes_in_and_a_reading_comes_out(house: House) -> None:
    outcome = house.submit({"chest.png": film_png()})
    assert [(item.study_id, item.is_new) for item in outcome.accepted] == [("chest", True)]
    [job_id] = house.sent
    house.runner().run(job_id)
    job = house.job(job_id)
    assert (job.state, job.error, job.attempts) == ("done", None, 1)
    assert job.reading is not None
    report = house.store.report("chest", job.reading)
    assert (
        report["study"]["views"]["frontal"]["source"] == "chest.png"
    )  # the name it came with, no server path
    assert job.summary is not None
    assert job.summary["triage"]["state"] == "abnormal"
    assert [finding["code"] for finding in job.summary["findings"]] == ["pleural_effusion", "consolidation"]
    with house.database.read() as session:
        runs = session.get_one(Job, job_id).stage_runs
        assert [(run.stage, run.state) for run in runs] == [(stage, "finished") for stage in STAGES]


def test_a_pair_of_pictures_is_one_study_with_both_views(house: House) -> None:
    outcome = house.submit({"front.png": film_png(1)}, {0: ("side.png", film_png(2))})
    assert [item.names for item in outcome.accepted] == [("front.png", "side.png")]
    house.runner().run(house.sent[0])
    reading = house.job(house.sent[0]).reading
    assert reading is not None
    assert set(house.store.report("front", reading)["study"]["views"]) == {"frontal", "lateral"}


def test_the_same_film_again_is_the_same_study(house: House) -> None:
    house.submit({"chest.png": film_png()})
    again = house.submit({"copy.png": film_png()})
    assert [(item.study_id, item.is_new) for item in again.accepted] == [("chest", False)]
    assert len(house.sent) == 1


def test_another_film_of_the_same_name_is_another_study(house: House) -> None:
    house.submit({"chest.png": film_png(1)})
    other = house.submit({"chest.png": film_png(2)})
    assert [item.study_id for item in other.accepted] == ["chest-2"]
    sources = house.settings.data / "studies"
    assert (sources / "chest" / "source" / "frontal.png").read_bytes() == film_png(1)
    assert (sources / "chest-2" / "source" / "frontal.png").read_bytes() == film_png(2)


def test_a_database_that_refuses_every_row_ends_the_upload_with_a_sentence(house: House) -> None:
    with house.database.write() as session:
        session.execute(text("CREATE TRIGGER no BEFORE INSERT ON study BEGIN SELECT RAISE(ABORT, 'no'); END"))
    with pytest.raises(StorageError, match="the database refuses the study"):
        house.submit({"chest.png": film_png()})


def test_a_bad_file_is_refused_by_name_and_the_others_are_taken(house: House) -> None:
    outcome = house.submit({"notes.png": b"no picture", "chest.png": film_png()})
    assert [item.study_id for item in outcome.accepted] == ["chest"]
    [refused] = outcome.refused
    assert refused.name == "notes.png"
    assert refused.sentence.startswith("notes.png: not a picture")
    assert list((house.settings.data / "incoming").iterdir()) == []
    assert [path.name for path in (house.settings.data / "studies").iterdir()] == ["chest"]


def test_what_a_crash_left_behind_does_not_stand_in_the_way(house: House) -> None:
    orphan = house.settings.data / "studies" / "chest" / "source"
    orphan.mkdir(parents=True)
    (orphan / "frontal.png").write_bytes(b"half")
    house.submit({"chest.png": film_png()})
    assert (orphan / "frontal.png").read_bytes() == film_png()


def test_running_a_job_twice_changes_nothing(house: House) -> None:
    house.submit({"chest.png": film_png()})
    [job_id] = house.sent
    house.runner().run(job_id)
    before = house.readings("chest")
    house.runner().run(job_id)
    house.runner().run("no-such-job")
    assert house.readings("chest") == before
    assert len(house.analyzer.runs) == 1


def test_a_worker_that_lost_the_job_drops_its_result(house: House) -> None:
    house.submit({"chest.png": film_png()})
    [job_id] = house.sent

    def lose(stage: str) -> None:
        if stage == "bone" and len(house.analyzer.runs) == 1:
            late = JobQueue(house.database, house.settings, lambda: time.time() + 1e6)
            assert late.sweep() == [job_id]
            house.runner().run(job_id)  # the second worker is through before the first goes on

    house.analyzer.before = lose
    house.runner().run(job_id)
    job = house.job(job_id)
    assert (job.state, job.attempts) == ("done", 2)
    assert house.readings("chest") == [job.reading]
    assert len(house.analyzer.runs) == 2


def test_a_foreseen_failure_gives_its_own_sentence(house: House) -> None:
    def fail(stage: str) -> None:
        raise StageError("bone: the film is too narrow; give the whole film.")

    house.analyzer.before = fail
    house.submit({"chest.png": film_png()})
    house.runner().run(house.sent[0])
    job = house.job(house.sent[0])
    assert (job.state, job.error) == ("failed", "bone: the film is too narrow; give the whole film.")
    assert house.readings("chest") == []


def test_an_unforeseen_failure_gives_a_neutral_sentence_and_keeps_the_trace_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(stage: str) -> None:
        raise ZeroDivisionError("secret detail")

    house.analyzer.before = fail
    house.submit({"chest.png": film_png()})
    house.runner().run(house.sent[0])
    job = house.job(house.sent[0])
    assert job.state == "failed"
    assert "secret detail" not in (job.error or "")
    assert "Try again" in (job.error or "")
    assert "secret detail" in caplog.text


def test_models_that_cannot_be_loaded_fail_the_job_but_not_the_worker(house: House) -> None:
    def broken() -> FakeAnalyzer:
        raise StageError("lungs: weights are missing; install them.")

    runner = house.runner(broken)
    runner.warm_up()
    house.submit({"chest.png": film_png()})
    runner.run(house.sent[0])
    assert house.job(house.sent[0]).error == "lungs: weights are missing; install them."


def test_models_are_built_once(house: House) -> None:
    built: list[FakeAnalyzer] = []

    def build() -> FakeAnalyzer:
        built.append(FakeAnalyzer())
        return built[-1]

    runner = house.runner(build)
    runner.warm_up()
    house.submit({"a.png": film_png(1), "b.png": film_png(2)})
    for job_id in house.sent:
        runner.run(job_id)
    assert len(built) == 1
    assert len(built[0].runs) == 2


def test_a_stored_film_that_cannot_be_read_is_spoken_of_by_its_name(house: House) -> None:
    house.submit({"chest.png": film_png()})
    (house.settings.data / "studies" / "chest" / "source" / "frontal.png").write_bytes(b"rotten")
    house.runner().run(house.sent[0])
    error = house.job(house.sent[0]).error or ""
    assert error.startswith("chest.png: not a picture")
    assert str(house.settings.data) not in error


def test_override_reaches_the_analyzer(house: House) -> None:
    house.analyzer.accepted = False
    house.submit({"knee.png": film_png()})
    house.runner().run(house.sent[0])
    summary = house.job(house.sent[0]).summary or {}
    assert (summary["accepted"], summary["triage"]) == (False, None)
    second = house.queue.submit("knee", override_gate=True)
    house.runner().run(second)
    assert house.analyzer.runs == [("knee", False), ("knee", True)]
    assert (house.job(second).summary or {})["suggested"] == 1


def test_a_full_disk_fails_the_upload_with_a_sentence_and_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("suite.jobs.store.os.fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device.*free space"):
        house.submit({"chest.png": film_png()})
    assert list((house.settings.data / "incoming").iterdir()) == []
    with house.database.read() as session:
        assert session.get(Study, "chest") is None


def test_an_upload_that_breaks_off_is_not_a_file(tmp_path: Path) -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match="Input/output error"):
        receive(Broken(), tmp_path / "film.png")  # type: ignore[arg-type]


def test_a_report_cannot_point_out_of_its_folder(house: House) -> None:
    with pytest.raises(UnreadableFileError, match="outside"):
        house.store.file("chest", "reading", "../../../radsuite.sqlite3")


def test_old_staging_folders_are_removed_and_new_ones_kept(house: House) -> None:
    with house.store.staging() as staging:
        house.store.clean(now=time.time() + 3600)
        assert staging.is_dir()
        house.store.clean(now=time.time() + 25 * 3600)
        assert not staging.is_dir()


def test_the_heart_beats_while_the_block_runs_and_ends_a_job_that_runs_too_long(house: House) -> None:
    settings = load_settings(
        data=house.settings.data, lease_seconds=1, heartbeat_seconds=0.01, job_limit_seconds=0.05
    )
    house.submit({"chest.png": film_png()})
    queue = JobQueue(house.database, settings, time.time)
    claim = queue.claim(house.sent[0], WorkerIdentity.of_this_process())
    assert claim is not None
    leased_until = house.job(house.sent[0]).lease_expires_at or 0
    over = threading.Event()
    ended: list[Claim] = []
    with Heartbeat(queue, claim, settings, lambda it: (ended.append(it), over.set())):  # type: ignore[func-returns-value]
        assert over.wait(10)
    assert ended == [claim]
    assert (house.job(house.sent[0]).lease_expires_at or 0) > leased_until


def test_the_sweeper_hands_an_abandoned_job_over_again(house: House) -> None:
    here = WorkerIdentity.of_this_process()
    house.submit({"chest.png": film_png()})
    [job_id] = house.sent
    assert house.queue.claim(job_id, WorkerIdentity(here.host, here.pid, "earlier")) is not None
    sweeper = Sweeper(
        house.queue, lambda job_id, _queue=None: house.sent.append(job_id), house.settings, here
    )
    sweeper.start()
    sweeper.stop()
    assert house.sent == [job_id, job_id]
    house.runner().run(job_id)
    assert house.job(job_id).state == "done"


def test_a_sweeper_outlives_whatever_goes_wrong_in_a_sweep(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(data=house.settings.data, sweep_seconds=0.01)
    again = threading.Event()
    signs: list[None] = []

    def sign() -> None:
        signs.append(None)
        if len(signs) > 2:
            again.set()
        raise RuntimeError("deadlock detected")

    sweeper = Sweeper(house.queue, lambda *_: None, settings, WorkerIdentity.of_this_process(), sign)
    sweeper.start()
    assert again.wait(30)
    sweeper.stop()
    assert "deadlock detected" in caplog.text


def test_a_broker_that_is_away_is_no_error_for_who_hands_a_job_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(data=tmp_path, broker_url="redis://127.0.0.1:1/0")
    publisher(create_celery(settings))("0" * 32)
    assert "could not be handed to the broker yet" in caplog.text


def test_a_reading_s_files_are_rows_once_it_is_finished(house: House) -> None:
    house.submit({"chest.png": film_png()})
    house.runner().run(house.sent[0])
    folder = house.store.reading("chest", str(house.job(house.sent[0]).reading))
    with house.database.read() as session:
        rows = {row.path: row for row in session.scalars(select(Artifact))}
    assert set(rows) == {path.name for path in folder.iterdir()}
    report = (folder / "report.json").read_bytes()
    row = rows["report.json"]
    assert (row.sha256, row.bytes) == (hashlib.sha256(report).hexdigest(), len(report))
    assert (row.media_type, rows["lung_mask.png"].media_type) == ("application/json", "image/png")


def test_a_dicom_film_s_view_says_what_its_header_says(house: House, tmp_path: Path) -> None:
    header = Dataset()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    header.SOPInstanceUID, header.SeriesInstanceUID, header.StudyInstanceUID = "1.2.3", "1.2.2", "1.2.1"
    header.ViewPosition, header.Rows, header.Columns = "PA", 4, 6
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    row = view_row("chest", "frontal", "frontal.dcm", tmp_path / "film.dcm")
    assert (row.sop_instance_uid, row.series_instance_uid, row.study_instance_uid) == (
        "1.2.3",
        "1.2.2",
        "1.2.1",
    )
    assert (row.projection, row.rows, row.columns) == ("PA", 4, 6)
    house.submit({"chest.png": film_png()})
    with house.database.read() as session:
        [view] = session.scalars(select(View))
    assert (view.role, view.file, view.sop_instance_uid) == ("frontal", "frontal.png", None)
