"""Who made a derived object and from what: shared by reports, segmentations and captures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

MANUFACTURER = "radsuite"
MODEL = "radsuite"
SERIAL_NUMBER = "1"

_FIRST_SERIES_NUMBER = 9000
"""High, so that results sort after the films of the study."""

SERIES = {
    "report": "radsuite: suggested findings, to be verified",
    "masks": "radsuite: masks, computed, not for diagnostic use",
    "images": "radsuite: bone images, computed, not for diagnostic use",
    "heatmaps": "radsuite: heatmaps, computed, not for diagnostic use",
    "presentation": "radsuite: contours, computed, not for diagnostic use",
    "maps": "radsuite: heatmaps as numbers, not for diagnostic use",
}
"""Kinds of series and their descriptions, in the order of their numbers."""


@dataclass(frozen=True, slots=True)
class Maker:
    """What every object made from one reading shares.

    UIDs are computed from the source's UID and the result's content, so the same result has the same UID
    whenever it is written, and another result never has it.

    Attributes:
        source: the film the results belong to, prepared by ``writing.prepared_source``.
        version: of the suite.
        weights: sha256 of the weights by stage.
        content: digest of report and pictures.
    """

    source: Dataset
    version: str
    weights: Mapping[str, str]
    content: str

    def uid(self, *parts: str) -> UID:
        """A UID for one part of the result."""
        return generate_uid(entropy_srcs=[str(self.source.SOPInstanceUID), self.content, *parts])

    def series(self, kind: str) -> dict[str, Any]:
        """Series and equipment arguments, as highdicom names them; each kind is a series of its own."""
        return {
            "series_instance_uid": self.uid("series", kind),
            "series_number": _FIRST_SERIES_NUMBER + list(SERIES).index(kind),
            "series_description": SERIES[kind],
            "manufacturer": MANUFACTURER,
        }


def digest(report: Mapping[str, Any], images: Mapping[str, Any]) -> str:
    """Of what was found, without the seconds that it took."""
    found = {key: report.get(key) for key in ("study", "gate", "triage", "findings", "measurements")}
    hashed = hashlib.sha256(json.dumps(found, sort_keys=True).encode())
    for name in sorted(images):
        hashed.update(name.encode() + images[name].tobytes())
    return hashed.hexdigest()
