"""Are breaks healed? A fractured computed chest beside the same patient unbroken, in film and layer alike.

A generator that has learned whole ribs may draw a whole rib over a break. What a break adds to the true layer
(the layer of the fractured patient minus that of the same patient without the break) is the pattern that is
looked for: how much of it the network's layers differ by, and how far it stands out from its surroundings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gan.pairs import AS_TRUE, BonePair, haze
from suite.datasets import phantom
from suite.datasets.manifest import FilmFile, Record
from suite.errors import DatasetError
from suite.phantom.cohort import draw_chest
from suite.phantom.cohort_settings import CohortSettings
from suite.phantom.pathology import Fracture
from suite.phantom.study import render_study
from suite.study import FloatImage
from suite.version import __version__

HEALED = 0.5
"""A break of whose contrast less than this share is left counts as healed."""

UNDISPLACED_MM, LARGE_MM = 1.3, 3.5
"""Steps up to the first are undisplaced, beyond the second large."""

SURROUNDINGS_MM = 18.0
"""How far around a break its pattern is compared with what else lies there."""

PLACES = 5
"""Places along each side of the square in which the pattern is tried."""


@dataclass(frozen=True, slots=True)
class Breaks:
    """The fractures of a computed chest, as far as figures are told apart by them.

    Attributes:
        step_mm: the largest displacement.
        callus: whether any of them is healing.
    """

    step_mm: float
    callus: bool

    @property
    def kind(self) -> str:
        """``callus``, ``undisplaced``, ``small_step`` or ``large_step``."""
        if self.callus:
            return "callus"
        if self.step_mm <= UNDISPLACED_MM:
            return "undisplaced"
        return "small_step" if self.step_mm <= LARGE_MM else "large_step"


def breaks_of(record: Record) -> Breaks:
    """The fractures of a computed chest by its ``truth.json``.

    Raises:
        DatasetError: it has none.
    """
    broken = [
        one
        for finding in phantom.read_truth(record)["findings"]
        if finding["type"] == "Fracture"
        for one in finding["breaks"]
    ]
    if not broken:
        raise DatasetError(f"{record.id}: has no fracture; ask only for fractured studies.")
    return Breaks(max(one["step_mm"] for one in broken), any(one["callus"] > 0 for one in broken))


@lru_cache(maxsize=256)
def cohort_settings(folder: Path) -> CohortSettings:
    """What a cohort was computed with, so that its patients can be computed again.

    Raises:
        DatasetError: the cohort was made by another version, or its settings are missing.
    """
    path = folder / "cohort.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: cannot be read; make the cohort again with `radsuite phantom`."
        ) from error
    if content.get("radsuite") != __version__:
        raise DatasetError(
            f"{path}: the cohort was made by version {content.get('radsuite')}, which drew other patients; "
            "make it again."
        )
    known = {field.name for field in fields(CohortSettings)}
    kept = {key: value for key, value in content.items() if key in known}
    return CohortSettings(**{**kept, "parts": tuple(kept["parts"])})


def study_folder(film: FilmFile | Path) -> Path:
    """The folder of a computed patient, whose film lies in it."""
    return (film.path if isinstance(film, FilmFile) else film).parent


@lru_cache(maxsize=64)
def unbroken_pair(film: FilmFile | Path) -> BonePair:
    """The pair of a computed patient, computed again without his or her fractures.

    Patient, other findings, exposure and noise are the same.

    Args:
        film: the patient's, whose folder tells which he or she is; the film itself is not read.

    Raises:
        DatasetError: the cohort was made by another version, or its settings are missing.
    """
    home = study_folder(film)
    settings = replace(cohort_settings(home.parent), motion=False, lateral=False)
    patient, findings = draw_chest(settings, int(json.loads((home / "truth.json").read_text())["index"]))
    whole = [finding for finding in findings if not isinstance(finding, Fracture)]
    study = render_study(patient, settings.size, whole, lateral=False)
    lungs = np.maximum(study.masks["lung_right"], study.masks["lung_left"])
    floor = haze(study.bone, study.masks["bone"] > 0)
    return BonePair(study.frontal, study.bone - floor, (lungs > 0).astype(np.uint8), AS_TRUE)


def break_scores(
    broken: BonePair, predicted: FloatImage, whole: BonePair, predicted_whole: FloatImage, spacing: float
) -> dict[str, float]:
    """How much of the breaks is left in a predicted layer.

    Args:
        broken, whole: pairs of one patient with and without fractures.
        predicted, predicted_whole: their predicted layers (H, W).
        spacing: mm per pixel.

    Returns:
        ``break_contrast``: the break's pattern in the predicted layers as a share of that in the true ones, 0
        where it was healed, 1 where nothing is lost. ``break_clarity`` (and ``true_``, ``film_``): the
        pattern's strength over the standard deviation of the same measurement at places around it without a
        break, in the predicted layer, the true one and the film. ``break_over_film``: the predicted layer's
        clarity over the film's. NaN where the breaks do not show in the true layer.
    """
    patterns = list(_patterns(broken, whole, spacing))
    change = {
        "": predicted - predicted_whole,
        "true_": broken.bone - whole.bone,
        "film_": broken.film - whole.film,
    }
    around = {"": predicted_whole, "true_": whole.bone, "film_": whole.film}
    row: dict[str, float] = {}
    for name in change:
        strengths = [_response(change[name], pattern, place) for pattern, place in patterns]
        clutters = [_clutter(around[name], pattern, place, spacing) for pattern, place in patterns]
        row[f"{name}break_contrast"] = float(np.mean(strengths)) if strengths else float("nan")
        row[f"{name}break_clarity"] = (
            float(np.mean([s / max(c, 1e-6) for s, c in zip(strengths, clutters, strict=True)]))
            if strengths
            else float("nan")
        )
    film = row["film_break_clarity"]
    row["break_over_film"] = row["break_clarity"] / film if film > 0 else float("nan")
    return {name: row[name] for name in ("break_contrast", "break_clarity", "true_break_clarity",
                                         "film_break_clarity", "break_over_film")}  # fmt: skip


Place = tuple[int, int]
Pattern = FloatImage


def _patterns(broken: BonePair, whole: BonePair, spacing: float) -> Iterator[tuple[Pattern, Place]]:
    """What each break adds to the true layer, with the upper left corner of where it lies; its mean is 0."""
    margin = max(2, round(2.0 / spacing))
    zone = cv2.dilate((broken.breaks > 0).astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8))
    count, _, boxes, _ = cv2.connectedComponentsWithStats(zone)
    added = broken.bone - whole.bone
    for left, top, columns, rows, _ in boxes[1:count]:
        part = added[top : top + rows, left : left + columns]
        pattern = part - part.mean()
        if float(np.abs(pattern).max()) > 2e-3:
            yield pattern.astype(np.float32), (int(top), int(left))


def _response(image: FloatImage, pattern: Pattern, place: Place) -> float:
    """How often ``pattern`` is contained in ``image`` at ``place``."""
    top, left = place
    rows, columns = pattern.shape
    part = image[top : top + rows, left : left + columns]
    return float((part * pattern).sum() / np.square(pattern).sum())


def _clutter(image: FloatImage, pattern: Pattern, place: Place, spacing: float) -> float:
    """Standard deviation of the pattern's response at places around its own."""
    reach = SURROUNDINGS_MM / spacing
    steps = np.linspace(-reach, reach, PLACES).round().astype(int)
    rows, columns = image.shape
    responses = []
    for down in steps:
        for across in steps:
            top, left = place[0] + int(down), place[1] + int(across)
            inside = top >= 0 and left >= 0 and top + pattern.shape[0] <= rows
            if inside and left + pattern.shape[1] <= columns:
                responses.append(_response(image, pattern, (top, left)))
    return float(np.std(responses)) if len(responses) > 1 else float("nan")


def healed(contrast: float) -> float:
    """1 where less than ``HEALED`` of a break's contrast is left, else 0; NaN where it is not known."""
    return float("nan") if np.isnan(contrast) else float(contrast < HEALED)


def healed_by_kind(breaks: Breaks, contrast: float) -> dict[str, float]:
    """``healed`` and ``healed_KIND``, and the contrast by kind; nothing where the contrast is not known."""
    gone = healed(contrast)
    if np.isnan(gone):
        return {}
    return {"healed": gone, f"healed_{breaks.kind}": gone, f"break_contrast_{breaks.kind}": contrast}
