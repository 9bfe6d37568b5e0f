"""The DICOM objects of a finished reading: made once, kept, served and sent from there."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from suite.dicom.attributes import text
from suite.dicom.network.acceptance import is_uid
from suite.dicom.network.archive import Archive, made_folder
from suite.dicom.network.index import ORIGIN_OF_RESULTS, InstanceIndex
from suite.dicom.reading import read_dataset
from suite.dicom.reviews import VERDICTS, Review
from suite.errors import InputError
from suite.file_kinds import FileKind, file_kind, read_head
from suite.jobs.database import Database
from suite.jobs.models import Job, JobState, Study
from suite.jobs.models import Review as ReviewRow
from suite.jobs.store import Store
from suite.settings import Settings
from suite.storage import whole_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResultObjects:
    """Makes and finds the objects of readings.

    Attributes:
        database, store: where readings are.
        archive, index: where objects are put so that DICOMweb finds them.
        data: the data folder.
    """

    database: Database
    store: Store
    archive: Archive
    index: InstanceIndex
    data: Path

    def of_job(self, job_id: str) -> list[Path]:
        """The objects of a finished job, made now if they were not; empty when the films came as pictures.

        Readers' verdicts are in the report object: verdicts that came since it was made lead to a new one.

        Raises:
            InputError: there is no such finished job, or its film has no UIDs.
            StorageError: the disk or the database refused.
        """
        with self.database.read() as session:
            job = session.get(Job, job_id)
            if job is None or job.state != JobState.DONE or job.reading is None or job.study_id is None:
                raise InputError(
                    f"{job_id}: there is no finished reading of that number; wait until it is done."
                )
            study = session.get_one(Study, job.study_id)
            reading = job.reading
            reviews = _reviews(session, job_id)
        film = self.store.source(study.id, study.frontal_file)
        if film is None or file_kind(read_head(film, film.name)) is not FileKind.DICOM:
            return []
        folder = made_folder(self.data, job_id) / _version_of(reviews)
        if not folder.is_dir():
            self._make(folder, study.id, reading, film, reviews)
        return self._publish(folder, study.id)

    def _make(self, folder: Path, study_id: str, reading: str, film: Path, reviews: Sequence[Review]) -> None:
        from suite.dicom.writing import write_dicom

        report = self.store.report(study_id, reading)
        started = time.monotonic()
        pictures = self._pictures(study_id, reading, report)
        with whole_folder(folder) as temporary:
            write_dicom(report, pictures, film, temporary, reviews=reviews)
        _log.info("objects of %s made in %.1f s", study_id, time.monotonic() - started)

    def _publish(self, folder: Path, study_id: str) -> list[Path]:
        """Put objects into the archive; a second time changes nothing."""
        found = []
        for path in sorted(folder.glob("*.dcm")):
            dataset = read_dataset(path, path.name, pixels=False)
            study_uid, uid = text(dataset, "StudyInstanceUID") or "", text(dataset, "SOPInstanceUID") or ""
            if not (is_uid(study_uid) and is_uid(uid)):
                raise InputError(f"{study_id}: its film has malformed UIDs; results cannot refer to it.")
            kept = self.archive.add_result(path, study_uid, uid)
            found.append(kept)
            if self.index.add(kept, dataset, ORIGIN_OF_RESULTS):
                self.index.assign([uid], study_id)
        return found

    def _pictures(
        self, study_id: str, reading: str, report: Mapping[str, Any]
    ) -> dict[str, npt.NDArray[Any]]:
        """The reading's pictures by the names its files have."""
        names = [*(report.get("images") or {}).values(), "film.png"]
        for finding in report.get("findings") or ():
            names += [path for path in (finding.get("heatmap") or {}).values() if path]
        pictures = {}
        for relative in names:
            path = self.store.file(study_id, reading, relative)
            if path.is_file():
                picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
                if picture is not None:
                    pictures[path.stem] = picture
        return pictures


def _reviews(session: Session, job_id: str) -> tuple[Review, ...]:
    """Standing verdicts on the suggestions of a reading, oldest first."""
    rows = session.scalars(
        select(ReviewRow)
        .where(ReviewRow.job_id == job_id, ReviewRow.undone_at.is_(None), ReviewRow.verdict.in_(VERDICTS))
        .order_by(ReviewRow.created_at, ReviewRow.id)
    )
    return tuple(
        Review(row.finding, row.verdict, row.user[:64], row.created_at) for row in rows if row.finding
    )


def _version_of(reviews: Sequence[Review]) -> str:
    """A folder name that changes with the verdicts."""
    return hashlib.sha256(repr(list(reviews)).encode()).hexdigest()[:16] if reviews else "unreviewed"


def result_objects(settings: Settings, database: Database, store: Store) -> ResultObjects:
    """The objects of the settings' service."""
    archive = Archive(settings.data)
    index = InstanceIndex(database, archive, settings.data)
    return ResultObjects(database, store, archive, index, settings.data)
