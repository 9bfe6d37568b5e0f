"""From files that were handed in to studies with a job each."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from suite import intake
from suite.errors import StorageError, SuiteError
from suite.jobs.contracts import Collect, Intake, StudyFiles
from suite.jobs.database import Database
from suite.jobs.display_ids import PATTERN, new_display_id
from suite.jobs.models import QueueName, Study
from suite.jobs.queue import Clock
from suite.jobs.requests import add_job
from suite.jobs.rows import view_row
from suite.jobs.store import Store

MAX_ID_LENGTH = 120
"""Leaves room for a number behind an id that is taken."""

MOST_LOST_RACES = 20
"""Refused rows after which it is not another upload that was faster, but the database that does not fit."""

NameStudy = Callable[[StudyFiles], str]
"""Gives a new study its id, which stands in addresses, folders and logs."""

KeepFilms = Callable[[str, Sequence[Path]], None]
"""Told of a study's id and its films once they were taken; does not fail."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as it lies in the staging folder, and the name it came with."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A study that was taken; ``is_new`` is false when the very same films were handed in before."""

    study_id: str
    names: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not taken, by its own name, and the sentence saying why and what now."""

    name: str
    sentence: str


@dataclass(slots=True)
class Outcome:
    """What became of every file of one upload."""

    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def pseudonym(_files: StudyFiles) -> str:
    """An id drawn by lot (:mod:`suite.jobs.display_ids`): a film's file name may be its patient's name."""
    return new_display_id()


def file_name(files: StudyFiles) -> str:
    """The intake's own id, from the film's file name: where that name is a UID, or names nobody."""
    return files.id


class Submission:
    """Takes uploads: pairs files to studies, stores them, asks for a reading, tells the broker.

    A study's id is a pseudonym unless ``name`` says otherwise; the names that files came with are kept with
    the study, for people to read and for ``source`` in the report.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        publish: Callable[[str], object],
        *,
        collect: Collect = intake.collect,
        clock: Clock = time.time,
        queue: QueueName = QueueName.CPU,
        name: NameStudy = pseudonym,
        keep: KeepFilms | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._publish = publish
        self._collect = collect
        self._clock = clock
        self._queue = queue
        self._name = name
        self._keep = keep

    def submit(self, staging: Path, uploads: Sequence[Upload], laterals: Mapping[int, Upload]) -> Outcome:
        """Take the files of one upload; a bad one does not stop the rest.

        Args:
            staging: folder from :meth:`Store.staging` in which all files lie.
            uploads: the files; DICOM views of one study find each other by their headers.
            laterals: for a picture at this index of ``uploads``, the file that is its lateral.

        Raises:
            StorageError: the disk or the database refused.
        """
        outcome = Outcome()
        names = {upload.path: upload.name for upload in (*uploads, *laterals.values())}
        alone = [upload.path for index, upload in enumerate(uploads) if index not in laterals]
        groups: list[tuple[list[Path], Path | None]] = [(alone, None)] if alone else []
        groups += [
            ([uploads[index].path], lateral.path)
            for index, lateral in laterals.items()
            if index < len(uploads)
        ]
        for paths, lateral in groups:
            found = self._look(paths, lateral, names, outcome)
            for files in found.studies if found else ():
                accepted = self._take(staging, files, names)
                outcome.accepted.append(accepted)
                if self._keep is not None:
                    self._keep(accepted.study_id, [film for film in (files.frontal, files.lateral) if film])
        return outcome

    def _look(
        self, paths: list[Path], lateral: Path | None, names: Mapping[Path, str], outcome: Outcome
    ) -> Intake | None:
        try:
            found = self._collect(paths, lateral=lateral)
        except SuiteError as error:
            self._refuse_pair(paths, lateral, str(error), names, outcome)
            return None
        for refusal in found.refused:
            name = names.get(Path(str(refusal.source)), Path(str(refusal.source)).name)
            outcome.refused.append(Refused(name, _with_names(str(refusal.error), names)))
        return found

    def _refuse_pair(
        self,
        paths: list[Path],
        lateral: Path | None,
        sentence: str,
        names: Mapping[Path, str],
        outcome: Outcome,
    ) -> None:
        """Find out which film of a pair is at fault; the other one is not read unasked."""
        given = [*paths, *([lateral] if lateral else [])]
        faults = {Path(refusal.source): str(refusal.error) for refusal in self._collect(given).refused}
        for path in given:
            alone = f"{names[path]}: the film paired with it was refused; hand this one in alone."
            outcome.refused.append(
                Refused(names[path], _with_names(faults.get(path, alone if faults else sentence), names))
            )

    def _take(self, staging: Path, files: StudyFiles, names: Mapping[Path, str]) -> Accepted:
        films = {
            view: path for view, path in (("frontal", files.frontal), ("lateral", files.lateral)) if path
        }
        shown = {view: names.get(path, path.name)[:255] for view, path in films.items()}
        digest = _content_sha256(films)
        folder, stored = self._store.stage_study(staging, films)
        lost = 0
        for study_id in _candidates(self._name(files)):
            try:
                with self._database.write() as session:
                    known = session.scalars(select(Study).where(Study.content_sha256 == digest)).one_or_none()
                    if known is not None:
                        return Accepted(known.id, tuple(shown.values()), is_new=False)
                    if session.get(Study, study_id) is not None:
                        continue
                    session.add(self._row(study_id, digest, stored, shown, files.paired_by_hand))
                    session.flush()
                    for view, path in films.items():
                        session.add(view_row(study_id, view, stored[view], path))
                    self._store.adopt(folder, study_id)
                    job_id = add_job(session, study_id, self._clock(), queue=self._queue)
            except IntegrityError as error:
                # another upload was faster with this id or these films: look again, but not for ever, since a
                # database of another version refuses every row
                lost += 1
                if lost == MOST_LOST_RACES:
                    raise StorageError(
                        f"the database refuses the study ({error.orig}); check with `radsuite doctor` "
                        "that it is of this version."
                    ) from error
                continue
            self._publish(job_id)
            return Accepted(study_id, tuple(shown.values()), is_new=True)
        raise AssertionError("candidates never end")

    def _row(
        self,
        study_id: str,
        digest: str,
        stored: Mapping[str, str],
        shown: Mapping[str, str],
        paired_by_hand: bool,
    ) -> Study:
        shown_id = study_id if PATTERN.fullmatch(study_id) else new_display_id()
        return Study(
            id=study_id,
            display_id=shown_id,
            content_sha256=digest,
            frontal_file=stored.get("frontal"),
            lateral_file=stored.get("lateral"),
            frontal_name=shown.get("frontal"),
            lateral_name=shown.get("lateral"),
            paired_by_hand=paired_by_hand,
            created_at=self._clock(),
        )


def _candidates(study_id: str) -> Iterator[str]:
    """The id itself, then with a number behind it."""
    base = study_id[:MAX_ID_LENGTH]
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))


def _content_sha256(films: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for view in sorted(films):
        with films[view].open("rb") as stream:
            digest.update(f"{view}:{hashlib.file_digest(stream, 'sha256').hexdigest()};".encode())
    return digest.hexdigest()


def _with_names(sentence: str, names: Mapping[Path, str]) -> str:
    for path, name in names.items():
        sentence = sentence.replace(str(path), name)
    return sentence
