"""Cohorts of computed studies: the same seed gives the same files, however many processes make them.

Study ``index`` depends on the cohort's settings and its own index only, so a cohort can grow, be continued
after an interruption, and be made in parts. A study's folder is either whole or not there.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from suite.errors import InputError, StorageError, SuiteError
from suite.phantom.cohort_settings import CohortSettings, parse_parts, parse_prevalence
from suite.phantom.folder import manifest_row, write_chest, write_limb
from suite.phantom.layout import COLUMNS
from suite.storage import whole_folder, write_text
from suite.version import __version__

__all__ = ["CohortSettings", "available_workers", "draw_chest", "parse_parts", "parse_prevalence",
           "render_chest", "write_cohort", "write_manifest", "write_study"]  # fmt: skip

if TYPE_CHECKING:
    from suite.phantom.limbs import LimbStudy
    from suite.phantom.pathology import Pathology
    from suite.phantom.patient import Patient
    from suite.phantom.study import PhantomStudy

MAX_STUDIES: Final = 1_000_000
_CHEST_STREAM, _FINDING_STREAM, _LIMB_STREAM, _NOISE_STREAM = range(4)


def draw_chest(settings: CohortSettings, index: int) -> tuple[Patient, tuple[Pathology, ...]]:
    """The patient of study ``index`` and his or her findings."""
    from suite.phantom.pathology import draw_findings
    from suite.phantom.patient import Patient

    patient = Patient.draw(_generator(settings.seed, index, _CHEST_STREAM))
    rng = _generator(settings.seed, index, _FINDING_STREAM)
    share = {} if settings.healthy is None else {"healthy": settings.healthy}
    return patient, draw_findings(rng, patient, settings.prevalence, **share)


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, index], spawn_key=(stream,)))


def render_chest(settings: CohortSettings, index: int) -> tuple[PhantomStudy, tuple[Pathology, ...]]:
    """Chest study ``index``, exposed, and the findings that were put into it."""
    from suite.phantom.study import render_study

    patient, findings = draw_chest(settings, index)
    return render_study(patient, settings.size, findings, settings.lateral, settings.motion), findings


def _noisy(settings: CohortSettings, index: int, labels: Mapping[str, int]) -> dict[str, int] | None:
    from suite.phantom.pathology import noisy_labels

    if not settings.label_noise:
        return None
    return noisy_labels(labels, _generator(settings.seed, index, _NOISE_STREAM))


def render_limb_of(settings: CohortSettings, index: int) -> LimbStudy:
    """Limb study ``index``, exposed."""
    from suite.phantom.limbs import render_limb

    seed = int(_generator(settings.seed, index, _LIMB_STREAM).integers(2**63))
    return render_limb(settings.part(index), seed, settings.size)


def write_study(settings: CohortSettings, index: int, out: Path) -> None:
    """Render study ``index`` and write its folder below ``out``, whole or not at all.

    Raises:
        StorageError: the disk refused.
    """
    name = settings.study_id(index)
    identity = {"id": name, "seed": settings.seed, "index": index, "size": settings.size,
                "dicom": settings.dicom, "radsuite": __version__}  # fmt: skip
    if settings.part(index) != "chest":
        limb = render_limb_of(settings, index)
        with whole_folder(out / name) as folder:
            write_limb(folder, limb, identity)
            if settings.dicom:
                from suite.phantom.export import Visit, write_limb_dicom

                visit = Visit(settings.uid_key(index), index + 1, name, part=limb.part)
                write_limb_dicom(folder / "dicom", limb, visit)
        return
    study, findings = render_chest(settings, index)
    with whole_folder(out / name) as folder:
        write_chest(folder, study, identity, findings, _noisy(settings, index, study.labels))
        if settings.dicom:
            from suite.phantom.export import Visit, write_chest_dicom

            visit = Visit(settings.uid_key(index), index + 1, name, study.patient.sex, study.patient.age)
            write_chest_dicom(folder / "dicom", study, visit)


def write_cohort(
    settings: CohortSettings,
    count: int,
    out: Path,
    workers: int = 1,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Make studies 0 to ``count - 1`` below ``out``, list them in ``manifest.csv``; keep finished ones.

    Args:
        workers: processes, one thread each; 1 works in this process.
        on_done: called with the number of studies that are there and ``count``, first for those found.

    Returns:
        How many studies were made now.

    Raises:
        InputError: a count outside its range, or ``out`` holds a cohort made with other settings.
        StorageError: the disk refused, or another run is writing into ``out``.
    """
    if not 1 <= count <= MAX_STUDIES:
        raise InputError(f"--n {count} is outside 1 to {MAX_STUDIES}; give another number of studies.")
    if workers < 1:
        raise InputError(f"--workers {workers} is no number of processes; give 1 or more.")
    with _only_run(out):
        _check_settings(settings, out)
        missing = [index for index in range(count) if not (out / settings.study_id(index)).is_dir()]
        done = count - len(missing)
        on_done(done, count)
        for _ in _make(settings, missing, out, workers):
            done += 1
            on_done(done, count)
        write_manifest(settings, count, out)
    return len(missing)


def _make(settings: CohortSettings, indices: list[int], out: Path, workers: int) -> Iterator[int]:
    """Make the studies and yield each index when its folder is there."""
    if workers == 1 or len(indices) <= 1:
        with threadpool_limits(1):
            for index in indices:
                write_study(settings, index, out)
                yield index
        return
    workers = min(workers, len(indices))
    # Fresh interpreters: a forked child inherits the locks of the parent's threads.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        yield from _dealt(pool, settings, indices, out, 2 * workers)
    except BrokenProcessPool as error:
        raise SuiteError(
            f"{out}: a process that renders studies was killed, perhaps for want of memory; "
            "run the command again with fewer --workers, it continues where it stopped."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _dealt(
    pool: ProcessPoolExecutor, settings: CohortSettings, indices: list[int], out: Path, held: int
) -> Iterator[int]:
    waiting = iter(indices)
    running: set[Future[int]] = set()
    while True:
        for index in waiting:
            running.add(pool.submit(_work, settings, index, out))
            if len(running) >= held:
                break
        if not running:
            return
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()


def _start_worker() -> None:
    """One thread a process; Ctrl-C is the parent's, which lets the study in hand finish."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Idle workers of a pool wait for ever when the process that feeds them is killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(settings: CohortSettings, index: int, out: Path) -> int:
    write_study(settings, index, out)
    return index


@contextmanager
def _only_run(out: Path) -> Iterator[None]:
    """Hold the folder for this run, and clear what killed runs left half-written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise StorageError(f"{out}: cannot be written to ({error.strerror}); choose another.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(f"{out}: another run is writing into it; wait for it.") from error
        for left in out.glob(".phantom-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _check_settings(settings: CohortSettings, out: Path) -> None:
    """Write ``cohort.json``, or compare with the one that is there."""
    wanted = json.loads(json.dumps({"radsuite": __version__, **asdict(settings)}))
    path = out / "cohort.json"
    if not path.exists():
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a cohort's settings; choose another folder.") from error
    different = [key for key in wanted if not isinstance(found, dict) or found.get(key) != wanted[key]]
    if different:
        raise InputError(
            f"{out}: it holds a cohort made with another {', '.join(different)}; choose another folder "
            "or repeat those settings."
        )


def write_manifest(settings: CohortSettings, count: int, out: Path) -> None:
    """Write ``manifest.csv`` of studies 0 to ``count - 1`` from their ``truth.json``."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for index in range(count):
        path = out / settings.study_id(index) / "truth.json"
        try:
            truth: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{path}: cannot be read; delete its folder and run the command again."
            ) from error
        writer.writerow(manifest_row(truth))
    write_text(out / "manifest.csv", table.getvalue())


def available_workers() -> int:
    """Processes that may run at once: the cores this process is allowed to use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
