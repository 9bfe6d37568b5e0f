"""False-positive control of soft tissue: a pixel is soft tissue only where the network is sure enough.

The paper's section 5.3: after scatter correction, a bone pixel taken for soft tissue costs more than a soft
pixel missed. Thresholds belong to a body part and are chosen on films that were not learned from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from segmentation.tissues.network import CLASSES
from segmentation.tissues.pixels import BINS, PixelCounts
from suite.study import FloatImage, Mask

SOFT = CLASSES.index("soft_tissue")

PARTS = {
    "THORAX": "CHEST",
    "RIB": "CHEST",
    "FINGER": "HAND",
    "THUMB": "HAND",
    "TOE": "FOOT",
    "HEEL": "FOOT",
    "PATELLA": "KNEE",
    "HIP": "PELVIS",
    "CLAVICLE": "SHOULDER",
    "SCAPULA": "SHOULDER",
}
"""Defined Terms of Body Part Examined (DICOM PS3.16 annex L) for a piece of a part that may have a threshold.
Parts by their own names, such as CHEST or HAND, are not repeated here."""


def threshold_for(body_part: str, thresholds: Mapping[str, float]) -> tuple[str, float] | None:
    """The part of a card that a header names, and its threshold; ``None`` where it names none of them.

    Args:
        body_part: Body Part Examined as the header has it; only whole terms count, however they are written.
        thresholds: of soft tissue by body part, from a model card.
    """
    own = {_term(part): part for part in thresholds}
    term = _term(body_part)
    part = own.get(term) or own.get(PARTS.get(term, ""))
    return None if part is None else (part, float(thresholds[part]))


def _term(words: str) -> str:
    return re.sub(r"[^A-Z]", "", words.upper())


def called(probabilities: FloatImage, soft_threshold: float = 0.0) -> Mask:
    """The class of each pixel (H, W): the most probable; soft tissue only from ``soft_threshold`` on.

    Where soft tissue is most probable but not sure enough, the likelier of open beam and bone is given.

    Args:
        probabilities: (3, H, W), adding up to 1.
        soft_threshold: 0 (and anything up to 1/3) changes nothing.
    """
    unsure = probabilities[SOFT] < soft_threshold
    others = np.where(probabilities[2] > probabilities[0], 2, 0)
    return np.where(unsure, others, probabilities.argmax(axis=0)).astype(np.uint8)


def soft_thresholds(films: PixelCounts, parts: Sequence[str], precision: float) -> dict[str, float]:
    """For each body part the lowest threshold at which ``precision`` of what is called soft tissue is.

    Args:
        films: counts of N films.
        parts: the body part of each.
        precision: what is aimed at. Where no threshold reaches it, the one that comes closest is given.
    """
    names = np.asarray(parts)
    return {
        str(part): _threshold(films.total(np.flatnonzero(names == part)), precision)
        for part in sorted(set(parts))
    }


def _threshold(total: PixelCounts, precision: float) -> float:
    called = total.confidence[SOFT][::-1].cumsum()[::-1]
    right = total.correct[SOFT][::-1].cumsum()[::-1]
    kept = np.flatnonzero(called > 0)
    if not kept.size:
        return 0.0
    reached = right[kept] / called[kept]
    enough = np.flatnonzero(reached >= precision)
    step = kept[enough[0]] if enough.size else kept[int(np.argmax(reached))]
    return 0.0 if step == kept[0] else float(step / BINS)
