"""Heatmaps in words and boxes: where a map is high, which zone that is, and its share inside the lungs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from suite.stages.artifacts import Heatmap
from suite.study import Mask

Positions = npt.NDArray[np.float64]

LEVEL = 0.5
"""A region is where a map exceeds half its own peak."""

BOTH_SIDES = 0.25
"""A region of which each side of the chest has at least this share lies on both."""

MOST_REGIONS = 3
_WORKING_SIDE = 128
_SMALLEST_PIECE = 0.3
"""Pieces below this share of one cell of the map are noise; a single hot cell covers 0.6 of one."""


@dataclass(frozen=True, slots=True)
class LungZones:
    """The lungs' extent on a film: what "right lower" means there."""

    top: float
    bottom: float
    middle: float

    @classmethod
    def of(cls, mask: Mask | None, shape: tuple[int, int]) -> LungZones:
        """From a lung mask (H, W), or from the film's thirds where there is none."""
        rows, columns = shape
        if mask is None or not mask.any():
            return cls(0.0, float(rows), columns / 2)
        stride = max(1, max(shape) // 512)
        ys, xs = np.nonzero(mask[::stride, ::stride])
        sides = mask[::stride, ::stride][ys, xs]
        right, left = xs[sides == 128], xs[sides == 255]
        middle = (right.mean() + left.mean()) / 2 if right.size and left.size else columns / 2 / stride
        return cls(float(ys.min() * stride), float((ys.max() + 1) * stride), float(middle * stride))

    def words(self, x: float, y: float, *, lateral: bool, both: bool = False) -> str:
        """The zone of a point in source pixels, as in "right lower"; the patient's right is at small x.

        Args:
            x, y: the point, the centre of a region.
            lateral: whether the film is one, which has no sides.
            both: whether the region lies on both sides of the chest: "bilateral lower".
        """
        third = (y - self.top) / max(1.0, self.bottom - self.top)
        height = "upper" if third < 1 / 3 else "middle" if third < 2 / 3 else "lower"
        if lateral:
            return height
        side = "bilateral" if both else "right" if x < self.middle else "left"
        return f"{side} {height}"


def shows_something(heatmap: Heatmap) -> bool:
    """Whether a map has any evidence to show; one of nothing, or of numbers that are not finite, has none."""
    return bool(np.isfinite(heatmap.values).all() and heatmap.values.max(initial=0.0) > 0.0)


def regions_of(heatmap: Heatmap, zones: LungZones, lungs: Mask | None) -> list[dict[str, Any]]:
    """Up to three regions of a map, the strongest first, as the report lists them."""
    lateral = heatmap.view == "lateral"
    values = cv2.resize(heatmap.values, (_WORKING_SIDE, _WORKING_SIDE), interpolation=cv2.INTER_LINEAR)
    ys, xs = _source_of_working_pixels(heatmap)
    # what a network sees in the letterbox is not on the film
    values = np.where(_inside(ys, heatmap.grid.source_shape[0])[:, None], values, 0.0)
    values = np.where(_inside(xs, heatmap.grid.source_shape[1])[None, :], values, 0.0)
    peak = float(values.max())
    if peak <= 0.0:
        return []
    count, labels, statistics, centres = cv2.connectedComponentsWithStats(
        (values > LEVEL * peak).astype(np.uint8)
    )
    inside = None if lungs is None or lateral else _sampled(lungs, ys, xs) > 0
    smallest = _SMALLEST_PIECE * values.size / heatmap.values.size
    found = []
    for index in range(1, count):
        if statistics[index, cv2.CC_STAT_AREA] < smallest:
            continue
        piece = labels == index
        mass = float(values[piece].sum())
        x0, y0, width, height = (int(value) for value in statistics[index, :4])
        box = [*_to_source(heatmap, x0, y0), *_to_source(heatmap, x0 + width, y0 + height)]
        contour = _contour(heatmap, piece)
        centre = _to_source(heatmap, *(centres[index] + 0.5))
        share = None if inside is None else round(float(values[piece & inside].sum()) / mass, 4)
        right = float(values[piece & (xs < zones.middle)[None, :]].sum()) / mass
        zone = zones.words(*centre, lateral=lateral, both=BOTH_SIDES <= right <= 1 - BOTH_SIDES)
        found.append((mass, _region(heatmap, box, contour, zone, share)))
    found.sort(key=lambda pair: -pair[0])
    return [region for _, region in found[:MOST_REGIONS]]


def _contour(heatmap: Heatmap, piece: npt.NDArray[np.bool_]) -> list[list[int]]:
    """The outline of a region as a closed polygon of points (x, y) in source pixels, inside the film."""
    rows, columns = heatmap.grid.source_shape
    outlines, _ = cv2.findContours(piece.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = cv2.approxPolyDP(max(outlines, key=len), 0.7, closed=True)[:, 0]
    points = [_to_source(heatmap, x + 0.5, y + 0.5) for x, y in longest.tolist()]
    return [[int(np.clip(round(x), 0, columns)), int(np.clip(round(y), 0, rows))] for x, y in points]


def _region(
    heatmap: Heatmap, box: list[float], contour: list[list[int]], zone: str, share: float | None
) -> dict[str, Any]:
    rows, columns = heatmap.grid.source_shape
    clipped = [
        int(np.clip(math.floor(box[0]), 0, columns - 1)),
        int(np.clip(math.floor(box[1]), 0, rows - 1)),
        int(np.clip(math.ceil(box[2]), 1, columns)),
        int(np.clip(math.ceil(box[3]), 1, rows)),
    ]
    return {
        "view": heatmap.view,
        "box": clipped,
        "zone": zone,
        "inside_lung": share,
        "level": LEVEL,
        "contour": contour,
    }


def _to_source(heatmap: Heatmap, x: float, y: float) -> tuple[float, float]:
    rows, columns = heatmap.grid.shape
    return heatmap.grid.point_to_source((x * columns / _WORKING_SIDE, y * rows / _WORKING_SIDE))


def _source_of_working_pixels(heatmap: Heatmap) -> tuple[Positions, Positions]:
    """The source rows and columns of the working grid's pixel centres; outside the film in a letterbox."""
    points = [_to_source(heatmap, place + 0.5, place + 0.5) for place in range(_WORKING_SIDE)]
    return np.array([y for _, y in points]), np.array([x for x, _ in points])


def _inside(positions: Positions, length: int) -> npt.NDArray[np.bool_]:
    return (positions >= 0.0) & (positions < length)


def _sampled(mask: Mask, ys: Positions, xs: Positions) -> Mask:
    """The mask at source positions; those outside the film take its nearest pixel."""
    rows = np.clip(ys.astype(np.intp), 0, mask.shape[0] - 1)
    columns = np.clip(xs.astype(np.intp), 0, mask.shape[1] - 1)
    return mask[np.ix_(rows, columns)]
