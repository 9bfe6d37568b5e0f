"""DICOM films that were handed in through pages or interface, so that DICOMweb finds them as well."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from suite.dicom.network.archive import Archive
from suite.dicom.network.index import InstanceIndex
from suite.errors import SuiteError
from suite.file_kinds import FileKind, file_kind, read_head

_log = logging.getLogger(__name__)

ORIGIN = "upload"
"""``received_from`` of these instances."""


class HandedInFilms:
    """Keeps the films of a new study as instances; the study is there already, and is not made again."""

    def __init__(self, archive: Archive, index: InstanceIndex) -> None:
        self._archive = archive
        self._index = index

    def __call__(self, study_id: str, films: Iterable[Path]) -> None:
        """Keep what is DICOM. A film that the archive refuses is read all the same; the log says why."""
        kept = []
        for film in films:
            try:
                if file_kind(read_head(film, "film")) is not FileKind.DICOM:
                    continue
                taken = self._archive.take(film.read_bytes(), awaited=False)
                self._index.add(taken.path, taken.received.dataset, ORIGIN)
                kept.append(taken.received.instance_uid)
            except (SuiteError, OSError) as error:
                _log.warning("a film of study %s is not in DICOMweb: %s", study_id, error)
        try:
            self._index.assign(kept, study_id, only_new=True)
        except SuiteError as error:
            _log.warning("films of study %s are not in DICOMweb: %s", study_id, error)
