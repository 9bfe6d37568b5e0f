"""Damaged DICOM files through C-STORE and STOW-RS: an answer for each, nobody dies, no refused one is stored.

    python -m benchmarks.malformed --count 2000

Pages, exchange (with its listener) and worker are processes of their own, as under ``radsuite serve``. The
worker decodes every film that was taken; a stand-in for the networks reads it. Half of the files go over each
wire. Afterwards everything taken is searched, fetched and rendered, and a sound film must come through.
Exit status 1 when anything was otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import requests
from sqlalchemy import func, select

from suite.jobs.database import Database
from suite.jobs.models import Job, Study
from suite.settings import load_settings, to_environment
from tests.dicom_network_house import as_bytes, film, wait_until
from tests.mutated_films import Mutant, mutants
from tests.ports import free_port
from tests.wires_under_damage import NO_ANSWER, ask_for_all, left_over, push_all, store_all, stored

SECRET = "a-secret-of-the-benchmark"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
PROGRAMS = {
    "pages": ["-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--no-control-socket"],
    "exchange": ["-m", "suite.dicom.network.exchange"],
    "worker": ["-m", "benchmarks.malformed", "--work"],
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--wire", choices=["both", "store", "stow"], default="both", help="Half of the files."
    )
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work()
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), options.count, options.seed, options.wire)


def work() -> int:
    """The worker: real films, real decoders, and a stand-in for the networks."""
    from suite.jobs.worker import load_study, run
    from tests.jobs_fakes import FakeAnalyzer

    return run(load_settings(), analyzer=FakeAnalyzer, load=load_study)


def measure(data: Path, count: int, seed: int, wire: str) -> int:
    settings = load_settings(
        data=data,
        secret=SECRET,
        port=free_port(),
        listen_port=free_port(),
        quiet_seconds=1.0,
        log_level="ERROR",
    )
    address = f"{settings.base_url}api/dicomweb"
    processes = {name: start(name, settings) for name in PROGRAMS}
    try:
        wait_until(lambda: answers(address) and listens(settings.listen_port or 0), 600)
        damaged = list(mutants(count, seed))
        halves = (damaged[::2] if wire != "stow" else [], damaged[1::2] if wire != "store" else [])
        return report(settings.data, address, settings.listen_port or 0, halves, processes)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(60)


def report(
    data: Path,
    address: str,
    port: int,
    halves: tuple[list[Mutant], list[Mutant]],
    processes: dict[str, subprocess.Popen[bytes]],
) -> int:
    """Send, ask, count, print; 1 when something was not as it must be."""
    started = time.monotonic()
    by_store: Counter[str] = Counter()
    by_stow: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    taken = store_all(halves[0], port, by_store) if halves[0] else set()
    show("C-STORE", by_store, time.monotonic() - started)
    started = time.monotonic()
    taken |= push_all(halves[1], address, HEADERS, by_stow)
    show("STOW-RS", by_stow, time.monotonic() - started)
    ask_for_all(address, HEADERS, asked)
    print(f"asked for each of those taken: {dict(sorted(asked.items()))}")
    sound = film()
    last = requests.post(f"{address}/studies", data=as_bytes(sound), headers=_one(), timeout=60).status_code
    states = settled(data)
    deaths = [name for name, process in processes.items() if process.poll() is not None]
    faults = {
        "without an answer": by_store[NO_ANSWER] + by_stow[NO_ANSWER],
        "requests without an answer, or answered 500": sum(
            number for key, number in asked.items() if key.endswith((NO_ANSWER, "500"))
        ),
        "stored although refused": len(stored(data) - taken - {sound.SOPInstanceUID}),
        "taken and not stored": len(taken - stored(data)),
        "left over": len(left_over(data)),
        "processes that died": len(deaths),
        "jobs not ended": sum(number for state, number in states.items() if state in ("queued", "running")),
        "sound film refused": int(last != 200),
    }
    print(f"taken {len(taken)}, jobs {states}")
    for name, number in faults.items():
        print(f"{name:45s} {number:5d}")
    return int(any(faults.values()))


def show(wire: str, count: Counter[str], seconds: float) -> None:
    """One line: how many files, how long, and how many of each answer."""
    print(f"{wire} {count.total():5d} in {seconds:4.0f} s: {dict(sorted(count.items()))}", flush=True)


def settled(data: Path) -> dict[str, int]:
    """Jobs by state, once none is open."""
    database = Database(load_settings(data=data))

    def states() -> dict[str, int]:
        with database.read() as session:
            counted = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
        return {str(state): int(number) for state, number in counted}

    def is_over() -> bool:
        with database.read() as session:
            studies = session.scalar(select(func.count()).select_from(Study)) or 0
        waiting = any((data / "instances" / "arrivals").glob("*"))
        return studies > 0 and not waiting and not {"queued", "running"} & set(states())

    try:
        wait_until(is_over, 900)
    except AssertionError as error:
        print(f"jobs: {error}")
    try:
        return states()
    finally:
        database.close()


def start(name: str, settings: object) -> subprocess.Popen[bytes]:
    """One process of the service."""
    from suite.settings import Settings

    assert isinstance(settings, Settings)
    command = [sys.executable, *PROGRAMS[name]]
    if name == "pages":
        command += ["--bind", f"127.0.0.1:{settings.port}", "--timeout", "300", "web:create_app()"]
    return subprocess.Popen(command, env={**os.environ, **to_environment(settings)})


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/studies?limit=1", headers=HEADERS, timeout=5).ok
    except requests.RequestException:
        return False


def listens(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def _one() -> dict[str, str]:
    return {**HEADERS, "Content-Type": "application/dicom"}


if __name__ == "__main__":
    sys.exit(main())
