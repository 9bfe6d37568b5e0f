"""``radsuite phantom``: a cohort of computed studies with its progress on the terminal."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from suite.commands.console import output, progress_bar
from suite.phantom.cohort import (
    CohortSettings,
    available_workers,
    parse_parts,
    parse_prevalence,
    write_cohort,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def make_cohort(
    out: Path,
    *,
    count: int,
    seed: int,
    size: int,
    lateral: bool,
    motion: bool,
    dicom: bool,
    parts: str,
    prevalence: tuple[str, ...],
    healthy: float | None,
    label_noise: bool,
    workers: int | None,
) -> None:
    """Make the cohort and say where it lies.

    Raises:
        SuiteError: a bad argument, or the disk refused.
    """
    settings = CohortSettings(
        seed=seed,
        size=size,
        lateral=lateral,
        motion=motion,
        dicom=dicom,
        parts=parse_parts(parts),
        prevalence=parse_prevalence(prevalence),
        healthy=healthy,
        label_noise=label_noise,
    )
    with ExitStack() as shown:
        bar: tuple[Progress, TaskID] | None = None

        def on_done(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:  # drawn once the arguments have passed all checks
                progress = shown.enter_context(progress_bar())
                bar = progress, progress.add_task("Rendering studies", total=total)
            bar[0].update(bar[1], completed=done)

        made = write_cohort(
            settings, count, out, available_workers() if workers is None else workers, on_done
        )
    kept = f" ({count - made} were there)" if made < count else ""
    output(f"{count} {'study' if count == 1 else 'studies'} in {out}{kept}, listed in {out / 'manifest.csv'}")
