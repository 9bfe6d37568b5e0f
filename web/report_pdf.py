"""The PDF of a written report, with film and networks of the reading that it names."""

from __future__ import annotations

from suite.jobs.catalogue import StudyView
from suite.records.written_views import WrittenView
from suite.report.document import Cover, write_pdf
from web import pixels
from web.readings import latest_reading, reading_of

PICTURE_PIXELS = 720
"""Longest side of the film in the PDF."""

_JUDGED = ("triage", "diagnosis")
"""Networks whose suggestions a reader judges."""


def report_pdf(study: StudyView, written: WrittenView) -> bytes:
    """The document. Film and networks are those of the reading that was in front of whoever wrote.

    Where that is not known, the film is the latest reading's, and no network is claimed.

    Raises:
        StorageError: the fonts are not installed, or the reading cannot be fetched.
    """
    named = reading_of(written.job_id)
    shown = named or latest_reading(study)
    report = shown.report() if shown is not None else {}
    film = pixels.small_film(shown, report, PICTURE_PIXELS) if shown is not None else None
    models = [
        (stage["name"], stage["weights_sha256"])
        for stage in (report["provenance"]["stages"] if named is not None else ())
        if stage["name"] in _JUDGED and stage["weights_sha256"]
    ]
    read_at = named.finished_at if named is not None else None
    return write_pdf(written, Cover(study.display_id, study.created_at, film, models, read_at))
