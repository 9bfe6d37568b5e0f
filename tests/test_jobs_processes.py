"""Real processes: the worker killed in mid-task, the supervisor's care, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.jobs import children
from suite.jobs.broker import create_celery, publisher
from suite.jobs.children import Child, ChildSpec
from suite.jobs.database import Database
from suite.jobs.models import Job
from suite.jobs.store import Store
from suite.jobs.submission import Submission, Upload, file_name
from suite.jobs.supervisor import Supervisor, exchange_child, serve, train_child, web_child, worker_child
from suite.settings import Settings, load_settings, to_environment
from tests.jobs_fakes import collect, film_png

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 60.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for something another process does; fails with its name when it never comes."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"never came: {what}")
        threading.Event().wait(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path, lease_seconds=20, heartbeat_seconds=1, sweep_seconds=0.5)


@pytest.fixture
def worker_spec(settings: Settings) -> ChildSpec:
    environment = to_environment(settings) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return ChildSpec("worker", [sys.executable, "-m", "tests.jobs_worker_process"], environment)


@pytest.fixture
def worker(worker_spec: ChildSpec) -> Iterator[Child]:
    child = Child(worker_spec)
    yield child
    child.kill()
    child.wait(10)


def submit_film(settings: Settings, database: Database) -> str:
    """Hand one film in the way the pages do; returns the job's id."""
    sent: list[str] = []
    store = Store(settings.data)
    with store.staging() as staging:
        (staging / "chest.png").write_bytes(film_png())
        submission = Submission(database, store, sent.append, collect=collect, name=file_name)
        submission.submit(staging, [Upload(staging / "chest.png", "chest.png")], {})
    publisher(create_celery(settings))(sent[0])
    return sent[0]


def test_a_job_survives_its_worker_being_killed_in_mid_task(settings: Settings, worker: Child) -> None:
    database = Database(settings)
    (settings.data / "hold").touch()
    worker.start()
    job_id = submit_film(settings, database)

    def job() -> Job:
        with database.read() as session:
            return session.get_one(Job, job_id)

    eventually((settings.data / "holding").exists, "the worker in mid-task")
    assert (job().state, job().attempts) == ("running", 1)
    worker.kill()
    assert worker.wait(10)
    (settings.data / "hold").unlink()
    worker.tend()  # notices the end
    eventually(lambda: (worker.tend(), worker.pid is not None)[1], "the worker started again")
    eventually(lambda: job().state == "done", "the job done by the second worker")
    ended = job()
    database.close()
    # the lease had 20 s to run: the second worker saw that the first one's process was gone
    assert ended.attempts == 2
    readings = settings.data / "studies" / "chest" / "readings"
    assert [path.name for path in readings.iterdir()] == [ended.reading]


def test_a_worker_asked_to_stop_finishes_its_job_first(settings: Settings, worker: Child) -> None:
    database = Database(settings)
    (settings.data / "hold").touch()
    worker.start()
    job_id = submit_film(settings, database)
    eventually((settings.data / "holding").exists, "the worker in mid-task")
    worker.ask_to_stop()
    assert not worker.wait(0.3)
    (settings.data / "hold").unlink()
    assert worker.wait(DEADLINE_SECONDS)
    with database.read() as session:
        assert session.get_one(Job, job_id).state == "done"
    database.close()


SLEEPER = "import signal, sys, threading; threading.Event().wait()"


def test_the_supervisor_restarts_what_dies_and_ends_all_it_started() -> None:
    spec = ChildSpec("sleeper", [sys.executable, "-c", SLEEPER], {})
    supervisor = Supervisor([spec, spec], grace_seconds=5)
    pids: list[int] = []

    def disturb() -> None:
        first, second = supervisor.children
        eventually(lambda: first.pid is not None and second.pid is not None, "both children")
        pids.extend(pid for pid in (first.pid, second.pid) if pid)
        os.kill(pids[0], signal.SIGKILL)
        eventually(lambda: first.pid not in (None, pids[0]), "the first child again")
        pids.append(first.pid or 0)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=disturb)
    thread.start()
    status = supervisor.run()
    thread.join()
    assert status == 0
    assert len(set(pids)) == 3
    assert not any(is_alive(pid) for pid in pids)


def test_the_supervisor_gives_up_on_a_child_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.0)
    assert Supervisor([ChildSpec("broken", [sys.executable, "-c", "raise SystemExit(3)"], {})]).run() == 1


def test_pauses_double_up_to_half_a_minute_and_start_over_after_a_stable_run() -> None:
    now = [0.0]
    child = Child(ChildSpec("quick", [sys.executable, "-c", ""], {}), clock=lambda: now[0])
    pauses = []
    for _ in range(8):
        child.start()
        child.wait(10)
        child.tend()
        begun = now[0]
        while child._process is None:
            now[0] += 0.25
            child.tend()
        pauses.append(now[0] - begun)
        child.wait(10)
        child._process = None
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    child.start()
    child.wait(10)
    now[0] += children.STABLE_SECONDS
    child.tend()
    assert child.quick_failures == 1


def test_children_die_with_a_parent_that_is_killed() -> None:
    code = (
        "import sys, threading\n"
        "from suite.jobs.children import Child, ChildSpec\n"
        f"child = Child(ChildSpec('sleeper', [sys.executable, '-c', {SLEEPER!r}], {{}}))\n"
        "child.start()\n"
        "sys.stdout.write(f'{child.pid}\\n'); sys.stdout.flush()\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    eventually(lambda: not is_alive(pid), "the child's end")


def test_an_address_in_use_is_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = load_settings(data=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(InputError, match=r"cannot be served on.*--port"):
            serve(settings)


def test_the_secret_is_not_in_the_command_line(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, secret="correct horse battery")
    spec = web_child(settings)
    assert "correct horse battery" not in " ".join(spec.command)
    assert spec.environment["RADSUITE_SECRET"] == "correct horse battery"


@pytest.mark.parametrize("child", [web_child, worker_child, train_child, exchange_child])
def test_no_child_looks_for_modules_where_the_service_is_started(
    child: Callable[[Settings], ChildSpec], tmp_path: Path
) -> None:
    """``attrs.py`` is the name of a library that all of them load."""
    (tmp_path / "attrs.py").write_text("raise SystemExit('the wrong file')")
    python, option, what, *_ = child(load_settings(data=tmp_path / "data")).command
    path = what.partition("; from")[0] if option == "-Pc" else "pass"
    run = [python, option[:2] + "c", f"{path}; import attrs"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
