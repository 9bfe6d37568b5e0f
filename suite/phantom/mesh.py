"""Closed triangle meshes: lofts, swept tubes, ellipsoids and star-shaped bodies.

All points are millimetres in patient coordinates (x left, y posterior, z superior). Every builder returns a
watertight mesh whose triangles face outwards; the projector relies on both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Faces = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A closed surface: ``vertices`` (n, 3) mm and ``faces`` (m, 3) indices, facing outwards."""

    vertices: Floats
    faces: Faces

    @property
    def volume(self) -> float:
        """Enclosed volume in mm3, positive when the faces look outwards."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

    def moved(self, change: Callable[[Floats], Floats]) -> Mesh:
        """The same surface with every vertex sent through ``change`` ((n, 3) mm to (n, 3) mm)."""
        return Mesh(np.asarray(change(self.vertices)), self.faces)


def _outward(vertices: Floats, faces: Faces) -> Mesh:
    mesh = Mesh(np.ascontiguousarray(vertices, dtype=np.float64), faces)
    return mesh if mesh.volume >= 0.0 else Mesh(mesh.vertices, np.ascontiguousarray(faces[:, ::-1]))


@lru_cache(maxsize=256)
def _loft_faces(rings: int, points: int) -> Faces:
    ring = np.arange(rings - 1)[:, None] * points
    here = np.arange(points)[None, :]
    following = (here + 1) % points
    a, b = ring + here, ring + following
    c, d = a + points, b + points
    side = np.stack([np.stack([a, b, d], -1), np.stack([a, d, c], -1)], 2).reshape(-1, 3)
    first, last = rings * points, rings * points + 1
    k = np.arange(points)
    after = (k + 1) % points
    bottom = np.stack([np.full(points, first), after, k], -1)
    top_ring = (rings - 1) * points
    top = np.stack([np.full(points, last), top_ring + k, top_ring + after], -1)
    faces: Faces = np.ascontiguousarray(np.concatenate([side, bottom, top]).astype(np.int32))
    faces.flags.writeable = False
    return faces


def loft(contours: Floats) -> Mesh:
    """Join a stack of contours (rings, points, 3) and close both ends with a fan around their centre."""
    rings, points, _ = contours.shape
    ends = contours[[0, -1]].mean(axis=1)
    return _outward(np.concatenate([contours.reshape(-1, 3), ends]), _loft_faces(rings, points))


def resample(line: Floats, count: int) -> Floats:
    """A smooth curve (Catmull-Rom) through ``line`` (n, 3), at ``count`` points evenly along its length."""
    line = np.asarray(line, dtype=np.float64)
    if len(line) == 2:
        return line[0] + np.linspace(0.0, 1.0, count)[:, None] * (line[1] - line[0])
    padded = np.concatenate([2 * line[:1] - line[1:2], line, 2 * line[-1:] - line[-2:-1]])
    fine = max(4, (4 * count) // (len(line) - 1))
    t = np.linspace(0.0, 1.0, fine, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (padded[k : len(padded) - 3 + k, None, :] for k in range(4))
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    curve = np.concatenate([curve.reshape(-1, 3), line[-1:]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, curve[:, k]) for k in range(3)], axis=1)


def tangents(line: Floats) -> Floats:
    """Unit tangents (n, 3) of a curve."""
    step = np.gradient(line, axis=0)
    return np.asarray(step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))


def tube(
    centre: Floats,
    width: npt.ArrayLike,
    depth: npt.ArrayLike,
    normal: npt.ArrayLike = (0.0, 1.0, 0.0),
    points: int = 12,
    skew: float = 0.0,
) -> Mesh:
    """Sweep an elliptic section along ``centre`` (n, 3).

    Args:
        width: half-axis across ``normal`` (mm), a number or (n,).
        depth: half-axis along ``normal`` (mm), a number or (n,).
        normal: (3,) or (n, 3) direction of the section's depth; made perpendicular to the curve.
        points: corners of the section.
        skew: -1 to 1; makes one edge of the section (towards +width) thicker than the other.
    """
    count = len(centre)
    tangent = tangents(centre)
    n = np.broadcast_to(np.asarray(normal, dtype=np.float64), (count, 3))
    n = n - np.einsum("ij,ij->i", n, tangent)[:, None] * tangent
    n = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)
    side = np.cross(tangent, n)
    angle = 2.0 * np.pi * np.arange(points) / points
    w = np.broadcast_to(np.asarray(width, dtype=np.float64), (count,))[:, None] * np.cos(angle)
    d = np.broadcast_to(np.asarray(depth, dtype=np.float64), (count,))[:, None] * np.sin(angle)
    d = d * (1.0 + skew * np.cos(angle))
    return loft(centre[:, None, :] + w[..., None] * side[:, None, :] + d[..., None] * n[:, None, :])


def capped_tube(
    centre: Floats,
    width: float,
    depth: float,
    normal: npt.ArrayLike = (0.0, 1.0, 0.0),
    points: int = 12,
) -> Mesh:
    """A tube whose first and last tenth round off to a dome."""
    along = np.linspace(0.0, 1.0, len(centre))
    edge = np.clip(np.minimum(along, 1.0 - along) / 0.1, 0.0, 1.0)
    taper = np.maximum(np.sqrt(1.0 - (1.0 - edge) ** 2), 0.12)
    return tube(centre, width * taper, depth * taper, normal, points)


@lru_cache(maxsize=16)
def directions(rings: int, points: int) -> Floats:
    """Unit vectors (rings, points, 3) from the south to the north pole, poles left out."""
    theta = np.pi * (np.arange(rings) + 0.5) / rings
    phi = 2.0 * np.pi * np.arange(points) / points
    z = np.broadcast_to(-np.cos(theta)[:, None], (rings, points))
    s = np.sin(theta)[:, None]
    out = np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=-1)
    out.flags.writeable = False
    return out


def ellipsoid(
    centre: npt.ArrayLike, radii: npt.ArrayLike, rings: int = 16, points: int = 24, axes: Floats | None = None
) -> Mesh:
    """An ellipsoid; ``axes`` (3, 3) holds its unit half-axis directions as rows."""
    shape = directions(rings, points) * np.asarray(radii, dtype=np.float64)
    if axes is not None:
        shape = shape @ axes
    return loft(shape + np.asarray(centre, dtype=np.float64))


def blob(
    centre: npt.ArrayLike,
    parts: list[tuple[Floats, Floats, Floats]],
    rings: int = 40,
    points: int = 56,
    sharpness: float = 0.35,
) -> Mesh:
    """One smooth star-shaped surface around several ellipsoids that overlap ``centre``'s surroundings.

    Args:
        centre: the point the surface is star-shaped about.
        parts: (centre, radii, axes) of each ellipsoid.
        sharpness: 1/mm; how closely the blend follows the outermost ellipsoid.
    """  # fmt: skip
    d = directions(rings, points).reshape(-1, 3)
    origin = np.asarray(centre, dtype=np.float64)
    reach = np.full((len(parts), len(d)), 0.0)
    for k, (middle, radii, axes) in enumerate(parts):
        q = (d @ axes.T) / radii
        p = (axes @ (origin - middle)) / radii
        a, b, c = (q * q).sum(1), q @ p, p @ p - 1.0
        root = b * b - a * c
        far = (-b + np.sqrt(np.maximum(root, 0.0))) / a
        reach[k] = np.where(root > 0.0, np.maximum(far, 0.0), 0.0)
    top = reach.max(axis=0)
    r = top + np.log(np.exp(sharpness * (reach - top)).sum(axis=0)) / sharpness - np.log(1.5) / sharpness
    return loft((origin + d * r[:, None]).reshape(rings, points, 3))


def merge(meshes: list[Mesh]) -> Mesh:
    """Several closed surfaces as one; where they overlap they count once, as a union."""
    first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = [mesh.faces + np.int32(start) for mesh, start in zip(meshes, first, strict=False)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def box(low: npt.ArrayLike, high: npt.ArrayLike) -> Mesh:
    """An axis-parallel box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    ring = np.asarray([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return loft(np.stack([np.column_stack([ring, np.full(4, z)]) for z in (z0, z1)]))
