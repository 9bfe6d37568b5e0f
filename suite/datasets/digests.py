"""What makes the data of two trainings the same: the labelled studies, and a cohort's settings."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

from suite.datasets.manifest import Manifest, Record
from suite.errors import StorageError

COHORT_FILE = "cohort.json"
"""Settings of a computed cohort, in its folder: two cohorts of one seed have the same ids."""


def data_digest(manifest: Manifest, cohort_json: bytes | None = None) -> str:
    """SHA-256 of a data set as far as it decides what is learned; neither folders nor files are part of it.

    Args:
        manifest: its records in their order; of each the id, the patient, labels, uncertain flags and which
            films are inverted count.
        cohort_json: content of a cohort's ``cohort.json``; ``None`` where the set has none.
    """
    content = [_said_of(record) for record in manifest]
    settings = None if cohort_json is None else hashlib.sha256(cohort_json).hexdigest()
    return hashlib.sha256(json.dumps([content, settings]).encode()).hexdigest()


def _said_of(record: Record) -> list[object]:
    labels = ["" if math.isnan(label) else f"{label:g}" for label in record.labels]
    said: list[object] = [record.id, record.patient_id, labels, [int(flag) for flag in record.uncertain]]
    films = {"frontal": record.frontal, "lateral": record.lateral}
    inverted = [view for view, film in films.items() if film is not None and film.inverted]
    return [*said, inverted] if inverted else said  # digests of sets without such films are of old


def cohort_settings(folder: Path) -> bytes | None:
    """Content of the ``cohort.json`` in ``folder``, if there is one.

    Raises:
        StorageError: it cannot be read.
    """
    path = folder / COHORT_FILE
    if not path.is_file():
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error}); check its permissions.") from error


def data_digests(sources: Mapping[str, Path], manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """``data_digest`` of each set by name: ``manifests`` are what the folders ``sources`` hold."""
    return {name: data_digest(manifests[name], cohort_settings(sources[name])) for name in sorted(manifests)}
