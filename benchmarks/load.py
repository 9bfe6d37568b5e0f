"""Load: two workers against one, what the queue costs a study, what a worker's memory does over 500 studies.

    python benchmarks/load.py                       # SQLite with files, 500 studies for overhead and memory
    python benchmarks/load.py --studies 120 --compute 1.0
    python benchmarks/load.py --database postgresql://... --broker redis://...

The stages are calibrated work: each study multiplies matrices on one thread until it has used ``--compute``
seconds of processor time. One worker has one thread and two workers have one each, so that the ratio is the
queue's and not the arithmetic's. With ``--waiting`` stages wait as long instead, as for a GPU: what two
workers then lose against twice one is the queue's alone (polling, locks), also beside other programs. What
other programs take from the processor falls out of the measured overhead (processor time is compared with
processor time), not out of the throughput: measure that alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from threadpoolctl import threadpool_limits

from suite.jobs.models import Job
from suite.settings import Settings, load_settings
from tests.jobs_fakes import STAGES, FakeAnalyzer, FakeReading, load_study
from tests.jobs_fleet import FORKS, Fleet, end_with_the_test


def burn(seconds: float) -> None:
    """Use so much processor time of this thread."""
    matrix = np.ones((96, 96), np.float32)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        matrix = np.tanh(matrix @ matrix)


def work(settings: Settings, compute_seconds: float, notes: Path, waiting: bool) -> None:
    """A worker that notes after each study: its processor time, what stages took of it, its memory."""
    from suite.jobs.execution import JobRunner
    from suite.jobs.worker import run

    computed = [0.0]

    def counted(action: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.thread_time()
            result = action(*arguments)
            computed[0] += time.thread_time() - start
            return result

        return call

    FakeReading.write = counted(FakeReading.write)  # type: ignore[method-assign]
    spend = time.sleep if waiting else burn
    stage = counted(lambda _name: spend(compute_seconds / len(STAGES)))
    end_with_the_test()
    threadpool_limits(1)
    plain = JobRunner.run

    def run_and_note(self: JobRunner, job_id: str) -> None:
        plain(self, job_id)
        with notes.open("a") as stream:
            stream.write(f"{os.getpid()} {time.process_time():.4f} {computed[0]:.4f} {resident_bytes()}\n")

    JobRunner.run = run_and_note  # type: ignore[method-assign]
    analyzer = FakeAnalyzer(stage)
    os._exit(run(settings, analyzer=lambda: analyzer, load=counted(load_study)))


def resident_bytes() -> int:
    """Memory of this process that is its own and in use (Linux)."""
    pages = Path("/proc/self/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


class Line:
    """One run: so many studies, so many workers."""

    def __init__(
        self,
        folder: Path,
        studies: int,
        workers: int,
        compute: float,
        urls: dict[str, Any],
        waiting: bool = False,
    ) -> None:
        self.settings = load_settings(data=folder / f"data{studies}x{workers}", log_level="WARNING", **urls)
        self.notes = folder / f"notes{studies}x{workers}.txt"
        self.notes.touch()
        self.fleet = Fleet(self.settings)
        self.fleet.submit(range(studies))
        for _ in range(workers):
            arguments = (self.settings, compute, self.notes, waiting)
            process = FORKS.Process(target=work, args=arguments, daemon=True)
            process.start()
            self.fleet.workers.append(process)
        if not self.fleet.settle(24 * 3600):
            raise SystemExit("the jobs did not end")
        self.fleet.dismiss()
        found = self.fleet.audit()
        if not found.sound or found.done != studies:
            raise SystemExit(f"not sound: {found}")

    @property
    def rows(self) -> list[list[float]]:
        """(process, processor seconds, of these in films, stages and results, bytes) after each study."""
        return [[float(word) for word in line.split()] for line in self.notes.read_text().splitlines()]

    def studies_a_second(self) -> float:
        """From the first claim to the last end."""
        with self.fleet.database.read() as session:
            times = session.query(Job.started_at, Job.finished_at).all()
        return len(times) / (max(end for _, end in times) - min(start for start, _ in times))

    def overhead(self) -> tuple[float, float]:
        """Processor time that is not reading films, stages and writing results: its share of that which is,
        and seconds a study; from each worker's second study on."""
        total = {}
        for process in {row[0] for row in self.rows}:
            mine = [row for row in self.rows if row[0] == process]
            total[process] = (mine[-1][1] - mine[0][1], mine[-1][2] - mine[0][2])
        everything = sum(cpu for cpu, _ in total.values())
        computed = sum(inside for _, inside in total.values())
        counted = len(self.rows) - len(total)
        return (everything - computed) / computed, (everything - computed) / counted

    def memory_growth(self, early: int, late: int) -> float:
        """Memory after ``late`` studies over that after ``early``, less one; of the worker that did most."""
        processes = [row[0] for row in self.rows]
        busiest = max(set(processes), key=processes.count)
        mine = [row[3] for row in self.rows if row[0] == busiest]
        return mine[min(late, len(mine)) - 1] / mine[early - 1] - 1


def main() -> int:
    """Measure and print; exit status 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=500, help="studies for overhead and memory")
    parser.add_argument("--compute", type=float, default=1.0, help="processor seconds a study")
    parser.add_argument("--ratio-studies", type=int, default=60, help="studies for one worker against two")
    parser.add_argument("--memory-compute", type=float, help="processor seconds a study in the memory run")
    parser.add_argument("--waiting", action="store_true", help="stages wait; only the ratio is measured")
    parser.add_argument("--database", help="URL; SQLite unless given")
    parser.add_argument("--broker", help="URL; files unless given")
    options = parser.parse_args()
    urls = {"database_url": options.database, "broker_url": options.broker}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(f"processors {os.cpu_count()}, load before {os.getloadavg()[0]:.1f}", flush=True)
        one = Line(folder, options.ratio_studies, 1, options.compute, urls, options.waiting)
        two = Line(folder, options.ratio_studies, 2, options.compute, urls, options.waiting)
        ratio = two.studies_a_second() / one.studies_a_second()
        alone, both = one.studies_a_second(), two.studies_a_second()
        print(f"throughput: 1 worker {alone:.2f}, 2 workers {both:.2f} studies a second, ratio {ratio:.2f}")
        if options.waiting:
            return 0 if ratio >= 1.8 else 1
        share, seconds = one.overhead()
        cost = f"{1000 * seconds:.0f} ms a study, {100 * share:.1f} % of its compute"
        print(f"queue overhead: {cost}", flush=True)
        compute = options.memory_compute or options.compute
        long = Line(folder, options.studies, 1, compute, urls)
        growth = long.memory_growth(min(50, options.studies // 2), options.studies)
        print(f"memory after {options.studies} studies: {100 * growth:+.1f} % of that after 50")
        print(f"queue overhead in that run: {1000 * long.overhead()[1]:.0f} ms a study")
    return 0 if ratio >= 1.8 and share < 0.05 and abs(growth) < 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
