"""Which view a film shows, from its headers: the most specific statement wins, the vaguest comes last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.dicom.attributes import items, text
from suite.study import Projection

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_VIEW_POSITIONS = {
    "PA": Projection.PA,
    "AP": Projection.AP,
    "LL": Projection.LATERAL,
    "RL": Projection.LATERAL,
    "LAT": Projection.LATERAL,
    "LATERAL": Projection.LATERAL,
    "LLAT": Projection.LATERAL,
    "RLAT": Projection.LATERAL,
    "LLD": Projection.FRONTAL,
    "RLD": Projection.FRONTAL,
    "ANTEROPOSTERIOR": Projection.AP,
    "ANTERO-POSTERIOR": Projection.AP,
    "POSTEROANTERIOR": Projection.PA,
    "POSTERO-ANTERIOR": Projection.PA,
    "FRONTAL": Projection.FRONTAL,
}
_DECUBITUS = frozenset({"LLD", "RLD"})
_OBLIQUE = frozenset({"RLO", "LLO", "LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE"})

_VIEW_CODES = {
    # SNOMED CT and the SNOMED-RT codes it replaced, context group 4010.
    "399033003": Projection.FRONTAL,
    "399348003": Projection.AP,
    "R-10206": Projection.AP,
    "272479007": Projection.PA,
    "R-10214": Projection.PA,
    "R-40888": Projection.PA,
    "399067008": Projection.LATERAL,
    "399173006": Projection.LATERAL,
    "R-10236": Projection.LATERAL,
    "399198007": Projection.LATERAL,
    "R-10232": Projection.LATERAL,
}

_LATERAL_WORDS = re.compile(r"\b(lat(eral(is)?)?|ll|rl|seitl(ich)?|profil|profile)\b", re.IGNORECASE)
_PA_WORDS = re.compile(r"\b(pa|p\.\s?a\.?|postero-?\s?anterior)(?!\w)", re.IGNORECASE)
_AP_WORDS = re.compile(r"\b(ap|a\.\s?p\.?|antero-?\s?posterior)(?!\w)", re.IGNORECASE)
_FRONTAL_WORDS = re.compile(r"\bfrontal\b", re.IGNORECASE)

_DESCRIPTIONS = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "ImageComments",
)


@dataclass(frozen=True, slots=True)
class View:
    """The view a film shows, which attribute said so, and what is odd about it."""

    projection: Projection
    evidence: str
    warnings: tuple[str, ...] = ()


def find_view(dataset: Dataset) -> View:
    """The view by View Position, view code, patient orientation, then free-text descriptions.

    A film whose headers are silent is ``UNKNOWN``; so is an oblique, which is neither frontal nor lateral.
    """
    orientation = _orientation_warnings(dataset)
    for find in (_by_position, _by_code, _by_orientation, _by_description):
        view = find(dataset)
        if view is not None:
            return View(view.projection, view.evidence, (*view.warnings, *orientation))
    return View(Projection.UNKNOWN, "no header tells the view", orientation)


def _by_position(dataset: Dataset) -> View | None:
    position = (text(dataset, "ViewPosition") or "").upper()
    if position in _OBLIQUE:
        return View(
            Projection.UNKNOWN,
            f"ViewPosition {position}",
            (f"The film is an oblique view ({position}), neither frontal nor lateral.",),
        )
    projection = _VIEW_POSITIONS.get(position)
    if projection is None:
        return None
    warnings = ("The film was taken in lateral decubitus.",) if position in _DECUBITUS else ()
    return View(projection, f"ViewPosition {position}", warnings)


def _by_code(dataset: Dataset) -> View | None:
    for item in items(dataset, "ViewCodeSequence"):
        code, meaning = text(item, "CodeValue") or "", text(item, "CodeMeaning") or ""
        evidence = f"view code {code} ({meaning})"
        if code in _VIEW_CODES:
            return View(_VIEW_CODES[code], evidence)
        if "oblique" in meaning.lower():
            return View(
                Projection.UNKNOWN, evidence, ("The film is an oblique view, neither frontal nor lateral.",)
            )
        projection = _from_words(meaning)
        if projection is not None:
            return View(projection, evidence)
    return None


def _by_orientation(dataset: Dataset) -> View | None:
    row, column = _orientation(dataset)
    evidence = f"PatientOrientation {row}\\{column}"
    if row[:1] in ("L", "R") and column[:1] in ("F", "H"):
        return View(Projection.FRONTAL, evidence)
    if row[:1] in ("A", "P") and column[:1] in ("F", "H"):
        return View(Projection.LATERAL, evidence)
    return None


def _by_description(dataset: Dataset) -> View | None:
    for keyword in _DESCRIPTIONS:
        projection = _from_words(text(dataset, keyword) or "")
        if projection is not None:
            return View(projection, f"{keyword} {text(dataset, keyword)!r}")
    return None


def _from_words(words: str) -> Projection | None:
    """The one view a description names; ``None`` when it names none, or frontal and lateral together."""
    words = words.replace("_", " ")
    lateral = bool(_LATERAL_WORDS.search(words))
    pa, ap = bool(_PA_WORDS.search(words)), bool(_AP_WORDS.search(words))
    frontal = pa or ap or bool(_FRONTAL_WORDS.search(words))
    if lateral == frontal:
        return None
    if lateral:
        return Projection.LATERAL
    if pa != ap:
        return Projection.PA if pa else Projection.AP
    return Projection.FRONTAL


def _orientation(dataset: Dataset) -> tuple[str, str]:
    """Directions in which rows and columns run, such as ``("L", "F")``; empty where not given."""
    parts = (text(dataset, "PatientOrientation") or "").upper().split("\\")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", "")


def _orientation_warnings(dataset: Dataset) -> tuple[str, ...]:
    """The film is kept as stored; a reader must know when that is not the way it is looked at."""
    row, column = _orientation(dataset)
    found = []
    if row[:1] == "R" and column[:1] in ("F", "H"):
        found.append(
            "PatientOrientation says that the patient's right is on the picture's right: "
            "sides named here assume the opposite and would be swapped."
        )
    if column[:1] == "H":
        found.append("PatientOrientation says that the film is stored upside down.")
    if row[:1] in ("F", "H"):
        found.append("PatientOrientation says that the film is stored lying on its side.")
    return tuple(found)
