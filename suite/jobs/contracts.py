"""What the job machinery asks of the parts it drives: it imports neither networks nor file readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class StoredFilms:
    """The files of one stored study, and the names by which reports and errors speak of them."""

    id: str
    frontal: Path | None
    lateral: Path | None
    frontal_name: str | None
    lateral_name: str | None
    paired_by_hand: bool


StudyLoader = Callable[[StoredFilms], Study]
"""Reads a study's pixels; raises SuiteError when a film cannot be used."""


class StudyFiles(Protocol):
    """The files of one study, paired."""

    @property
    def id(self) -> str: ...
    @property
    def frontal(self) -> Path | None: ...
    @property
    def lateral(self) -> Path | None: ...
    @property
    def paired_by_hand(self) -> bool: ...


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

    def __call__(self, inputs: Sequence[Path], /, *, lateral: Path | None = None) -> Intake: ...
