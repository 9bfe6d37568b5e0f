"""Heatmaps in words and boxes: where a map is high, which zone that is, and how much of it lies in the lungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from suite.stages.artifacts import Heatmap
from suite.study import Mask

LEVEL = 0.5
"""A region is where a map exceeds half its own peak."""

MOST_REGIONS = 3
_WORKING_SIDE = 128
_SMALLEST_SHARE = 0.002
"""Pieces below this share of the film are noise of the map's coarse grid."""


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

    def words(self, x: float, y: float, *, lateral: bool) -> str:
        """The zone of a point in source pixels, for example "right lower"; the patient's right is at small x."""
        third = (y - self.top) / max(1.0, self.bottom - self.top)
        height = "upper" if third < 1 / 3 else "middle" if third < 2 / 3 else "lower"
        if lateral:
            return height
        return f"{'right' if x < self.middle else 'left'} {height}"


def regions_of(heatmap: Heatmap, zones: LungZones, lungs: Mask | None) -> list[dict[str, Any]]:
    """Up to three regions of a map, the strongest first, as the report lists them."""
    lateral = heatmap.view == "lateral"
    values = cv2.resize(heatmap.values, (_WORKING_SIDE, _WORKING_SIDE), interpolation=cv2.INTER_LINEAR)
    peak = float(values.max())
    if peak <= 0.0:
        return []
    count, labels, statistics, centres = cv2.connectedComponentsWithStats(
        (values > LEVEL * peak).astype(np.uint8)
    )
    inside = None if lungs is None or lateral else _on_working_grid(heatmap, lungs)
    found = []
    for index in range(1, count):
        if statistics[index, cv2.CC_STAT_AREA] < _SMALLEST_SHARE * values.size:
            continue
        piece = labels == index
        mass = float(values[piece].sum())
        x0, y0, width, height = (int(value) for value in statistics[index, :4])
        box = [*_to_source(heatmap, x0, y0), *_to_source(heatmap, x0 + width, y0 + height)]
        centre = _to_source(heatmap, *centres[index])
        share = None if inside is None else round(float(values[piece & inside].sum()) / mass, 4)
        found.append((mass, _region(heatmap, box, zones.words(*centre, lateral=lateral), share)))
    found.sort(key=lambda pair: -pair[0])
    return [region for _, region in found[:MOST_REGIONS]]


def _region(heatmap: Heatmap, box: list[float], zone: str, share: float | None) -> dict[str, Any]:
    rows, columns = heatmap.grid.source_shape
    clipped = [
        int(np.clip(round(box[0]), 0, columns - 1)),
        int(np.clip(round(box[1]), 0, rows - 1)),
        int(np.clip(round(box[2]), 1, columns)),
        int(np.clip(round(box[3]), 1, rows)),
    ]
    return {"view": heatmap.view, "box": clipped, "zone": zone, "inside_lung": share}


def _to_source(heatmap: Heatmap, x: float, y: float) -> tuple[float, float]:
    rows, columns = heatmap.grid.shape
    return heatmap.grid.point_to_source((x * columns / _WORKING_SIDE, y * rows / _WORKING_SIDE))


def _on_working_grid(heatmap: Heatmap, lungs: Mask) -> np.ndarray[Any, np.dtype[np.bool_]]:
    on_map = heatmap.grid.resize(_WORKING_SIDE).apply(lungs, "nearest")
    return np.asarray(on_map) > 0
