"""``radsuite demo``: computed patients, read from scratch, shown as a table and in the browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.commands.analysis import table_of
from suite.commands.console import output, progress_bar
from suite.commands.serving import serve_with
from suite.errors import InputError, StageError
from suite.findings import NAMES
from suite.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from suite.analysis import Analyzer
    from suite.reading import Reading
    from suite.stages.memory import StageMemory
    from suite.study import Study

MARKER = ".radsuite-demo"
SIZE = 1024
CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("healthy", ()),
    ("effusion", ("pleural_effusion",)),
    ("consolidation", ("consolidation",)),
    ("pneumothorax", ("pneumothorax",)),
    ("fracture", ("fracture",)),
    ("cardiomegaly", ("cardiomegaly", "edema")),
    ("mass", ("lung_lesion",)),
    ("devices", ("support_devices", "atelectasis")),
)
"""Name and findings of the computed patients, in the order in which they come."""


@dataclass(frozen=True, slots=True)
class Case:
    """One computed patient: its films as DICOM files, and what was put into it."""

    name: str
    films: tuple[Path, ...]
    findings: tuple[str, ...]


def run_demo(data: Path, count: int, seed: int, *, host: str | None, port: int | None, serve: bool) -> int:
    """Compute, read, print, serve.

    Returns:
        Exit status: that of the service, or 0 after the table.

    Raises:
        InputError: the folder holds something that is not an earlier demonstration.
        StageError: a study could not be read.
    """
    settings = load_settings(data=data, host=host, port=port, sign_in=True)
    _fresh_folder(data)
    with progress_bar() as progress:
        cases = _compute(data / "films", count, seed, progress)
        reports = _read(settings, cases, progress)
    truth = {case.name: ", ".join(NAMES[code] for code in case.findings) or "nothing" for case in cases}
    output(table_of(reports, extra=("Computed with", lambda report: truth[report["study"]["id"]])))
    output(
        "Computed patients, not real ones; the networks learned from real films.\n"
        "Research software, not a medical device."
    )
    if not serve:
        return 0
    output("The link lets you in once, on this computer; make users on the page People to come again.")
    return serve_with(settings, one_time_path(settings))


def one_time_path(settings: Settings) -> str:
    """The path of a link that lets its first visitor in as the administrator ``demo``."""
    from suite.accounts.links import OneTimeLinks
    from suite.accounts.principal import Role
    from suite.accounts.users import Users
    from suite.jobs.database import Database

    database = Database(settings)
    try:
        Users(database, time.time).create("demo", Role.ADMIN)
        return f"enter/{OneTimeLinks(database, time.time).create('demo')}"
    finally:
        database.close()


def _fresh_folder(data: Path) -> None:
    """An empty data folder with the demonstration's mark; an earlier demonstration is removed."""
    if data.exists():
        if not (data / MARKER).exists() and (not data.is_dir() or any(data.iterdir())):
            raise InputError(
                f"{data}: exists and is no earlier demonstration; give another folder with --data."
            )
        shutil.rmtree(data)
    data.mkdir(parents=True)
    (data / MARKER).touch()


def _compute(folder: Path, count: int, seed: int, progress: Progress) -> list[Case]:
    from suite.phantom import render_study
    from suite.phantom.export import Visit, write_chest_dicom

    task = progress.add_task("Computing patients", total=count)
    cases = []
    for index in range(count):
        name, findings = CASES[index % len(CASES)]
        name = f"{name}-{index + 1}"
        study = render_study(seed * 1000 + index, size=SIZE, findings=list(findings))
        visit = Visit(
            f"demo:{seed}:{index}", index + 1, name, sex=study.patient.sex, age=round(study.patient.age)
        )
        cases.append(Case(name, tuple(write_chest_dicom(folder, study, visit)), findings))
        progress.advance(task)
    return cases


def _read(settings: Settings, cases: Sequence[Case], progress: Progress) -> list[dict[str, Any]]:
    """Hand the films in and work on the jobs here, exactly as the service would."""
    from suite.analysis import Analyzer
    from suite.jobs.database import Database, migrate
    from suite.jobs.store import open_store
    from suite.jobs.submission import Submission, file_name

    task = progress.add_task("Loading networks", total=None)
    analyzer = Analyzer(settings.stages, settings.device, calibration=settings.calibration)
    progress.update(task, total=len(cases) * len(analyzer.stages), completed=0, description="Reading")
    migrate(settings)
    database, store = Database(settings), open_store(settings)
    waiting: list[str] = []
    submission = Submission(database, store, waiting.append, name=file_name)
    watched = _Watched(analyzer, lambda: progress.advance(task))
    runner = _runner(settings, database, store, watched)
    for case in cases:
        progress.update(task, description=f"Reading {case.name}")
        _submit(submission, store, case)
        while waiting:
            runner(waiting.pop())
    database.close()
    if len(watched.reports) != len(cases):
        raise StageError(
            f"only {len(watched.reports)} of {len(cases)} studies were read; see the messages above, "
            "or run radsuite doctor."
        )
    return watched.reports


class _Watched:
    """An analyzer that tells of each finished stage and keeps the reports for the table."""

    def __init__(self, analyzer: Analyzer, advance: Callable[[], None]) -> None:
        self._analyzer = analyzer
        self._advance = advance
        self.reports: list[dict[str, Any]] = []
        self.stage_keys = analyzer.stage_keys

    def run_stage(self, study: Study, name: str, memory: StageMemory) -> bool:
        return self._analyzer.run_stage(study, name, memory)

    def run(
        self,
        study: Study,
        *,
        override_gate: bool | Collection[str] = False,
        on_progress: Callable[[str, Any], None] | None = None,
        memory: StageMemory | None = None,
    ) -> Reading:
        def both(stage: str, state: str) -> None:
            if on_progress is not None:
                on_progress(stage, state)
            if state == "finished":
                self._advance()

        reading = self._analyzer.run(study, override_gate=override_gate, on_progress=both, memory=memory)
        self.reports.append(dict(reading.report))
        return reading


def _runner(settings: Settings, database: Any, store: Any, analyzer: _Watched) -> Callable[[str], None]:
    from suite.jobs.execution import JobRunner
    from suite.jobs.identity import WorkerIdentity
    from suite.jobs.queue import JobQueue
    from suite.jobs.worker import load_study

    queue = JobQueue(database, settings, time.time)
    identity = WorkerIdentity.of_this_process()
    runner = JobRunner(database, queue, store, settings, identity, analyzer=lambda: analyzer, load=load_study)
    return runner.run


def _submit(submission: Any, store: Any, case: Case) -> None:
    from suite.jobs.submission import Upload

    with store.staging() as staging:
        uploads = []
        for film in case.films:
            copy = shutil.copy2(film, staging / film.name)
            uploads.append(Upload(Path(copy), film.name))
        submission.submit(staging, uploads, {})
