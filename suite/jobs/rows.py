"""Rows that describe files: the views of a study as their headers tell, the files of a finished reading."""

from __future__ import annotations

import hashlib
import mimetypes
import zlib
from pathlib import Path

import pydicom

from suite.dicom.attributes import MALFORMED, integer, parser_silenced, text
from suite.jobs.models import Artifact, View

_TAGS = ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "ViewPosition", "Rows", "Columns"]


def view_row(study_id: str, role: str, file: str, path: Path) -> View:
    """A film's row; what a picture file cannot tell stays empty."""
    row = View(study_id=study_id, role=role, file=file)
    try:
        with parser_silenced():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    except (*MALFORMED, OSError, RuntimeError, RecursionError, zlib.error):
        return row
    row.sop_instance_uid = _uid(text(header, "SOPInstanceUID"))
    row.series_instance_uid = _uid(text(header, "SeriesInstanceUID"))
    row.study_instance_uid = _uid(text(header, "StudyInstanceUID"))
    row.projection = (text(header, "ViewPosition") or "")[:16] or None
    row.rows, row.columns = integer(header, "Rows"), integer(header, "Columns")
    return row


def artifact_rows(study_id: str, job_id: str, folder: Path, now: float) -> list[Artifact]:
    """One row for each file of a reading's folder."""
    rows = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            relative = path.relative_to(folder).as_posix()
            rows.append(
                Artifact(
                    study_id=study_id,
                    job_id=job_id,
                    name=relative[:128],
                    path=relative[:255],
                    sha256=digest,
                    bytes=path.stat().st_size,
                    media_type=_media_type(path),
                    created_at=now,
                )
            )
    return rows


def _media_type(path: Path) -> str:
    if path.suffix == ".dcm":
        return "application/dicom"
    return mimetypes.types_map.get(path.suffix, "application/octet-stream")


def _uid(value: str | None) -> str | None:
    """A UID as it may stand in a row; one that breaks the standard's 64 characters does not."""
    return value if value is not None and len(value) <= 64 else None
