"""The thorax's frame: inner chest wall, spine, diaphragm and landmarks, before posture bends and turns it.

Everything else is built on these functions, so lungs, ribs, heart and pathology fit one another. Heights are
fractions ``h`` of the lung's height: 0 at the lateral costophrenic angle, 1 at the apex.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.phantom.mesh import Floats
from suite.phantom.patient import Patient

# Inner half-width of the chest as a fraction of its largest, front and back wall (mm at depth factor 1) and
# the vertebral bodies' centre, by height. Widths follow the lateral edge of the SCR lung outlines.
_H = np.asarray([-0.45, -0.2, 0.0, 0.2, 0.45, 0.65, 0.78, 0.87, 0.94, 1.0, 1.06])
_WIDTH = np.asarray([0.93, 0.98, 1.0, 0.985, 0.935, 0.86, 0.775, 0.68, 0.58, 0.46, 0.34])
_FRONT = np.asarray([-88.0, -94.0, -96.0, -94.0, -84.0, -66.0, -50.0, -36.0, -22.0, -8.0, 2.0])
_BACK = np.asarray([62.0, 72.0, 80.0, 86.0, 88.0, 82.0, 73.0, 64.0, 56.0, 48.0, 40.0])
_SPINE_H = np.asarray([-0.9, -0.45, -0.2, 0.0, 0.3, 0.55, 0.75, 0.9, 1.0, 1.1, 1.4])
_SPINE = np.asarray([16.0, 20.0, 27.0, 34.0, 42.0, 44.0, 38.0, 28.0, 18.0, 10.0, 4.0])

VERTEBRAE = ("C5", "C6", "C7", *(f"T{k}" for k in range(1, 13)), "L1", "L2", "L3", "L4")


@dataclass(frozen=True, slots=True)
class Frame:
    """Geometry of one patient's thorax, unposed. Points are (..., 3) mm."""

    patient: Patient

    @property
    def height(self) -> float:
        """Lung height at full inspiration, mm; z runs from 0 (costophrenic angle) to this (apex)."""
        return self.patient.lung_height

    def half_width(self, z: npt.ArrayLike) -> Floats:
        """Inner half-width of the chest (mm) at height z."""
        h = np.asarray(z, dtype=np.float64) / self.height
        shape = np.interp(h, _H, _WIDTH)
        high = np.clip((h - 0.6) / 0.4, 0.0, 1.0)
        shape = shape * (1.0 + (self.patient.apex_width - 1.0) * high)
        low = np.clip((0.45 - h) / 0.45, 0.0, 1.5)
        shape = shape * (1.0 - 0.05 * (self.patient.wall_shape - 1.0) * low)
        return np.asarray(self.patient.half_width * shape)

    def front(self, z: npt.ArrayLike) -> Floats:
        """y of the inner front wall at the midline."""
        return self._scaled(z, _FRONT)

    def back(self, z: npt.ArrayLike) -> Floats:
        """y of the inner back wall beside the spine."""
        return self._scaled(z, _BACK)

    def _scaled(self, z: npt.ArrayLike, values: Floats) -> Floats:
        h = np.asarray(z, dtype=np.float64) / self.height
        size = 0.5 + 0.5 * self.patient.half_width / 134.0
        return np.asarray(np.interp(h, _H, values) * self.patient.depth * size)

    def spine_y(self, z: npt.ArrayLike) -> Floats:
        """y of the vertebral bodies' centres."""
        h = np.asarray(z, dtype=np.float64) / self.height
        size = 0.5 + 0.5 * self.patient.half_width / 134.0
        gap = np.interp(h, _H, _BACK) * self.patient.depth * size - np.interp(h, _H, _BACK)
        return np.asarray(np.interp(h, _SPINE_H, _SPINE) + gap)

    def wall(self, z: npt.ArrayLike, angle: npt.ArrayLike, out: float = 0.0) -> Floats:
        """A point on the inner chest wall.

        Args:
            z: height, mm.
            angle: radians, 0 at the back's midline, pi/2 at the left side, pi in front; right is negative.
            out: mm outwards (radially) from the wall.
        """
        z = np.asarray(z, dtype=np.float64)
        angle = np.asarray(angle, dtype=np.float64)
        a = self.half_width(z) + out
        front, back = self.front(z) - out, self.back(z) + out
        middle = 0.5 * (front + back) + 0.06 * (back - front)
        s, c = np.sin(angle), np.cos(angle)
        x = a * np.sign(s) * np.abs(s) ** 0.88
        reach = np.where(c >= 0.0, back - middle, middle - front)
        y = middle + reach * np.sign(c) * np.abs(c) ** 0.86
        x, y, z = np.broadcast_arrays(x, y, z)
        return np.stack([x, y, z], axis=-1)

    def vertebra_z(self) -> dict[str, tuple[float, float]]:
        """Centre height and spacing (mm) of each vertebra from C5 to L4."""
        grow = self.height / 248.0
        spacing = {name: grow * s for name, s in zip(VERTEBRAE, _SPACING, strict=True)}
        out: dict[str, tuple[float, float]] = {}
        z = self.height - 2.0 * grow
        for name in VERTEBRAE[3:]:
            out[name] = (z, spacing[name])
            z -= spacing[name] + 0.4 * grow
        z = self.height - 2.0 * grow
        for name in VERTEBRAE[2::-1]:
            z += spacing[name]
            out[name] = (z, spacing[name])
        return out

    def dome_top(self, side: int) -> float:
        """z of the diaphragm's dome; side -1 right, +1 left."""
        p = self.patient
        raised = 0.42 * (1.0 - p.inspiration) * self.height
        return p.dome_right + raised - (p.dome_gap if side > 0 else 0.0)

    def sulcus(self, side: int, angle: npt.ArrayLike) -> Floats:
        """z where the diaphragm meets the wall at azimuth ``angle`` (as in ``wall``)."""
        angle = np.abs(np.asarray(angle, dtype=np.float64))
        raised = 0.16 * (1.0 - self.patient.inspiration) * self.height
        knots = np.asarray([0.0, 0.8, 1.6, 2.4, np.pi])
        dome = self.patient.dome_right
        values = np.asarray([-31.0, -29.0, -7.0, 0.45 * dome, 0.8 * dome])
        return np.asarray(np.interp(angle, knots, values) + raised + 0.0 * side)

    def dome(self, side: int, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """z of the diaphragm over (x, y) on one side; side -1 right, +1 left."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        cx, cy = self.dome_centre(side)
        dx, dy = x - cx, y - cy
        bearing = np.arctan2(dx * side, dy)
        edge, low = self._dome_edge(side)
        ring = np.interp(bearing, edge[0], edge[1], period=2.0 * np.pi)
        bottom = np.interp(bearing, edge[0], low, period=2.0 * np.pi)
        rho = np.clip(np.hypot(dx, dy) / ring, 0.0, 1.0)
        top = self.dome_top(side)
        return np.asarray(bottom + (top - bottom) * (1.0 - rho**2.1) ** (0.92 * self.patient.dome_shape**0.5))

    def dome_centre(self, side: int) -> tuple[float, float]:
        """(x, y) of the dome's highest point."""
        a = float(self.half_width(20.0))
        return side * 0.46 * a, float(0.5 * (self.front(20.0) + self.back(20.0))) - 12.0

    def _dome_edge(self, side: int) -> tuple[tuple[Floats, Floats], Floats]:
        cx, cy = self.dome_centre(side)
        angle = np.linspace(0.03, np.pi - 0.03, 48)
        # A little outside the wall, so that no sliver of lung is left beside the abdomen.
        wall = self.wall(np.full(48, 5.0), side * angle, 4.0)
        medial_y = np.linspace(wall[-1, 1], wall[0, 1], 18)[1:-1]
        medial = np.column_stack([np.full(16, 0.0), medial_y])
        points = np.concatenate([wall[:, :2], medial])
        # Towards the middle the diaphragm only sinks to the central tendon under the heart.
        tendon = np.full(16, self.dome_top(side) - 14.0)
        low = np.concatenate([self.sulcus(side, angle), tendon])
        bearing = np.arctan2((points[:, 0] - cx) * side, points[:, 1] - cy)
        radius = np.hypot(points[:, 0] - cx, points[:, 1] - cy)
        order = np.argsort(bearing)
        smooth = np.convolve(
            np.concatenate([low[order][-3:], low[order], low[order][:3]]), np.ones(7) / 7, "valid"
        )
        return (bearing[order], radius[order]), smooth

    def inside_lung(self, points: Floats, side: int, margin: float = 4.0) -> npt.NDArray[np.bool_]:
        """Which points (n, 3) lie in one lung, ``margin`` mm from wall, apex, diaphragm and mediastinum."""
        x, y, z = points[:, 0] * side, points[:, 1], points[:, 2]
        top = self.height * (0.985 if margin else 1.0) - margin
        front, back = self.front(z) + margin, self.back(z) - margin
        middle = 0.5 * (front + back) + 0.06 * (back - front)
        reach = np.where(y > middle, back - middle, middle - front)
        a = self.half_width(z) - margin
        across = np.clip(np.abs(x) / a, 0.0, 2.0) ** (2 / 0.88) + np.clip(
            np.abs(y - middle) / reach, 0, 2
        ) ** (2 / 0.86)
        h1 = 0.84 * self.height
        apex = np.clip((z - h1) / (self.height - h1), 0.0, 1.0)
        ax, ay = self.apex(side)[:2]
        shrink = np.sqrt(1.0 - apex**2)
        tip = (np.hypot(x - ax * side, y - ay) < 52.0 * shrink) | (z < h1)
        low = z > self.dome(side, points[:, 0], y) + margin
        medial = x > 14.0 + margin
        return np.asarray((across < 1.0) & low & medial & (z < top) & tip)

    def apex(self, side: int) -> Floats:
        """Tip of one lung."""
        z = self.height
        y = 0.5 * (self.front(z) + self.back(z)) + 6.0
        x = side * 0.36 * self.patient.half_width * self.patient.apex_width
        return np.asarray([x, float(y), z])

    def landmarks(self) -> dict[str, Floats]:
        """Named unposed points, mm."""
        L = self.height  # noqa: N806 - lung height
        carina_z = 0.60 * L
        spine = float(self.spine_y(carina_z))
        return {
            "centre": np.asarray([0.0, 0.0, 0.48 * L]),
            "carina": np.asarray([2.0, spine - 32.0, carina_z]),
            "hilum_left": np.asarray([34.0, spine - 34.0, 0.53 * L]),
            "hilum_right": np.asarray([-33.0, spine - 34.0, 0.49 * L]),
            "apex_left": self.apex(1),
            "apex_right": self.apex(-1),
            "dome_left": np.asarray([*self.dome_centre(1), self.dome_top(1)]),
            "dome_right": np.asarray([*self.dome_centre(-1), self.dome_top(-1)]),
            "heart": np.asarray([14.0, -24.0, self.heart_z()]),
        }

    def heart_z(self) -> float:
        """Height of the heart's middle: it sits on the central tendon."""
        return 0.5 * (self.dome_top(-1) + self.dome_top(1)) + 22.0

    def posture(self) -> Callable[[Floats], Floats]:
        """Bend (kyphosis, scoliosis), then turn (rotation, tilt, roll) points (n, 3) about the centre."""
        p = self.patient
        centre = self.landmarks()["centre"]
        turn = _rotation(np.deg2rad(p.rotation), np.deg2rad(p.tilt), np.deg2rad(p.roll))

        def change(points: Floats) -> Floats:
            h = points[:, 2] / self.height
            bend = np.clip(1.0 - ((h - 0.55) / 0.6) ** 2, -0.6, 1.0)
            curve = np.sin(np.pi * np.clip((h - 0.05) / 0.95, -0.4, 1.4))
            moved = points + np.stack([p.scoliosis * curve, p.kyphosis * bend, 0.0 * h], axis=1)
            return np.asarray((moved - centre) @ turn.T + centre)

        return change


_SPACING = (17.0, 17.0, 18.0, 19.0, 19.5, 20.0, 20.5, 21.0, 21.5, 22.0, 22.5, 23.0, 23.8, 24.8, 26.0,
            29.0, 31.0, 33.0, 34.0)  # fmt: skip


def _rotation(about_z: float, about_x: float, about_y: float) -> Floats:
    cz, sz, cx, sx, cy, sy = (f(a) for a in (about_z, about_x, about_y) for f in (np.cos, np.sin))
    z = np.asarray([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    x = np.asarray([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.asarray([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.asarray(y @ x @ z)
