"""Pleural effusion: fluid that rises along the wall when erect and layers behind when supine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, is_supine, stuff
from suite.phantom.pathology.shell import pleural_shell
from suite.phantom.pathology.site import SIDE_NAMES, Site
from suite.phantom.patient import Patient
from suite.phantom.scene import Priority, Scene


@dataclass(frozen=True, slots=True)
class Effusion:
    """Fluid on one side.

    Attributes:
        side: -1 right, 1 left.
        amount: 0 (a trace in the posterior sulcus, seen in the lateral only) to 1 (white hemithorax).
        rise_mm: how far the meniscus climbs above the level.
        layering: supine, the fluid lies behind as a veil.
    """

    side: int = -1
    amount: float = 0.35
    rise_mm: float = 55.0
    layering: bool = False


@dataclass(frozen=True, slots=True)
class PleuralEffusion(Pathology):
    """Fluid in one or both pleural spaces."""

    code: ClassVar[str] = "pleural_effusion"
    effusions: tuple[Effusion, ...] = (Effusion(),)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> PleuralEffusion:
        """Mostly small to moderate; both sides in four of ten."""
        u = rng.random()
        sides = (-1, 1) if u < 0.4 else (-1,) if u < 0.72 else (1,)
        return cls(
            tuple(
                Effusion(
                    side,
                    float(np.clip(rng.beta(1.5, 2.8), 0.06, 1.0)),
                    float(rng.uniform(35.0, 75.0)),
                    is_supine(patient),
                )
                for side in sides
            )
        )

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Add the fluid; a massive one pushes the mediastinum away."""
        site = Site(scene, patient)
        push = 0.0
        for fluid in self.effusions:
            name = SIDE_NAMES[fluid.side]
            z, thickness = _layer(site, fluid) if fluid.layering else _pool(site, fluid)
            mesh = pleural_shell(site.frame, fluid.side, z, thickness).moved(site.pose)
            scene.add(
                f"effusion_{name}",
                mesh,
                stuff(self.code, table="water", density=1.02),
                Priority.PLEURA,
                f"pleura_{name}",
            )
            push -= fluid.side * max(fluid.amount - 0.65, 0.0) * 50.0
        if push:
            site.shift_mediastinum(push)


def _pool(site: Site, fluid: Effusion) -> tuple[Floats, Floats]:
    """Heights and thickness (z, angle) of erect fluid: full below its level, a thinning film above."""
    bottom = float(site.frame.sulcus(fluid.side, 0.0)) - 6.0
    level = bottom + 4.0 + (0.80 * site.height - bottom) * fluid.amount**1.25
    rise = fluid.rise_mm * (0.45 + 0.55 * min(1.0, fluid.amount / 0.25))
    z = np.concatenate([np.linspace(-45.0, level, 14), level + rise * np.linspace(0.04, 1.0, 22)])
    above = np.clip((z - level) / rise, 0.0, 1.0)
    deep = np.where(
        z <= level, 30.0 + 140.0 * np.clip((level - z) / 14.0, 0.0, 1.0), 30.0 * (1.0 - above) ** 2.1
    )
    return z, np.repeat(deep[:, None] + 0.4, 2, axis=1)


def _layer(site: Site, fluid: Effusion) -> tuple[Floats, Floats]:
    """Heights and thickness of supine fluid: a layer behind, thickest low, with a cap over the apex."""
    top = 0.84 * site.height
    z = np.concatenate(
        [np.linspace(-45.0, top, 24), top + 0.155 * site.height * np.sin(np.linspace(0.1, 1.5, 8))]
    )
    angle = np.linspace(0.05, np.pi - 0.05, 44)
    behind = np.clip(1.0 - (angle / 1.95) ** 2, 0.0, 1.0) ** 1.6
    height = np.interp(z / site.height, [-0.1, 0.1, 0.6, 0.95, 1.0], [1.5, 1.15, 0.75, 0.45, 0.3])
    return z, 0.4 + 62.0 * fluid.amount * height[:, None] * behind[None, :]
