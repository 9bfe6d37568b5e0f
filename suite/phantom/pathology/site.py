"""Where findings sit: unposed anatomy, lobes, lung regions, and how to bend a posed scene."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import LUNG, Material
from suite.phantom.mesh import Floats
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene

Bools = npt.NDArray[np.bool_]
Region = Callable[[Floats], Bools]

SIDE_NAMES: Final = {-1: "right", 1: "left"}
LOBES: Final = ("right_upper", "right_middle", "right_lower", "left_upper", "left_lower")
MEDIASTINAL: Final = (
    "heart",
    "mediastinum",
    "aort",
    "vena_",
    "subclavian",
    "trachea",
    "bronchus",
    "hilum",
    "apical_fat",
)
"""Name prefixes of everything that moves when the mediastinum is pushed or pulled."""


class Site:
    """One patient's unposed geometry beside the posed scene. All points are (n, 3) mm."""

    def __init__(self, scene: Scene, patient: Patient) -> None:
        self.scene = scene
        self.patient = patient
        self.frame = Frame(patient)
        self.pose = self.frame.posture()
        self.height = self.frame.height

    def unpose(self, points: Floats) -> Floats:
        """Inverse of ``pose``, which shifts in x and y by height and then turns."""
        origin, ahead = self.pose(np.zeros((1, 3))), np.eye(3)
        ex, ey = (self.pose(ahead[k : k + 1])[0] - origin[0] for k in (0, 1))
        z = (points - origin) @ np.cross(ex, ey)
        axis = self.pose(np.stack([0.0 * z, 0.0 * z, z], axis=1))
        return np.stack([(points - axis) @ ex, (points - axis) @ ey, z], axis=1)

    def deform(self, change: Callable[[Floats], Floats], *prefixes: str) -> None:
        """Move everything whose name starts with a prefix; ``change`` works on unposed points."""

        def posed(points: Floats) -> Floats:
            return self.pose(change(self.unpose(points)))

        for prefix in prefixes:
            self.scene.move(posed, prefix)

    def shift_mediastinum(self, millimetres: float) -> None:
        """Push heart, vessels, trachea and hila towards the patient's left (positive) or right."""

        def change(points: Floats) -> Floats:
            z = points[:, 2] / self.height
            weight = np.interp(z, [-0.1, 0.1, 0.5, 0.85, 1.0], [0.3, 0.9, 1.0, 0.6, 0.0])
            return points + np.stack([millimetres * weight, 0.0 * z, 0.0 * z], axis=1)

        self.deform(change, *MEDIASTINAL)
        for name in ("carina", "heart", "hilum_left", "hilum_right"):
            moved = self.pose(change(self.unpose(self.scene.landmarks[name][None])))
            self.scene.landmarks[name] = moved[0]

    def raise_dome(self, side: int, millimetres: float) -> None:
        """Lift (or, negative, press down) one half of the diaphragm."""
        cx, cy = self.frame.dome_centre(side)
        reach = 1.1 * float(self.frame.half_width(10.0))

        def change(points: Floats) -> Floats:
            away = np.hypot(points[:, 0] - cx, points[:, 1] - cy) / reach
            weight = np.clip(1.0 - away**2, 0.0, 1.0) * np.clip((points[:, 2] + 60.0) / 60.0, 0.0, 1.0)
            # The central tendon under the heart stays where it is.
            weight = weight * smoothstep(points[:, 0] * side / (0.38 * reach))
            return points + np.stack([0 * weight, 0 * weight, millimetres * weight], axis=1)

        self.deform(change, f"abdomen_{SIDE_NAMES[side]}")
        if side > 0:
            self.deform(lambda points: points + np.asarray([0.0, 0.0, 0.8 * millimetres]), "stomach_gas")

    def lung_material(self, side: int) -> Material:
        """What the lung of one side is filled with in this scene."""
        found = self.scene.find(f"lung_{SIDE_NAMES[side]}")
        return found[0].material if found else LUNG.with_density(self.patient.lung_density)

    def set_lung_density(self, side: int, density: float) -> None:
        """Change one lung's density; its vessels and clouds follow, since they replace that very material."""
        name, old = SIDE_NAMES[side], self.lung_material(side)
        for solid in self.scene.find(f"lung_{name}"):
            solid.material = old.with_density(density)
        for one in self.scene.capsules:
            if one.instead == old and one.name.endswith(name):
                one.instead = old.with_density(density)

    def fissure_z(self, points: Floats) -> Floats:
        """Height of the oblique fissure over each point; the lower lobe lies below and behind."""
        t = np.linspace(1.05, -0.05, 40)
        y = (0.80 - 1.35 * t) * 80.0 - 16.0 * np.sin(np.pi * t) + 12.0 * np.sin(2.0 * np.pi * t)
        z = self.height * (0.74 - 0.60 * t)
        return np.asarray(
            np.interp(points[:, 1], y, z) + 10.0 * np.abs(points[:, 0]) / self.patient.half_width
        )

    @cached_property
    def minor_z(self) -> float:
        """Height of the minor fissure, as drawn in the scene or, where none shows, as usual."""
        found = self.scene.find("fissure_minor")
        if not found:
            return 0.435 * self.height
        return float(self.unpose(found[0].mesh.vertices)[:, 2].mean())

    def in_lobe(self, lobe: str, points: Floats) -> Bools:
        """Which points lie in one of ``LOBES`` (the side itself is not tested)."""
        lower = points[:, 2] < self.fissure_z(points)
        if lobe.endswith("lower"):
            return np.asarray(lower)
        if lobe == "left_upper":
            return np.asarray(~lower)
        above = points[:, 2] > self.minor_z
        return np.asarray(~lower & (above if lobe == "right_upper" else ~above))

    @cached_property
    def _heart(self) -> tuple[Floats, cKDTree, Floats]:
        found = self.scene.find("heart")[0]
        vertices = self.unpose(found.mesh.vertices)
        middle = vertices.mean(axis=0)
        reach = np.linalg.norm(vertices - middle, axis=1)
        return middle, cKDTree((vertices - middle) / reach[:, None]), reach

    def outside_heart(self, points: Floats, margin: float = 3.0) -> Bools:
        """Which points keep ``margin`` mm from heart and mediastinum."""
        middle, tree, reach = self._heart
        away = points - middle
        far = np.linalg.norm(away, axis=1)
        _, nearest = tree.query(away / np.maximum(far, 1e-6)[:, None])
        # Beside the vertebral bodies the paraspinal tissue is wider than the mediastinum before them.
        behind = points[:, 1] > self.frame.spine_y(points[:, 2]) - 5.0
        wide = np.where(behind, 29.0, 15.0 * self.patient.mediastinum_width)
        clear = np.abs(points[:, 0]) > wide + margin
        return np.asarray((far > reach[nearest] + margin) & clear)

    def in_lung(self, points: Floats, side: int, margin: float = 3.0) -> Bools:
        """Which points lie in one lung, clear of heart and mediastinum."""
        inside = self.frame.inside_lung(points, side, margin)
        inside[inside] = self.outside_heart(points[inside], margin)
        return inside

    def lung_points(
        self,
        side: int,
        count: int,
        rng: np.random.Generator,
        region: Region | None = None,
        margin: float = 3.0,
    ) -> tuple[Floats, float]:
        """Up to ``count`` random unposed points of a region in one lung, and its volume in mm3."""
        p = self.patient
        low = np.asarray([0.0, -112.0 * p.depth, -26.0])
        high = np.asarray([p.half_width, 108.0 * p.depth, self.height])
        kept, found, tried = np.empty((0, 3)), 0, 0
        while found < count and tried < 40 * count + 40_000:
            points = rng.uniform(low, high, (max(2 * count, 6000), 3))
            points[:, 0] *= side
            tried += len(points)
            if region is not None:
                points = points[region(points)]
            points = points[self.in_lung(points, side, margin)]
            kept, found = np.concatenate([kept, points]), found + len(points)
        return kept[:count], float(np.prod(high - low) * found / max(tried, 1))


def smoothstep(x: npt.ArrayLike) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
