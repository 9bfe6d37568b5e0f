"""Heatmaps that lie where no finding is: in a corner, on a side marker, beside the patient, or in the belly.

A network that has learned the hospital's lettering or the film's edge shows it here. A map is flagged when
more than half of what exceeds the level of its regions lies in such a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from suite.study import FloatImage, Mask

Places = npt.NDArray[np.bool_]

CORNER = 1 / 8
"""Side of a corner, in shares of the film's; the four are a sixteenth of the film."""

BELOW = 1 / 3
"""From how far below the lowest of the visible lungs nothing of the chest is left, in shares of their height.

Fluid, and lung behind the diaphragm, lie below the visible lungs too, but not as far.
"""

SHARE = 0.5
"""Of a map's mass, from which it is flagged."""

_SIDE = 256
_AIR = 0.06
"""What counts as open beam, in shares of the film's range of greys."""

_WHITE = 0.95
_MARKER_AREA = (1e-4, 0.01)
_MARKER_SIDE = 0.15
_MARKER_CONTRAST = 0.25
_ON_BODY_ONLY = frozenset({"support_devices"})
"""Findings that are bright objects themselves, which look like markers and lie in the belly too."""

_MESSAGES = {
    "corner": "lies in a corner of the film",
    "marker": "lies on a side marker or lettering",
    "outside_body": "lies beside the patient",
    "below_lungs": "lies far below the lungs",
}


@dataclass(frozen=True, slots=True)
class Terrain:
    """What lies where on a film, on a coarse grid (h, w) of it.

    Attributes:
        corners, markers, outside, below: true where a map has nothing to point at.
    """

    corners: Places
    markers: Places
    outside: Places
    below: Places

    @classmethod
    def of(cls, film: FloatImage, lungs: Mask | None = None) -> Terrain:
        """From a film (H, W) in [0, 1] and, where there is one, its lung mask (H, W)."""
        small = _small(film)
        low, high = np.percentile(small, (1, 99))
        greys = (small - low) / max(float(high - low), 1e-6)
        inside = np.zeros(small.shape, np.bool_)
        if lungs is not None:
            inside = cv2.resize(lungs, small.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT) > 0
        corners, outside = _corners(small.shape), _open_beam(greys) & ~inside
        below = _far_below(inside) & ~corners & ~outside
        return cls(corners, _markers(greys, inside), outside, below)

    def flags(self, code: str, view: str, heatmap: Mask, level: float) -> list[dict[str, Any]]:
        """One entry for each place where most of a map (H, W), 0 to 255 on the film's pixels, lies."""
        small = cv2.resize(heatmap, self.corners.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float64)
        strong = np.where(small > level * small.max(), small, 0.0)
        total = float(strong.sum())
        if total <= 0.0:
            return []
        places = {"corner": self.corners, "outside_body": self.outside}
        if code not in _ON_BODY_ONLY:
            places |= {"marker": self.markers, "below_lungs": self.below}
        found = []
        for kind, place in places.items():
            share = float(strong[place].sum()) / total
            if share > SHARE:
                found.append(
                    {"view": view, "kind": kind, "share": round(share, 4), "message": _sentence(kind, share)}
                )
        return found


def _sentence(kind: str, share: float) -> str:
    return f"{share:.0%} of the heatmap {_MESSAGES[kind]}, where no finding is; do not trust it."


def _small(film: FloatImage) -> FloatImage:
    factor = min(1.0, _SIDE / max(film.shape))
    size = (max(1, round(film.shape[1] * factor)), max(1, round(film.shape[0] * factor)))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA), np.float32)


def _corners(shape: tuple[int, int]) -> Places:
    rows, columns = (max(1, round(side * CORNER)) for side in shape)
    places = np.zeros(shape, np.bool_)
    for row in (slice(0, rows), slice(-rows, None)):
        places[row, :columns] = places[row, -columns:] = True
    return places


def _far_below(lungs: Places) -> Places:
    """Rows below the lungs by more than ``BELOW`` of their height; nowhere where no lung is known."""
    places = np.zeros(lungs.shape, np.bool_)
    rows = np.flatnonzero(lungs.any(axis=1))
    if rows.size:
        height = int(rows[-1] - rows[0]) + 1
        places[rows[-1] + 1 + round(BELOW * height) :] = True
    return places


def _open_beam(greys: FloatImage) -> Places:
    """Black areas that reach the film's edge: the beam beside the patient, collimator blades, letterboxes."""
    dark = (cv2.GaussianBlur(greys, (0, 0), 1.5) < _AIR).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    rim = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    return np.isin(labels, np.setdiff1d(rim, [0])) & (dark > 0)


def _markers(greys: FloatImage, lungs: Places) -> Places:
    """Small white spots outside the lungs that stand out from what is around them, and a rim about them."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((greys >= _WHITE).astype(np.uint8))
    places = np.zeros(greys.shape, np.uint8)
    smallest, largest = (share * greys.size for share in _MARKER_AREA)
    longest = _MARKER_SIDE * max(greys.shape)
    ring = np.ones((7, 7), np.uint8)
    for index in range(1, count):
        x, y, width, height, area = statistics[index]
        if not smallest <= area <= largest or max(width, height) > longest:
            continue
        around = (slice(max(0, y - 4), y + height + 4), slice(max(0, x - 4), x + width + 4))
        spot = (labels[around] == index).astype(np.uint8)
        edge = (cv2.dilate(spot, ring) > 0) & (spot == 0)
        stands_out = edge.any() and greys[around][spot > 0].mean() - greys[around][edge].mean()
        if stands_out >= _MARKER_CONTRAST and not (lungs[around] & (spot > 0)).any():
            places[around] |= spot
    reach = 2 * max(2, max(greys.shape) // 40) + 1
    return cv2.dilate(places, np.ones((reach, reach), np.uint8)) > 0
