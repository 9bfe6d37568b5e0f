"""Numbers of a film: those read off the lungs, and those that stages measured themselves."""

from __future__ import annotations

import numpy as np

from suite.report.numbers import measured_number
from suite.report.unfinished import Draft
from suite.stages.artifacts import Measured
from suite.study import Mask, Radiograph


def measurements_of(draft: Draft) -> dict[str, float | None] | None:
    """Numbers of the film: those read off the lungs, then those that stages measured themselves."""
    film = draft.study.frontal
    own = [artifact.value for artifact in draft.artifacts.values() if isinstance(artifact.value, Measured)]
    lungs = draft.artifacts.get("lung_mask")
    if film is None or (lungs is None and not own):
        return None
    measured: dict[str, float | None] = {} if lungs is None else _lung_measurements(draft, film, lungs.value)
    for each in own:
        measured |= {name: measured_number(value) for name, value in each.values.items()}
    return measured


def _lung_measurements(draft: Draft, film: Radiograph, mask: Mask) -> dict[str, float | None]:
    counts = np.bincount(mask.ravel(), minlength=256)
    right, left = int(counts[128]), int(counts[255])
    measured: dict[str, float | None] = {
        "lung_area_px": right + left,
        "right_lung_area_px": right,
        "left_lung_area_px": left,
    }
    if film.spacing is not None:
        measured["lung_area_cm2_at_detector"] = round(
            (right + left) * film.spacing[0] * film.spacing[1] / 100, 2
        )
    if "bone_subtracted" in draft.artifacts and right + left:
        bone = draft.artifacts["bone_subtracted"].value
        measured["bone_share_inside_lungs"] = round(float(bone[mask > 0].mean()), 5)
    return measured
