"""Disease that fills air spaces: consolidation, pneumonia and the opacity nobody can name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from suite.phantom.anatomy.vessels import grow_tree
from suite.phantom.cloud import puffs
from suite.phantom.materials import GAS
from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, stuff
from suite.phantom.pathology.site import LOBES, SIDE_NAMES, Region, Site
from suite.phantom.patient import Patient
from suite.phantom.scene import Capsules, Scene

DENSE = 0.7
"""Filling from which pneumonia counts as consolidation too."""

_PUFF_VOLUME = (2.0 * np.pi) ** 1.5


@dataclass(frozen=True, slots=True)
class Focus:
    """One patch of filled air spaces.

    Attributes:
        lobe: one of ``site.LOBES``; the patch ends at its fissures.
        radius_mm: how far it reaches from its middle; larger than the lobe fills the lobe.
        filling: share of the air spaces filled in its middle, 0 to 1.
        grain: 0 smooth to 1 made of separate acinar spots.
    """

    lobe: str = "right_lower"
    radius_mm: float = 60.0
    filling: float = 0.8
    grain: float = 0.4

    @property
    def side(self) -> int:
        """-1 right, 1 left."""
        return -1 if self.lobe.startswith("right") else 1


@dataclass(frozen=True, slots=True)
class Consolidation(Pathology):
    """Dense filling of a lobe or a part of it, bronchi still open.

    Attributes:
        foci: the patches.
        bronchogram: air-filled bronchi show in them.
    """

    code: ClassVar[str] = "consolidation"
    foci: tuple[Focus, ...] = (Focus(),)
    bronchogram: bool = True

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Consolidation:
        """One lobe, half of the time all of it; seldom a second."""
        count = 1 if rng.random() < 0.8 else 2
        lobes = rng.choice(LOBES, count, replace=False, p=(0.22, 0.14, 0.27, 0.14, 0.23))
        foci = tuple(
            Focus(
                str(lobe),
                float(rng.uniform(38.0, 75.0) if rng.random() < 0.5 else rng.uniform(90.0, 150.0)),
                float(rng.uniform(0.6, 0.95)),
                float(rng.uniform(0.1, 0.6)),
            )
            for lobe in lobes
        )
        return cls(foci, bool(rng.random() < 0.75))

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Fill the air spaces, then let the bronchi show."""
        _fill(Site(scene, patient), self.code, self.foci, self.bronchogram, rng)


@dataclass(frozen=True, slots=True)
class Pneumonia(Pathology):
    """Patchy filling along the bronchi; where it is dense and confluent it is consolidation as well."""

    code: ClassVar[str] = "pneumonia"
    foci: tuple[Focus, ...] = (Focus(radius_mm=38.0, filling=0.5, grain=0.8),)

    @property
    def codes(self) -> tuple[str, ...]:
        """Pneumonia, with consolidation from a filling of ``DENSE``."""
        dense = max((focus.filling for focus in self.foci), default=0.0) >= DENSE
        return (self.code, "consolidation") if dense else (self.code,)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Pneumonia:
        """One to five patches, mostly in the lower zones, on one side or both."""
        count = int(rng.choice([1, 2, 3, 4, 5], p=(0.35, 0.25, 0.2, 0.12, 0.08)))
        weights = np.asarray((0.17, 0.18, 0.28, 0.13, 0.24))
        if rng.random() < 0.6:
            weights = weights * ([1, 1, 1, 0, 0] if rng.random() < 0.55 else [0, 0, 0, 1, 1])
        lobes = rng.choice(LOBES, count, p=weights / weights.sum())
        dense = rng.random() < 0.35
        foci = tuple(
            Focus(
                str(lobe),
                float(rng.uniform(22.0, 55.0)),
                float(rng.uniform(0.7, 0.9) if dense and k == 0 else rng.uniform(0.28, 0.6)),
                float(rng.uniform(0.5, 1.0)),
            )
            for k, lobe in enumerate(lobes)
        )
        return cls(foci)

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Fill the patches; dense ones count as consolidation too."""
        site = Site(scene, patient)
        _fill(site, self.code, self.foci, False, rng)


@dataclass(frozen=True, slots=True)
class LungOpacity(Pathology):
    """An opacity of no particular kind: a hazy area that could be any of its children."""

    code: ClassVar[str] = "lung_opacity"
    foci: tuple[Focus, ...] = (Focus(radius_mm=40.0, filling=0.3, grain=0.3),)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> LungOpacity:
        """One or two hazy patches anywhere."""
        lobes = rng.choice(LOBES, int(rng.integers(1, 3)))
        return cls(
            tuple(
                Focus(
                    str(lobe),
                    float(rng.uniform(28.0, 70.0)),
                    float(rng.uniform(0.18, 0.4)),
                    float(rng.uniform(0.1, 0.6)),
                )
                for lobe in lobes
            )
        )

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Fill the patches thinly."""
        _fill(Site(scene, patient), self.code, self.foci, False, rng)


def _fill(
    site: Site, code: str, foci: tuple[Focus, ...], bronchogram: bool, rng: np.random.Generator
) -> None:
    for k, (focus, own) in enumerate(zip(foci, rng.spawn(len(foci)), strict=True)):
        add_focus(site, code, k, focus, bronchogram, own)


def add_focus(
    site: Site, code: str, k: int, focus: Focus, bronchogram: bool, rng: np.random.Generator
) -> None:
    """Fill one patch of a lobe with puffs, large ones for the haze and small ones for acinar spots."""
    region = _patch(site, focus, rng)
    coarse, fine = 5.0 + 3.0 * (1.0 - focus.grain), 2.6
    spread = 0.10 + 0.35 * focus.grain
    count = int(np.clip(0.05 * focus.radius_mm**2, 120, 900))
    points, volume = site.lung_points(focus.side, 5 * count, rng, region, 2.0)
    if len(points) < 8:
        return
    side = SIDE_NAMES[focus.side]
    # Dense pneumonia is consolidation as well, and belongs to both masks.
    dense = code == "pneumonia" and focus.filling >= DENSE
    material = stuff(code, "consolidation") if dense else stuff(code)
    tissue = site.lung_material(focus.side)
    split = len(points) // 5
    shares = (1.0 - 0.6 * focus.grain, 0.6 * focus.grain)
    for name, part, sigma, share in (
        ("haze", points[:split], coarse, shares[0]),
        ("spots", points[split:], fine, shares[1]),
    ):
        each = share * focus.filling * volume / (len(part) * _PUFF_VOLUME * sigma**3)
        uneven = rng.gamma(1.0 / spread, spread, len(part))
        size = sigma * rng.uniform(0.75, 1.25, len(part))
        own = puffs(
            f"{code}_{k}_{name}_{side}",
            site.pose(part),
            size,
            each * uneven * (sigma / size) ** 3,
            material,
            tissue,
        )
        site.scene.capsules.append(own)
    if bronchogram:
        _add_bronchi(site, f"{code}_{k}_bronchi_{side}", focus.side, points, rng, code)


def _patch(site: Site, focus: Focus, rng: np.random.Generator) -> Region:
    """Points of a lobe around a random middle, thinning out towards the patch's edge."""
    seeds, _ = site.lung_points(focus.side, 1, rng, lambda points: site.in_lobe(focus.lobe, points), 10.0)
    middle = seeds[0] if len(seeds) else site.frame.landmarks()[f"hilum_{SIDE_NAMES[focus.side]}"]
    stretch = rng.uniform(0.8, 1.25, 3)
    waves = rng.normal(size=(6, 3)) / (0.35 * focus.radius_mm + 6.0)
    phase = rng.uniform(0.0, 2.0 * np.pi, 6)
    dice = np.random.default_rng(int(rng.integers(2**31)))

    def inside(points: Floats) -> np.ndarray:
        lobe = site.in_lobe(focus.lobe, points)
        away = np.linalg.norm((points - middle) * stretch, axis=1) / focus.radius_mm
        rough = 0.22 * np.sin(points @ waves.T + phase).sum(axis=1) / np.sqrt(3.0)
        return np.asarray(lobe & (dice.random(len(points)) < np.clip(2.4 * (1.0 - away + rough), 0.0, 1.0)))

    return inside


def _add_bronchi(
    site: Site, name: str, side: int, points: Floats, rng: np.random.Generator, code: str
) -> None:
    goals = points[rng.choice(len(points), min(16, len(points)), replace=False)]
    root = site.frame.landmarks()[f"hilum_{SIDE_NAMES[side]}"]
    starts, ends, radii = grow_tree(goals, root, 2.6, rng)
    air = Capsules(name, site.pose(starts), site.pose(ends), np.maximum(radii, 1.0), GAS, stuff(code))
    site.scene.capsules.append(air)
