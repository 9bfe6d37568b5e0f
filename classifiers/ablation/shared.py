"""Several processes at one ablation: each takes a network that nobody is at, until all are finished.

A network is taken by a lock on a file in its folder, which the kernel takes back when the process ends,
however it ends: what a dead one was at is free at once. No process waits for a certain other one, so a lone
one does everything itself. The folder of the results is on one machine, or on a file system that has locks.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from classifiers.ablation.plan import Variant
from classifiers.ablation.processes import run_all
from classifiers.ablation.runs import Outcome, Plan, Run
from suite.errors import StorageError
from suite.storage import make_folder

WAIT_SECONDS = 2.0
"""Between two looks at networks that others are at."""

LOCK = "taken.lock"
FILMS_LOCK = "films.lock"


@contextmanager
def taken(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock ``path`` is this block's own; ``wait``: until it is.

    Raises:
        StorageError: the file cannot be made, or its file system has no locks.
    """
    make_folder(path.parent)
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        mine = _locked(descriptor, wait)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise StorageError(
            f"{path}: cannot be locked ({error.strerror}); leave --shared out, or "
            "take a folder of this machine."
        ) from error
    try:
        yield mine
    finally:
        os.close(descriptor)


def _locked(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def missing(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """Those of ``runs`` that are not finished."""
    return [run for run in runs if not run.predictions(plan.out).is_file()]


def run_shared(
    plan: Plan, variants: Sequence[Variant], runs: Sequence[Run], key: str, *, one: bool
) -> Iterator[Outcome | None]:
    """Train what of ``runs`` nobody is at, and wait until all are finished.

    Args:
        plan: what all runs have in common.
        variants: the configurations that the films serve.
        runs: the networks of the ablation.
        key: of the decoded films.
        one: end after one network, and where none is free.

    Yields:
        the outcome of each network that was trained here; ``None`` when others have finished some.
    """
    left = missing(plan, runs)
    while left:
        outcome = _first_free(plan, variants, left, key)
        before, left = len(left), missing(plan, left)
        if outcome is not None:
            yield outcome
        if one:
            return
        if outcome is None and len(left) < before:
            yield None
        elif outcome is None:
            time.sleep(WAIT_SECONDS)


def _first_free(plan: Plan, variants: Sequence[Variant], runs: Sequence[Run], key: str) -> Outcome | None:
    """Train the first of ``runs`` that nobody is at; ``None`` where there is none."""
    for run in runs:
        with taken(run.folder(plan.out) / LOCK) as mine:
            if mine and missing(plan, [run]):
                [outcome] = run_all(plan, variants, [run], key, 1)
                return outcome
    return None
