"""Faults, counted: what is lost, read twice, half-written or left unfinished when things die.

    python benchmarks/faults.py                 # everything, on SQLite with files
    python benchmarks/faults.py --kills 10 --server-kills 4 --senders 12
    python benchmarks/faults.py --database postgresql://... --broker redis://...

Worker processes, database, broker and files are real; the networks are stages that only take time. The
brokers and PostgreSQL for the restarts are private ones; what is not installed is left out, with the reason.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from suite.errors import StorageError
from suite.jobs.identity import WorkerIdentity
from suite.jobs.models import Job
from suite.jobs.queue import JobQueue
from suite.settings import Settings, load_settings
from tests.jobs_fakes import film_png
from tests.jobs_fleet import FORKS, Fleet, at_once, submit, take_in
from tests.jobs_services import (
    MissingServerError,
    Server,
    new_database,
    postgres_server,
    rabbitmq_server,
    redis_server,
)

QUICK = {"lease_seconds": 10, "heartbeat_seconds": 0.5, "sweep_seconds": 0.2, "resend_seconds": 1}
SETTLE_SECONDS = 240.0
SERVERS = {"redis": redis_server, "rabbitmq": rabbitmq_server, "postgres": postgres_server}


def settings_for(folder: Path, **more: Any) -> Settings:
    """Settings with short leases, so that a death is noticed soon."""
    return load_settings(data=folder / "data", max_attempts=50, log_level="WARNING", **{**QUICK, **more})


def kill_workers(settings: Settings, kills: int) -> tuple[Fleet, str]:
    """Kill -9 one of two workers while it holds a job, again and again."""
    fleet = Fleet(settings, stage_seconds=0.02)
    fleet.hire(2)
    done = 0
    for batch in range(0, kills, 10):
        fleet.submit(range(batch, min(batch + 10, kills)))
        while done < min(batch + 10, kills):
            if not fleet.kill_in_mid_task(20):  # all read meanwhile: more work
                fleet.submit(range(1_000_000 + done * 10, 1_000_000 + done * 10 + 3))
                continue
            done += 1
    return fleet, f"{done} workers killed while they held a job"


def kill_server(settings: Settings, kills: int) -> tuple[Fleet, str]:
    """Kill -9 the process that takes films in, at any moment; whatever it had confirmed must be there."""
    fleet = Fleet(settings)
    fleet.hire(1)
    receipt, dice, confirmed = settings.data / "confirmed.txt", random.Random(5), 0
    receipt.touch()
    for turn in range(kills):
        server = FORKS.Process(
            target=take_in, args=(settings, list(range(turn * 1000, turn * 1000 + 200)), receipt)
        )
        server.start()
        while receipt.read_text().count("\n") <= confirmed and server.is_alive():
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.06))
        server.kill()
        server.join()
        confirmed = receipt.read_text().count("\n")
    fleet.expected |= set(receipt.read_text().split())
    return fleet, f"{kills} servers killed, {confirmed} studies confirmed before"


def restart(settings: Settings, server: Server, times: int, how: str) -> tuple[Fleet, str]:
    """Stop and start a server while films come in and are read."""
    fleet = Fleet(settings, stage_seconds=0.02)
    fleet.hire(2)
    refused: list[int] = []
    stop = threading.Event()

    def feed() -> None:
        seed = 0
        while not stop.is_set():
            try:
                fleet.submit(range(seed, seed + 1))
                seed += 1
            except StorageError:  # said so to the sender, who keeps the film and tries again
                refused.append(seed)
            stop.wait(0.2)

    feeder = threading.Thread(target=feed)
    feeder.start()
    for _ in range(times):
        time.sleep(2)
        server.stop()
        time.sleep(1)
        server.start()
    time.sleep(1)
    stop.set()
    feeder.join()
    return fleet, f"{how} restarted {times} times, {len(refused)} uploads refused meanwhile and sent again"


def full_disk(settings: Settings) -> tuple[Fleet, str]:
    """Fill a small disk, see the refusals, free space, and go on."""
    fleet = Fleet(settings)
    ballast, refused, seed = settings.data / "ballast", 0, 0
    ballast.write_bytes(bytes(6_000_000))
    while refused < 5:
        try:
            fleet.submit(range(seed, seed + 1))
        except StorageError:
            refused += 1
        seed += 1
    fleet.hire(1)
    time.sleep(5)  # readings meet the full disk, too
    ballast.unlink()
    fleet.submit(range(10_000, 10_003))
    return fleet, f"{refused} uploads refused while the disk was full"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 12 MB in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "radsuite", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def clock_jump(settings: Settings) -> tuple[Fleet, str]:
    """A sweeper whose clock is a day ahead, then one a day behind, while workers read."""
    fleet = Fleet(settings, stage_seconds=0.05)
    fleet.hire(2)
    fleet.submit(range(8))
    here = WorkerIdentity.of_this_process()
    taken = 0
    for shift in (86_400.0, -86_400.0) * 3:
        jumped = JobQueue(fleet.database, settings, lambda shift=shift: time.time() + shift)  # type: ignore[misc]
        taken += len(jumped.sweep(here))
        time.sleep(0.3)
    return fleet, f"clock moved by a day 6 times, {taken} jobs taken from workers that lived"


def race(settings: Settings, rounds: int) -> tuple[Fleet, str]:
    """Many workers claim the same job at the same moment."""
    fleet = Fleet(settings)
    queue = JobQueue(fleet.database, settings, time.time)
    winners = []
    for number in range(rounds):
        fleet.submit(range(number, number + 1))
        with fleet.database.read() as session:
            job_id = session.query(Job.id).filter_by(state="queued").scalar()
        claims = at_once(8, lambda index: queue.claim(job_id, WorkerIdentity("host", 100 + index, "x")))  # noqa: B023
        held = [claim for claim in claims if claim]
        winners.append(len(held))
        queue.fail(held[0], "The race is over.")
    if set(winners) != {1}:
        raise SystemExit(f"race: a job was claimed {max(winners)} times")
    return fleet, f"{rounds} races of 8 workers, each won by one"


def same_study(settings: Settings, senders: int) -> tuple[Fleet, str]:
    """The same films from many senders at the same moment."""
    fleet = Fleet(settings)
    fleet.hire(2)
    film = film_png()
    outcomes = at_once(senders, lambda _: submit(settings, fleet.database, "film.png", film))
    accepted = [item for outcome in outcomes if outcome for item in outcome.accepted]
    fleet.expected |= {item.study_id for item in accepted}
    new = sum(item.is_new for item in accepted)
    if (len(accepted), new, len(fleet.expected)) != (senders, 1, 1):
        raise SystemExit(f"{senders} senders: {len(accepted)} answered, {new} new, {fleet.expected}")
    return fleet, f"sent {senders} times at once, 1 study made"


def report(name: str, scenario: Callable[[], tuple[Fleet, str]]) -> bool:
    """Run one scenario, wait for the end of all jobs, look at everything, print one line."""
    start = time.monotonic()
    fleet, words = scenario()
    settled = fleet.settle(SETTLE_SECONDS)
    fleet.dismiss()
    found = fleet.audit()
    fleet.close()
    verdict = "ok" if found.sound and settled else "NOT OK"
    print(f"{name}: {verdict}; {words}; {found}; {time.monotonic() - start:.0f} s", flush=True)
    return found.sound and settled


def main() -> int:
    """Run the scenarios; exit status 1 if one of them lost something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="workers to kill")
    parser.add_argument("--server-kills", type=int, default=20)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--only", help="names of scenarios, with commas")
    parser.add_argument("--database", help="URL; SQLite unless given")
    parser.add_argument("--broker", help="URL; files unless given")
    options = parser.parse_args()
    urls = {"database_url": options.database, "broker_url": options.broker}
    names = options.only.split(",") if options.only else None
    sound = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def here(name: str) -> Settings:
            return settings_for(folder / name, **urls)

        scenarios: dict[str, Callable[[], tuple[Fleet, str]]] = {
            "workers": lambda: kill_workers(here("workers"), options.kills),
            "server": lambda: kill_server(here("server"), options.server_kills),
            "clock": lambda: clock_jump(here("clock")),
            "race": lambda: race(here("race"), 20),
            "same": lambda: same_study(here("same"), options.senders),
        }
        for name, scenario in scenarios.items():
            if names is None or name in names:
                sound &= report(name, scenario)
        if names is None or "disk" in names:
            if os.geteuid() == 0:
                with small_disk(folder / "disk") as disk:
                    sound &= report("full disk", lambda: full_disk(settings_for(disk)))
            else:
                print("full disk: left out, mounting a small disk needs root", flush=True)
        for name, make in SERVERS.items():
            if names is None or name in names:
                sound &= _restarts(name, make, folder, options.restarts)
    return 0 if sound else 1


def _restarts(name: str, make: Callable[[], Server], folder: Path, times: int) -> bool:
    try:
        server = make()
    except MissingServerError as error:
        print(f"{name}: left out, {error}", flush=True)
        return True
    try:
        server.start()
        if name == "postgres":
            settings = settings_for(folder / name, database_url=new_database(server))
        else:
            settings = settings_for(folder / name, broker_url=server.url)
        return report(name, lambda: restart(settings, server, times, name))
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
