"""Earlier studies of the same patient, found by what the films' own headers say.

Names and numbers of patients are not kept in the tables, so the headers are asked: PatientID together with
the birth date. Pictures without a header have no patient, and so no prior.
"""

from __future__ import annotations

import datetime
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from sqlalchemy import exists, select

from suite.dicom.attributes import text
from suite.dicom.reading import read_dataset
from suite.errors import SuiteError
from suite.jobs.database import Database
from suite.jobs.models import Job, JobState, Study
from suite.jobs.store import Store

MOST_STUDIES = 500
"""So many of the latest studies are looked through."""

_MOST_HEADERS = 5000
_HEADER_LENGTH = 132


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose film a study's frontal is and when it was taken; ``taken`` is the header's date and time."""

    patient: tuple[str, str]
    taken: str


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study. ``date`` is the study's own, as in ``2024-03-01``."""

    study_id: str
    date: str


class Headers:
    """Remembers whose film a file is: a stored film never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, Visit | None] = OrderedDict()
        self._lock = Lock()

    def visit(self, path: Path) -> Visit | None:
        """Whose film this is; ``None`` for pictures and for headers without a patient or a date."""
        with self._lock:
            if path in self._known:
                return self._known[path]
        found = _visit(path)
        with self._lock:
            self._known[path] = found
            while len(self._known) > _MOST_HEADERS:
                self._known.popitem(last=False)
        return found


class Priors:
    """Finds earlier studies of the same patient."""

    def __init__(self, database: Database, store: Store, headers: Headers) -> None:
        self._database = database
        self._store = store
        self._headers = headers

    def of(self, study_id: str) -> list[Prior]:
        """Earlier studies with a reading, the latest first."""
        with self._database.read() as session:
            study = session.get(Study, study_id)
            here = study and self._visit(study.id, study.frontal_file)
            if not here:
                return []
            is_read = exists().where(Job.study_id == Study.id, Job.state == JobState.DONE.value)
            others = session.execute(
                select(Study.id, Study.frontal_file)
                .where(Study.id != study_id, Study.frontal_file.is_not(None), is_read)
                .order_by(Study.created_at.desc())
                .limit(MOST_STUDIES)
            ).all()
        visits = [(other, self._visit(other, file)) for other, file in others]
        earlier = [
            (visit.taken, other)
            for other, visit in visits
            if visit and visit.patient == here.patient and visit.taken < here.taken
        ]
        return [Prior(other, _date(taken)) for taken, other in sorted(earlier, reverse=True)]

    def _visit(self, study_id: str, file: str | None) -> Visit | None:
        try:
            path = self._store.source(study_id, file)
        except SuiteError:  # one film that is lost must not hide the others
            return None
        return self._headers.visit(path) if path else None


def _visit(path: Path) -> Visit | None:
    try:
        with path.open("rb") as stream:
            if stream.read(_HEADER_LENGTH)[-4:] != b"DICM":
                return None
        dataset = read_dataset(path, path.name, pixels=False)
    except (OSError, SuiteError):
        return None
    patient, date = text(dataset, "PatientID"), text(dataset, "StudyDate")
    if not patient or not date or len(date) != 8 or not date.isdecimal():
        return None
    return Visit(
        (patient, text(dataset, "PatientBirthDate") or ""), date + (text(dataset, "StudyTime") or "")
    )


def _date(taken: str) -> str:
    try:
        return datetime.date(int(taken[:4]), int(taken[4:6]), int(taken[6:8])).isoformat()
    except ValueError:
        return taken[:8]
