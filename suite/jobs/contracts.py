"""What the job machinery asks of the parts it drives: it imports neither networks nor file readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from suite.study import Study

Progress = Callable[[str, Literal["started", "finished"]], None]
"""Called with a stage's name when it starts and when it is finished."""

Publish = Callable[[str], None]
"""Hands a job's id to the broker. Never raises: the sweeper repeats what could not be sent."""


class Reading(Protocol):
    """One study's result: the report (schema ``radsuite.report/1``) and its images."""

    @property
    def report(self) -> Mapping[str, Any]:
        """The report as it is written to ``report.json``."""

    def write(self, folder: Path) -> Path:
        """Write ``report.json`` and the images into ``folder``, whole or not at all; gives that folder."""


class Analyzer(Protocol):
    """All stages, loaded once per process."""

    def run(
        self, study: Study, *, override_gate: bool = False, on_progress: Progress | None = None
    ) -> Reading:
        """Read one study."""


AnalyzerFactory = Callable[[], Analyzer]
StudyLoader = Callable[[Path | None, Path | None], Study]
"""Frontal and lateral file (one may be ``None``) to a study; raises SuiteError when a file cannot be used."""


class StudyFiles(Protocol):
    """The files of one study, paired."""

    @property
    def id(self) -> str: ...
    @property
    def frontal(self) -> Path | None: ...
    @property
    def lateral(self) -> Path | None: ...


class Refusal(Protocol):
    """A file that is not taken, and why."""

    @property
    def source(self) -> Any: ...
    @property
    def error(self) -> Exception: ...


class Intake(Protocol):
    """What a set of files turned out to hold."""

    @property
    def studies(self) -> Sequence[StudyFiles]: ...
    @property
    def refused(self) -> Sequence[Refusal]: ...


class Collect(Protocol):
    """Pairs files to studies (``suite.intake.collect``)."""

    def __call__(self, paths: Sequence[Path], lateral: Path | None = None) -> Intake: ...
