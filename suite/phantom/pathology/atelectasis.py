"""Atelectasis: plates across the lung bases, and lobes that collapse with loss of volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from suite.phantom.anatomy.lungs import sheet
from suite.phantom.cloud import puffs
from suite.phantom.materials import SOFT
from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, label, stuff
from suite.phantom.pathology.site import LOBES, SIDE_NAMES, Site, smoothstep
from suite.phantom.patient import Patient
from suite.phantom.scene import Priority, Scene

_PUFF_VOLUME = (2.0 * np.pi) ** 1.5


@dataclass(frozen=True, slots=True)
class Plate:
    """A band of airless lung, 1 to 5 mm thick.

    Attributes:
        side: -1 right, 1 left.
        length_mm, depth_mm: across and front to back; thick_mm: its thickness.
        above_mm: height over the diaphragm's dome; tilt: slope of its long axis.
        out: 0 medial to 1 lateral.
    """

    side: int = -1
    length_mm: float = 55.0
    depth_mm: float = 45.0
    thick_mm: float = 2.2
    above_mm: float = 18.0
    tilt: float = 0.1
    out: float = 0.5


@dataclass(frozen=True, slots=True)
class Collapse:
    """A collapsed lobe.

    Attributes:
        lobe: one of ``site.LOBES``.
        severity: 0 a little smaller and denser to 1 a thin wedge.
    """

    lobe: str = "left_lower"
    severity: float = 0.7

    @property
    def side(self) -> int:
        """-1 right, 1 left."""
        return -1 if self.lobe.startswith("right") else 1


@dataclass(frozen=True, slots=True)
class Atelectasis(Pathology):
    """Plates, collapsed lobes, or both."""

    code: ClassVar[str] = "atelectasis"
    plates: tuple[Plate, ...] = (Plate(),)
    collapses: tuple[Collapse, ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Atelectasis:
        """Plates in seven of ten, else one lobe, lower ones first."""
        if rng.random() < 0.3:
            lobe = str(rng.choice(LOBES, p=(0.2, 0.12, 0.25, 0.13, 0.30)))
            return cls((), (Collapse(lobe, float(rng.uniform(0.4, 1.0))),))
        plates = tuple(
            Plate(
                side=-1 if rng.random() < 0.5 else 1,
                length_mm=float(rng.uniform(30.0, 85.0)),
                depth_mm=float(rng.uniform(25.0, 60.0)),
                thick_mm=float(rng.uniform(1.2, 3.8)),
                above_mm=float(rng.uniform(11.0, 48.0)),
                tilt=float(rng.normal(0.05, 0.16)),
                out=float(rng.uniform(0.25, 0.7)),
            )
            for _ in range(int(rng.integers(1, 5)))
        )
        return cls(plates, ())

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Collapse lobes first, since that moves the diaphragm under the plates."""
        site = Site(scene, patient)
        own = rng.spawn(len(self.collapses) + len(self.plates))
        for one, stream in zip(self.collapses, own, strict=False):
            _collapse(site, one, stream)
        for k, (plate, stream) in enumerate(zip(self.plates, own[len(self.collapses) :], strict=True)):
            _add_plate(site, f"plate_{k}", plate, stream)


def _add_plate(site: Site, name: str, plate: Plate, rng: np.random.Generator) -> None:
    frame, side = site.frame, plate.side
    width = float(frame.half_width(30.0))
    x0 = side * (0.30 + 0.42 * plate.out) * width
    y0 = rng.uniform(-20.0, 35.0)
    z0 = float(frame.dome(side, np.asarray([x0]), np.asarray([y0]))[0]) + plate.above_mm
    u, v = np.linspace(-1.0, 1.0, 22), np.linspace(-1.0, 1.0, 10)
    gu, gv = np.meshgrid(u, v, indexing="ij")
    # Frayed outline, thinner ends, a slight wave.
    fray = 1.0 + 0.10 * np.sin(3.0 * gv * rng.uniform(1.0, 2.0) + rng.uniform(0.0, 6.0))
    x = x0 + 0.5 * plate.length_mm * gu * fray
    y = y0 + 0.5 * plate.depth_mm * gv * np.sqrt(np.maximum(1.0 - 0.85 * gu**2, 0.05))
    wave = rng.normal(0.0, 1.0) * np.cos(2.0 * gu) + rng.normal(0.0, 0.5) * np.sin(4.0 * gu)
    z = z0 + plate.tilt * (x - x0) + 1.6 * wave + rng.normal(0.0, 0.05) * (y - y0)
    reach = frame.half_width(z) - 4.0
    grid = np.stack([np.clip(x, -reach, reach), y, z], axis=-1)
    thick = plate.thick_mm * np.sqrt(np.maximum(1.0 - gu**2, 0.04))[..., None]
    mesh = sheet(grid, thick).moved(site.pose)  # type: ignore[arg-type]
    # Over the lung's own tissue only: wall, heart and diaphragm outrank it.
    site.scene.add(name, mesh, SOFT.with_density(0.8), Priority.LUNG + 2.0, label("atelectasis"))


def _collapse(site: Site, one: Collapse, rng: np.random.Generator) -> None:
    side, name, s = one.side, SIDE_NAMES[one.side], one.severity
    before = _distance_inside(site, one, s)
    upper = one.lobe.endswith("upper")
    site.shift_mediastinum(side * (10.0 if upper or one.lobe.endswith("lower") else 3.0) * s)
    site.raise_dome(side, (18.0 if not upper else 10.0) * s)
    if one.lobe == "right_upper":
        _lift_minor(site, 45.0 * s)
    site.deform(lambda points: _spread(site, one, points), f"vessels_artery_{name}", f"vessels_vein_{name}")
    points, volume = site.lung_points(side, 2600, rng, before, 0.5)
    if len(points) < 20:
        return
    sigma = 4.6
    share = (0.75 + 0.45 * s) * volume / (len(points) * _PUFF_VOLUME * sigma**3)
    cloud = puffs(
        f"collapse_{name}", site.pose(points), sigma, share, stuff("atelectasis"), site.lung_material(side)
    )
    site.scene.capsules.append(cloud)


def _lift_minor(site: Site, millimetres: float) -> None:
    def change(points: Floats) -> Floats:
        out = np.clip(np.abs(points[:, 0]) / site.patient.half_width, 0.2, 1.0)
        return points + np.stack([0 * out, 0 * out, millimetres * out], axis=1)

    site.deform(change, "fissure_minor")


def _distance_inside(site: Site, one: Collapse, s: float):  # type: ignore[no-untyped-def]
    """The region a collapsed lobe shrinks to."""
    L = site.height  # noqa: N806 - lung height
    hilum = site.frame.landmarks()[f"hilum_{SIDE_NAMES[one.side]}"]

    def inside(points: Floats) -> np.ndarray:
        x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
        width = site.frame.half_width(z)
        if one.lobe == "right_upper":
            # The minor fissure swings up about the hilum: a wedge against the upper mediastinum.
            floor = hilum[2] + 8.0 + (0.10 + 1.5 * s) * np.maximum(x - 25.0, 0.0)
            return np.asarray((z > floor) & ~(z < site.fissure_z(points)))
        if one.lobe == "right_middle":
            level = site.minor_z - 12.0 * s
            half = 26.0 * (1.0 - 0.5 * s) * np.clip(1.15 - x / (0.75 * width), 0.0, 1.0)
            return np.asarray((np.abs(z - level + 0.12 * x) < half) & (y < 5.0))
        if one.lobe == "left_upper":
            # Falls forward: a veil behind the front wall.
            ahead = y - site.frame.front(z)
            return np.asarray(ahead < 70.0 - 45.0 * s)
        # Lower lobes fold down and in behind the heart: a triangle on the diaphragm.
        edge = 26.0 + (0.95 - 0.5 * s) * width * np.clip(1.0 - (z / L) / (0.56 - 0.06 * s), 0.0, 1.0)
        return np.asarray((x < edge) & (y > 20.0 + 8.0 * s) & (z < (0.56 - 0.06 * s) * L))

    return inside


def _spread(site: Site, one: Collapse, points: Floats) -> Floats:
    """The other lobes expand: vessels drift a little towards the empty space."""
    drift = 14.0 * one.severity * smoothstep(points[:, 2] / site.height)
    up = 1.0 if one.lobe.endswith("upper") else -1.0
    return points + np.stack([0 * drift, 0 * drift, up * drift], axis=1)
