"""The table of instances, which QIDO-RS searches: derived from the archive's files, made again from them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from suite.dicom.attributes import MALFORMED, parser_silenced, text
from suite.dicom.network.acceptance import content_sha256
from suite.dicom.network.archive import Archive
from suite.dicom.reading import read_dataset
from suite.errors import InputError
from suite.jobs.database import Database
from suite.jobs.models import Instance
from suite.jobs.queue import Clock

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_log = logging.getLogger(__name__)

MAX_VALUE_BYTES = 65_536
"""Longer values are left out of the table; they stay in the file and in its metadata."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

ORIGIN_OF_RESULTS = "radsuite"
"""``received_from`` of objects this suite made itself."""


class InstanceIndex:
    """Writes the rows of :class:`suite.jobs.models.Instance`."""

    def __init__(self, database: Database, archive: Archive, data: Path, clock: Clock = time.time) -> None:
        self._database = database
        self._archive = archive
        self._data = data
        self._clock = clock

    def add(self, path: Path, dataset: Dataset, sender: str | None) -> bool:
        """Note one instance of the archive; false when it was noted before.

        Raises:
            StorageError: the database refused.
        """
        row = self._row(path, dataset, sender)
        try:
            with self._database.write() as session:
                if session.get(Instance, row.sop_instance_uid) is not None:
                    return False
                session.add(row)
        except IntegrityError:  # another process was faster
            return False
        return True

    def ensure(self, study_uid: str) -> None:
        """Note those instances of a study that have no row, after a crash or an outage of the database."""
        with self._database.read() as session:
            known = set(
                session.scalars(
                    select(Instance.sop_instance_uid).where(Instance.study_instance_uid == study_uid)
                )
            )
        for origin, paths in (
            (None, self._archive.films(study_uid)),
            (ORIGIN_OF_RESULTS, self._archive.results(study_uid)),
        ):
            for path in paths:
                if path.stem not in known:
                    self._add_again(path, origin)

    def assign(self, instance_uids: Iterable[str], study_id: str, *, only_new: bool = False) -> None:
        """Note which study of the service instances became part of; with ``only_new``, of those in none."""
        chosen = update(Instance).where(Instance.sop_instance_uid.in_(list(instance_uids)))
        if only_new:
            chosen = chosen.where(Instance.study_id.is_(None))
        with self._database.write() as session:
            session.execute(chosen.values(study_id=study_id))

    def study_of(self, instance_uid: str) -> str | None:
        """The study of the service that an instance became part of."""
        with self._database.read() as session:
            return session.scalar(select(Instance.study_id).where(Instance.sop_instance_uid == instance_uid))

    def _add_again(self, path: Path, origin: str | None) -> None:
        try:
            self.add(path, read_dataset(path, path.name, pixels=False), origin)
        except InputError as error:
            _log.error("an instance of the archive cannot be read again: %s", error)

    def _row(self, path: Path, dataset: Dataset, sender: str | None) -> Instance:
        meta = getattr(dataset, "file_meta", None)
        syntax = (text(meta, "TransferSyntaxUID") if meta is not None else None) or "1.2.840.10008.1.2"
        return Instance(
            sop_instance_uid=text(dataset, "SOPInstanceUID"),
            study_instance_uid=text(dataset, "StudyInstanceUID"),
            series_instance_uid=text(dataset, "SeriesInstanceUID"),
            sop_class_uid=text(dataset, "SOPClassUID"),
            transfer_syntax_uid=syntax,
            file=path.relative_to(self._data).as_posix(),
            sha256=content_sha256(path, syntax),
            bytes=path.stat().st_size,
            received_at=self._clock(),
            received_from=sender[:255] if sender else None,
            attributes=attributes_of(dataset),
        )


def attributes_of(dataset: Dataset) -> dict[str, Any]:
    """A data set in the DICOM JSON model (PS3.18 F) without binary, private, long and malformed elements."""
    found: dict[str, Any] = {}
    with parser_silenced():
        for tag in sorted(dataset.keys()):
            if tag.is_private or tag.element == 0:
                continue
            value = _as_json(dataset, tag)
            if value is not None:
                found[f"{tag:08X}"] = value
    return found


def _as_json(dataset: Dataset, tag: Any) -> Mapping[str, Any] | None:
    raw = dataset.get_item(tag)
    length = getattr(raw, "length", 0)
    if isinstance(length, int) and MAX_VALUE_BYTES < length != 0xFFFFFFFF:
        return None
    try:
        element = dataset[tag]
        if element.VR in _BINARY:
            return None
        text_form = json.dumps(element.to_json_dict(None, MAX_VALUE_BYTES), allow_nan=False)
        if len(text_form) > MAX_VALUE_BYTES:
            return None
        converted: dict[str, Any] = json.loads(text_form.replace("\\u0000", ""))
    except (*MALFORMED, RuntimeError, RecursionError):
        return None
    return converted
