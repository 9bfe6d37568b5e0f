"""When a study is complete: when nothing came for it for a while. Then it is handed in as one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from suite.dicom.network.archive import Archive
from suite.dicom.network.index import InstanceIndex
from suite.dicom.network.notes import Note, no_notes
from suite.errors import SuiteError
from suite.jobs.queue import Clock
from suite.jobs.store import Store
from suite.jobs.submission import Outcome, Submission, Upload

_log = logging.getLogger(__name__)

ACTOR = "system"


class StudyCloser:
    """Hands in studies that have become quiet. Twice does no harm: the same films are one study."""

    def __init__(
        self,
        archive: Archive,
        index: InstanceIndex,
        store: Store,
        submission: Submission,
        quiet_seconds: float,
        *,
        note: Note = no_notes,
        clock: Clock = time.time,
    ) -> None:
        self._archive = archive
        self._index = index
        self._store = store
        self._submission = submission
        self._quiet_seconds = quiet_seconds
        self._note = note
        self._clock = clock

    def run_once(self) -> list[str]:
        """Hand in what is complete; gives the UIDs of those studies.

        A film that comes after its study was handed in is handed in with the whole study: what is new is
        read, what was read before is not read again.

        Raises:
            StorageError: the disk or the database refused; the studies stay waiting.
        """
        now = self._clock()
        ready = [uid for uid, when in self._archive.waiting().items() if now - when >= self._quiet_seconds]
        return [uid for uid in ready if self._close_alone(uid)]

    def _close_alone(self, study_uid: str) -> bool:
        """Hand in one study; what nobody foresaw in it does not stop the others, and it is tried again."""
        try:
            return self._close(study_uid)
        except SuiteError:
            raise
        except Exception:  # noqa: BLE001
            _log.exception("a study could not be handed in; it waits and is tried again")
            self._archive.expect(study_uid)
            return False

    def _close(self, study_uid: str) -> bool:
        seen = self._archive.waiting().get(study_uid)
        if seen is None:
            return False
        films = self._archive.films(study_uid)
        self._index.ensure(study_uid)
        outcome = self._submit(films)
        for accepted in outcome.accepted:
            self._index.assign(accepted.names, accepted.study_id)
            if accepted.is_new:
                _log.info("study %s is complete with %d films", accepted.study_id, len(accepted.names))
                self._note("study.completed", ACTOR, accepted.study_id, {"films": len(accepted.names)})
        for refused in outcome.refused:
            _log.error("instance %s was received and is not read: %s", refused.name, refused.sentence)
        return self._archive.settle(study_uid, seen)

    def _submit(self, films: Sequence[Path]) -> Outcome:
        with self._store.staging() as staging:
            uploads = []
            for film in films:
                path = staging / film.name
                try:
                    os.link(film, path)
                except FileNotFoundError:  # the study was removed meanwhile
                    continue
                uploads.append(Upload(path, film.stem))
            return self._submission.submit(staging, uploads, {}) if uploads else Outcome()
