"""Pulmonary oedema: perihilar haze, Kerley B lines, cephalisation, thick bronchial walls and fissures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from suite.phantom.anatomy.lungs import SIDES
from suite.phantom.cloud import puffs
from suite.phantom.materials import SOFT
from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, stuff
from suite.phantom.pathology.site import Site, smoothstep
from suite.phantom.patient import Patient
from suite.phantom.scene import Capsules, Scene

_PUFF_VOLUME = (2.0 * np.pi) ** 1.5


@dataclass(frozen=True, slots=True)
class Edema(Pathology):
    """Congestion and oedema of both lungs.

    Attributes:
        severity: 0 congestion of the vessels only, 0.4 interstitial, 1 alveolar ("bat wings").
        kerley: number of septal lines on each side.
        right: share of the haze on the right lung, 0.5 is even.
        perihilar: 1 keeps the haze about the hila, 0 spreads it over the lower lungs.
    """

    code: ClassVar[str] = "edema"
    severity: float = 0.6
    kerley: int = 8
    right: float = 0.5
    perihilar: float = 0.7

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Edema:
        """From interstitial to alveolar, nearly even."""
        severity = float(np.clip(rng.beta(1.6, 1.8), 0.2, 1.0))
        return cls(
            severity,
            int(rng.integers(3, 14)),
            float(np.clip(rng.normal(0.52, 0.07), 0.3, 0.7)),
            float(rng.uniform(0.4, 1.0)),
        )

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Widen upper vessels, thicken bronchial walls and fissures, add septal lines and haze."""
        site = Site(scene, patient)
        self._cephalise(site)
        for solid in scene.find("bronchus_wall"):
            middle = solid.mesh.vertices.mean(axis=0)
            grow = 1.0 + 0.10 * self.severity
            solid.mesh = solid.mesh.moved(_scaled_about(middle, grow))
        for (side, name), own in zip(SIDES, rng.spawn(2), strict=True):
            share = 2.0 * (self.right if side < 0 else 1.0 - self.right)
            self._add_haze(site, side, name, share, own)
            self._add_kerley(site, side, name, own)

    def _cephalise(self, site: Site) -> None:
        hilum = site.scene.landmarks["hilum_right"][2]
        for k, one in enumerate(site.scene.capsules):
            if one.name.startswith("vessels_"):
                height = 0.5 * (one.starts[:, 2] + one.ends[:, 2])
                up = smoothstep((height - hilum + 20.0) / 60.0)
                grow = 1.0 + 0.45 * min(1.0, 1.5 * self.severity) * up
                site.scene.capsules[k] = replace(one, radii=one.radii * grow[:, None])

    def _add_haze(self, site: Site, side: int, name: str, share: float, rng: np.random.Generator) -> None:
        hilum = site.frame.landmarks()[f"hilum_{name}"]
        reach = 48.0 + 34.0 * self.severity
        dice = np.random.default_rng(int(rng.integers(2**31)))
        waves = rng.normal(size=(8, 3)) / 34.0
        phase = rng.uniform(0.0, 2.0 * np.pi, 8)

        def region(points: Floats) -> np.ndarray:
            near = 1.1 * np.exp(-((np.linalg.norm((points - hilum) * [1.0, 0.75, 0.8], axis=1) / reach) ** 2))
            low = np.clip(1.15 - 1.3 * points[:, 2] / site.height, 0.05, 1.0)
            chance = self.perihilar * near + (1.0 - self.perihilar) * low
            chance = chance * (0.75 + 0.35 * np.sin(points @ waves.T + phase).sum(axis=1) / 2.0)
            return np.asarray(dice.random(len(points)) < chance)

        points, volume = site.lung_points(side, 1300, rng, region, 3.0)
        if not len(points):
            return
        filling = (0.10 + 0.75 * self.severity**1.3) * share if self.severity > 0.15 else 0.0
        split = len(points) // 3
        tissue = site.lung_material(side)
        for key, part, sigma, weight in (
            ("haze", points[:split], 10.0, 0.8),
            ("spots", points[split:], 3.6, 0.2),
        ):
            each = weight * filling * volume / (len(part) * _PUFF_VOLUME * sigma**3)
            uneven = each * rng.gamma(3.0, 1.0 / 3.0, len(part))
            cloud = puffs(f"edema_{key}_{name}", site.pose(part), sigma, uneven, stuff(self.code), tissue)
            site.scene.capsules.append(cloud)

    def _add_kerley(self, site: Site, side: int, name: str, rng: np.random.Generator) -> None:
        """Short septa at right angles to the lateral pleura, each a row of fine rods front to back."""
        if not self.kerley:
            return
        n, rods = self.kerley, 5
        z = rng.uniform(0.04, 0.36, n) * site.height
        angle = side * rng.uniform(1.35, 1.85, n)
        outer = site.frame.wall(z, angle, -1.0)
        inner = site.frame.wall(z, angle, -1.0)
        length = rng.uniform(9.0, 19.0, n)
        inner[:, 0] -= side * length
        inner[:, 2] += length * rng.normal(0.12, 0.12, n)
        inner[:, 1] += rng.normal(0.0, 1.5, n)
        back = (np.arange(rods) - 0.5 * (rods - 1))[None, :, None] * np.asarray([0.0, 3.0, 0.0])
        starts = (outer[:, None] + back).reshape(-1, 3)
        ends = (inner[:, None] + back).reshape(-1, 3)
        radius = np.repeat(rng.uniform(0.4, 0.65, n), rods)
        lines = Capsules(
            f"edema_septa_{name}",
            site.pose(starts),
            site.pose(ends),
            np.column_stack([radius, 0.7 * radius]),
            SOFT,
            site.lung_material(side),
            ("finding:edema",),
        )
        site.scene.capsules.append(lines)


def _scaled_about(middle: Floats, factor: float):  # type: ignore[no-untyped-def]
    return lambda points: middle + factor * (points - middle)
