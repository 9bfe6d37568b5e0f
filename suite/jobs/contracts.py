"""What the job machinery asks of the parts it drives: it imports neither networks nor file readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from suite.stages.memory import StageMemory
from suite.study import Study

Progress = Callable[[str, Literal["started", "finished"]], None]
"""Called with a stage's name when it starts and when it is finished."""


class Publish(Protocol):
    """Hands a job's id to the broker. Never raises: the sweeper repeats what could not be sent."""

    def __call__(self, job_id: str, queue: str | None = None, /) -> object:
        """``queue``: ``cpu``, ``gpu`` or ``train``; ``None`` is where this installation's readings go."""


class Reading(Protocol):
    """One study's result: the report (schema ``radsuite.report/1``) and its images."""

    @property
    def report(self) -> Mapping[str, Any]:
        """The report as it is written to ``report.json``."""

    def write(self, folder: Path) -> Path:
        """Write ``report.json`` and the images into ``folder``, whole or not at all; gives that folder."""


class Analyzer(Protocol):
    """All stages, loaded once per process."""

    @property
    def stage_keys(self) -> Mapping[str, str]:
        """For each stage a sha256 over everything its result depends on besides the study."""

    def run(
        self,
        study: Study,
        *,
        override_gate: bool | Collection[str] = False,
        on_progress: Progress | None = None,
        memory: StageMemory | None = None,
    ) -> Reading:
        """Read one study; stages that ``memory`` knows the result of are not run."""

    def run_stage(self, study: Study, name: str, memory: StageMemory) -> bool:
        """Run one stage on what ``memory`` knows; ``False`` if that is not enough."""


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
