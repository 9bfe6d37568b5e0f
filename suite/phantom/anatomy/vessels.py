"""Pulmonary arteries and veins: trees that fill the lungs and thin towards the pleura.

A tree is grown by splitting a cloud of end points again and again by direction; each branch heads for the
points it feeds, and its radius follows Murray's law (radius^k adds up over a fork).
"""

# Points plus offsets are sums of vectors, not joined lists.

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from suite.phantom.anatomy.frame import Frame
from suite.phantom.anatomy.lungs import SIDES
from suite.phantom.materials import BLOOD, LUNG
from suite.phantom.mesh import Floats
from suite.phantom.scene import Capsules, Scene

Array = npt.NDArray[Any]

_MURRAY = 3.0
_LEAVES = {"artery": 1100, "vein": 800}
_ROOT_RADIUS = {"artery": 5.0, "vein": 4.4}
_ROOTS = {
    "artery": ((12.0, 2.0, 16.0), (12.0, 18.0, -34.0)),
    "vein": ((12.0, -4.0, 2.0), (2.0, 6.0, -26.0)),
}
"""Offsets (mm, x away from the midline) of the upper and the lower root from the hilum."""


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add an arterial and a venous tree to each lung."""
    marks = frame.landmarks()
    tissue = LUNG.with_density(frame.patient.lung_density)
    for side, name in SIDES:
        hilum = marks[f"hilum_{name}"]
        for kind, (upper, lower) in _ROOTS.items():
            points = sample_lung(frame, side, _LEAVES[kind], rng)
            # Vessels fan out flatter than the lung is deep; few run along the beam for long.
            points[:, 1] = hilum[1] + 0.70 * (points[:, 1] - hilum[1])
            # The upper lobe hangs on its own branches, the rest on the descending artery or the lower vein.
            low = points[:, 2] < hilum[2] + 12.0 + 0.35 * (points[:, 1] - hilum[1])
            mirrored = np.asarray([side, 1.0, 1.0])
            for part, offset in ((points[low], lower), (points[~low], upper)):
                radius = (
                    _ROOT_RADIUS[kind] * frame.patient.vessels * (len(part) / len(points)) ** (1.0 / _MURRAY)
                )
                starts, ends, radii = grow_tree(part, hilum + np.asarray(offset) * mirrored, radius, rng)
                own = Capsules(
                    f"vessels_{kind}_{name}", starts, ends, radii, BLOOD, tissue, ("vessels",), 0.15
                )
                scene.capsules.append(own)


def sample_lung(frame: Frame, side: int, count: int, rng: np.random.Generator, margin: float = 5.0) -> Floats:
    """``count`` random points (count, 3) inside one lung, unposed."""
    w = frame.patient.half_width
    low = np.asarray([0.0, -110.0 * frame.patient.depth, -20.0])
    high = np.asarray([w, 105.0 * frame.patient.depth, frame.height])
    kept = np.empty((0, 3))
    while len(kept) < count:
        points = rng.uniform(low, high, (3 * count, 3))
        points[:, 0] *= side
        kept = np.concatenate([kept, points[frame.inside_lung(points, side, margin)]])
    return kept[:count]


def grow_tree(
    points: Floats, root: Floats, radius: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """A tree from ``root`` to every point: starts (n, 3), ends (n, 3) and radii (n, 2) in mm."""
    count = len(points)
    draws = rng.random((2 * count, 4))
    out = np.empty((4 * count, 8))
    used = _grow(points.copy(), np.asarray(root, dtype=np.float64), radius, draws, out)
    return out[:used, :3].copy(), out[:used, 3:6].copy(), out[:used, 6:8].copy()


@njit(cache=True)
def _grow(points: Array, root: Array, radius: float, draws: Array, out: Array) -> int:  # pragma: no cover
    count = points.shape[0]
    stack = np.empty((count + 8, 6))
    stack[0] = np.array([0.0, float(count), root[0], root[1], root[2], radius])
    depth, used, node = 1, 0, 0
    while depth > 0:
        depth -= 1
        lo, hi = int(stack[depth, 0]), int(stack[depth, 1])
        sx, sy, sz, r = stack[depth, 2], stack[depth, 3], stack[depth, 4], stack[depth, 5]
        n = hi - lo
        u = draws[node % draws.shape[0]]
        node += 1
        cloud = points[lo:hi].copy()
        aim = np.zeros(3)
        bearing = np.empty((n, 3))
        near = 0.0
        for i in range(n):
            dx, dy, dz = cloud[i, 0] - sx, cloud[i, 1] - sy, cloud[i, 2] - sz
            away = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
            bearing[i, 0], bearing[i, 1], bearing[i, 2] = dx / away, dy / away, dz / away
            aim += bearing[i]
            near += away
        near /= n
        aim /= np.sqrt((aim * aim).sum()) + 1e-9
        reach = near * (1.0 if n == 1 else 0.22 + 0.22 * u[0])
        ex, ey, ez = sx + reach * aim[0], sy + reach * aim[1], sz + reach * aim[2]
        length = reach
        here = max(radius * (n / count) ** (1.0 / 3.0), 0.38)
        # Two pieces with a bend in the middle: vessels are never straight.
        mx = 0.5 * (sx + ex) + 0.10 * length * (u[1] - 0.5)
        my = 0.5 * (sy + ey) + 0.10 * length * (u[2] - 0.5)
        mz = 0.5 * (sz + ez) + 0.10 * length * (u[3] - 0.5)
        r = min(r, 1.6 * here)
        out[used] = np.array([sx, sy, sz, mx, my, mz, r, 0.5 * (r + here)])
        out[used + 1] = np.array([mx, my, mz, ex, ey, ez, 0.5 * (r + here), here])
        used += 2
        if n == 1:
            continue
        # Fork by direction, not by place: branches part at acute angles and run outwards.
        axis, best = 0, -1.0
        for k in range(3):
            spread = bearing[:, k].std() * (0.8 + 0.4 * u[(k + 1) % 4]) * (0.7 if k == 1 else 1.0)
            if spread > best:
                best, axis = spread, k
        order = np.argsort(bearing[:, axis])
        points[lo:hi] = cloud[order]
        middle = lo + min(max(int(n * (0.35 + 0.3 * u[2])), 1), n - 1)
        stack[depth] = np.array([float(lo), float(middle), ex, ey, ez, here])
        stack[depth + 1] = np.array([float(middle), float(hi), ex, ey, ez, here])
        depth += 2
    return used
