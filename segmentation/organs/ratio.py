"""The cardiothoracic ratio from outlines, and when it must not be believed.

Widest heart over widest inner thorax, both across the film (Danzer 1919). With the SCR outlines the thorax
reaches from the right lung's outermost column to the left lung's, which is the inner border of the ribs. On
an erect PA film in deep inspiration a heart above half of the thorax is called enlarged; on an AP film the
heart lies farther from the detector and is drawn larger, and a turned patient shows another width of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.datasets.outlines import LUNGS, ORGANS
from suite.study import Mask, Projection

ROTATED = 0.05
"""Offset of the clavicles' inner ends, as a share of the thorax, beyond which a patient counts as turned.

The outlines of 98 of 100 JSRT films, all of them straight, lie within it (standard deviation 0.023)."""


UNEQUAL = 0.55
"""Area of the smaller lung over the larger's below which one is cut short, or has run out of the patient.

The least of 207 outlined JSRT films is 0.58."""


ADULT_THORAX_MM = (150.0, 450.0)
"""Width of an adult's inner thorax at the detector; outside it the spacing is not that of the film's pixels.

JSRT's 207 outlined films have 227 to 351."""


@dataclass(frozen=True, slots=True)
class HeartSize:
    """Widths in pixels of the film's columns; ``ratio`` is None where heart or a lung is not found."""

    heart_width: int
    thorax_width: int
    ratio: float | None
    rotation: float | None
    """How far the middle between the clavicles' inner ends lies from the middle of the thorax, as a share of
    the thorax's width, towards the picture's right; None without both clavicles."""
    balance: float | None
    """Area of the smaller lung over the larger's; None without both."""


def heart_size(planes: Mask) -> HeartSize:
    """Heart and thorax of five organ planes (5, H, W) in {0, 1}."""
    spans = {organ: _span(plane) for organ, plane in zip(ORGANS, planes, strict=True)}
    heart, right, left = spans["heart"], spans["right_lung"], spans["left_lung"]
    heart_width = 0 if heart is None else heart[1] - heart[0]
    if right is None or left is None:
        return HeartSize(heart_width, 0, None, None, None)
    first, last = min(right[0], left[0]), max(right[1], left[1])
    thorax = last - first
    rotation = None
    inner = spans["right_clavicle"], spans["left_clavicle"]
    if inner[0] is not None and inner[1] is not None:
        rotation = ((inner[0][1] + inner[1][0]) / 2 - (first + last) / 2) / thorax
    areas = sorted(int(planes[ORGANS.index(lung)].sum()) for lung in LUNGS)
    ratio = heart_width / thorax if heart_width else None
    return HeartSize(heart_width, thorax, ratio, rotation, areas[0] / areas[1])


def cautions(size: HeartSize, projection: Projection) -> tuple[str, ...]:
    """Why the ratio is missing, or must not be read as that of a straight PA film; one sentence each."""
    if size.ratio is None:
        what = "The heart was not found" if size.thorax_width else "Not both lungs were found"
        return (f"{what}, so there is no cardiothoracic ratio.",)
    lines = []
    if projection is Projection.AP:
        lines.append("The cardiothoracic ratio is of an AP film, which draws the heart larger than PA.")
    elif projection is not Projection.PA:
        lines.append("The cardiothoracic ratio holds for PA films, and the film does not say that it is one.")
    if size.rotation is not None and abs(size.rotation) > ROTATED:
        lines.append("The patient seems turned, so the cardiothoracic ratio may be wrong.")
    if size.balance is not None and size.balance < UNEQUAL:
        lines.append("One lung is outlined much smaller, so the cardiothoracic ratio may be wrong.")
    return tuple(lines)


def spacing_cautions(size: HeartSize, spacing: tuple[float, float] | None) -> tuple[str, ...]:
    """Whether the film's spacing makes its thorax one that no adult has, as after an export that resized it.

    Args:
        size: widths in pixels.
        spacing: (row, column) in mm at the detector; ``None`` where the film states none.
    """
    if spacing is None or not size.thorax_width:
        return ()
    width = size.thorax_width * spacing[1]
    if ADULT_THORAX_MM[0] <= width <= ADULT_THORAX_MM[1]:
        return ()
    return (
        f"By the spacing in the headers the thorax is {width:.0f} mm wide at the detector, which no adult's "
        "is: the film was probably resized and its spacing kept; do not rely on millimetres.",
    )


def _span(plane: Mask) -> tuple[int, int] | None:
    """First column of a mask (H, W) and the one after its last."""
    columns = np.flatnonzero(plane.any(axis=0))
    return (int(columns[0]), int(columns[-1]) + 1) if columns.size else None
