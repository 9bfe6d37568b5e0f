"""Pneumothorax: gas in the pleural space, the lung drawn in from the wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from suite.phantom.materials import SOFT
from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, is_supine, stuff
from suite.phantom.pathology.site import SIDE_NAMES, Site, smoothstep
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene

_GAS_PRIORITY = 18.0
"""Below the lung and above muscle: gas is what remains of the cavity where the lung has left."""


@dataclass(frozen=True, slots=True)
class Pneumothorax(Pathology):
    """Gas between lung and chest wall.

    Attributes:
        side: -1 right, 1 left.
        apex_mm: distance of the lung's tip from the cupola; wall_mm: of its side from the wall, about the
            middle of the chest.
        tension_mm: how far the mediastinum is pushed over and the diaphragm pressed down.
        supine: the gas lies in front and below (deep sulcus) rather than at the top.
        line_mm: thickness of the visceral pleura.
    """

    code: ClassVar[str] = "pneumothorax"
    side: int = -1
    apex_mm: float = 35.0
    wall_mm: float = 14.0
    tension_mm: float = 0.0
    supine: bool = False
    line_mm: float = 0.6

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Pneumothorax:
        """Small ones are common, total collapse is rare; one in eight of the large is under tension."""
        apex = float(np.clip(np.exp(rng.normal(np.log(30.0), 0.55)), 8.0, 110.0))
        large = apex > 45.0
        return cls(
            side=-1 if rng.random() < 0.55 else 1,
            apex_mm=apex,
            wall_mm=float(apex * rng.uniform(0.25, 0.6)),
            tension_mm=float(rng.uniform(10.0, 30.0)) if large and rng.random() < 0.3 else 0.0,
            supine=is_supine(patient),
            line_mm=float(rng.uniform(0.4, 0.9)),
        )

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Shrink lung, vessels and fissures, leave gas, draw the pleura; push what tension pushes."""
        site = Site(scene, patient)
        name = SIDE_NAMES[self.side]
        lungs = scene.find(f"lung_{name}")
        if not lungs:
            return
        if self.tension_mm > 0.0:
            site.shift_mediastinum(-self.side * self.tension_mm)
            site.raise_dome(self.side, -1.2 * self.tension_mm)
        lung, cavity = lungs[0], lungs[0].mesh
        if self.supine:
            _deepen_sulcus(site, self.side, 10.0 + 0.35 * self.apex_mm)
        before = cavity.volume
        site.deform(
            lambda points: self._drawn_in(site, points, 0.0),
            f"lung_{name}",
            f"fissure_{name}",
            f"vessels_artery_{name}",
            f"vessels_vein_{name}",
            *(("fissure_minor",) if self.side < 0 else ()),
        )
        pleura = cavity.moved(
            lambda points: site.pose(self._drawn_in(site, site.unpose(points), self.line_mm))
        )
        # The blood and tissue stay: a smaller lung is a denser one, up to what perfusion gives up.
        density = lung.material.density * min((before / max(lung.mesh.volume, 1.0)) ** 0.85, 2.4)
        site.set_lung_density(self.side, min(density, 0.75))
        scene.add(
            f"pneumothorax_{name}",
            cavity,
            stuff(self.code, table="air", density=0.001205),
            _GAS_PRIORITY,
            f"lung_{name}",
        )
        scene.add(f"visceral_pleura_{name}", pleura, SOFT, _GAS_PRIORITY + 0.5, f"lung_{name}")
        scene.measurements["pneumothorax_apex_mm"] = self.apex_mm
        scene.measurements["pneumothorax_wall_mm"] = self.wall_mm

    def _drawn_in(self, site: Site, points: Floats, wider: float) -> Floats:
        """Where points of the full lung go; ``wider`` leaves that many mm more lung (its pleura)."""
        frame, x, y, z = site.frame, points[:, 0], points[:, 1], points[:, 2]
        front, back = frame.front(z), frame.back(z)
        middle = 0.5 * (front + back) + 0.06 * (back - front)
        reach = np.where(y > middle, back - middle, middle - front)
        a = np.clip(np.abs(x) / frame.half_width(z), 0.0, 1.2)
        b = np.clip(np.abs(y - middle) / reach, 0.0, 1.2)
        rho = (a ** (2 / 0.88) + b ** (2 / 0.86)) ** 0.435
        away = np.hypot(x, y - middle)
        wall = away / np.maximum(rho, 1e-3)
        inset = np.maximum(self._inset(site, points, middle) - wider, 0.0)
        zone = np.clip(1.5 * inset / np.maximum(wall, 1.0), 0.25, 0.95)
        weight = np.clip((rho - 1.0 + zone) / zone, 0.0, 1.3)
        scale = np.maximum(1.0 - inset * weight / np.maximum(away, 1e-3), 0.03)
        low = 0.75 if self.apex_mm > 30.0 else 0.85
        share = 0.35 if self.supine else 1.0
        # The cupola sinks; below a fraction of the height nothing does.
        drop = np.maximum(share * self.apex_mm - wider, 0.0)
        start = min(low, 1.0 - 1.8 * drop / site.height)
        sunk = z - drop * smoothstep((z / site.height - start) / (1.0 - start))
        return np.column_stack([x * scale, middle + (y - middle) * scale, sunk])

    def _inset(self, site: Site, points: Floats, middle: Floats) -> Floats:
        h = points[:, 2] / site.height
        if not self.supine:
            return np.asarray(self.wall_mm * np.interp(h, [-0.02, 0.12, 0.55, 0.9], [0.0, 0.35, 1.0, 1.6]))
        ahead = smoothstep((middle - points[:, 1]) / 60.0 + 0.45)
        return np.asarray(1.5 * self.wall_mm * ahead * np.interp(h, [-0.1, 0.4, 0.95], [1.3, 1.0, 0.4]))


def _deepen_sulcus(site: Site, side: int, millimetres: float) -> None:
    """Press the lateral diaphragm down: gas opens the costophrenic angle."""
    width = float(site.frame.half_width(0.0))

    def change(points: Floats) -> Floats:
        out = smoothstep((points[:, 0] * side / width - 0.55) / 0.4)
        return points - np.stack([0.0 * out, 0.0 * out, millimetres * out], axis=1)

    site.deform(change, f"abdomen_{SIDE_NAMES[side]}")
