"""A canvas for simple radiographs: path lengths through soft tissue and bone, added up body by body."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
Values = npt.NDArray[np.float32]
SIDE = 112


class Canvas:
    """Path lengths through soft tissue and bone, float32 (SIDE, SIDE), in canvas sides."""

    def __init__(self) -> None:
        axis = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
        self.x, self.y = np.meshgrid(axis, axis)
        self.soft = np.zeros((SIDE, SIDE), dtype=np.float32)
        self.bone = np.zeros((SIDE, SIDE), dtype=np.float32)

    def tube(self, start: Point, end: Point, radius: float, end_radius: float | None = None) -> Values:
        """Path length through a tapering tube with round ends."""
        last = radius if end_radius is None else end_radius
        (ax, ay), (bx, by), wide = start, end, max(radius, last)
        here = _window(min(ax, bx) - wide, max(ax, bx) + wide, min(ay, by) - wide, max(ay, by) + wide)
        x, y = self.x[here], self.y[here]
        length2 = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-8)
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0.0, 1.0)
        distance2 = (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2
        path = np.zeros((SIDE, SIDE), dtype=np.float32)
        path[here] = 2.0 * np.sqrt(np.maximum((radius + (last - radius) * along) ** 2 - distance2, 0.0))
        return path

    def ellipsoid(self, centre: Point, axes: tuple[float, float], depth: float, angle: float = 0.0) -> Values:
        """Path length through an ellipsoid whose half-axis along the beam is ``depth``."""
        wide = max(axes)
        here = _window(centre[0] - wide, centre[0] + wide, centre[1] - wide, centre[1] + wide)
        dx, dy = self.x[here] - centre[0], self.y[here] - centre[1]
        u = (dx * float(np.cos(angle)) + dy * float(np.sin(angle))) / axes[0]
        v = (dy * float(np.cos(angle)) - dx * float(np.sin(angle))) / axes[1]
        path = np.zeros((SIDE, SIDE), dtype=np.float32)
        path[here] = 2.0 * depth * np.sqrt(np.maximum(1.0 - u**2 - v**2, 0.0))
        return path

    def flesh(self, path: Values) -> None:
        """Soft tissue; where two parts of one limb meet, the thicker counts."""
        self.soft = np.maximum(self.soft, path)

    def long_bone(self, start: Point, end: Point, radius: float, flare: float = 1.5) -> None:
        """A shaft with dense cortex and two wider, spongy ends."""
        outer, inner = self.tube(start, end, radius), self.tube(start, end, 0.6 * radius)
        self.bone += outer - 0.75 * inner
        for end_point in (start, end):
            knob = self.ellipsoid(end_point, (flare * radius, flare * radius), flare * radius)
            self.bone += 0.45 * np.maximum(knob - outer, 0.0)

    def spongy(self, path: Values, density: float = 0.5) -> None:
        """Bone without a marrow cavity."""
        self.bone += density * path


def step(start: Point, angle: float, length: float) -> Point:
    return start[0] + length * float(np.cos(angle)), start[1] + length * float(np.sin(angle))


def _window(left: float, right: float, top: float, bottom: float) -> tuple[slice, slice]:
    """Rows and columns of the canvas that a body can touch; empty for one beside it."""
    first_row, last_row, first_column, last_column = (
        min(max(int(np.floor(edge * SIDE)) + past, 0), SIDE)
        for edge, past in ((top, 0), (bottom, 1), (left, 0), (right, 1))
    )
    return slice(first_row, last_row), slice(first_column, last_column)
