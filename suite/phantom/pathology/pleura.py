"""Other pleural disease: thickening, plaques, calcified ones included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from suite.phantom.materials import CALCIUM, SOFT
from suite.phantom.mesh import Floats, Mesh, loft
from suite.phantom.pathology.contract import Pathology, label, stuff
from suite.phantom.pathology.shell import pleural_shell
from suite.phantom.pathology.site import SIDE_NAMES, Site
from suite.phantom.patient import Patient
from suite.phantom.scene import Priority, Scene


@dataclass(frozen=True, slots=True)
class Rind:
    """Thickened pleura over a part of the wall.

    Attributes:
        side: -1 right, 1 left.
        low, high: its extent as fractions of the lung's height.
        thick_mm: in its middle.
        start, stop: azimuth in radians, 0 at the spine, pi in front.
    """

    side: int = -1
    low: float = 0.05
    high: float = 0.6
    thick_mm: float = 7.0
    start: float = 0.9
    stop: float = 2.4


@dataclass(frozen=True, slots=True)
class Plaque:
    """A raised patch on wall or diaphragm.

    Attributes:
        side: -1 right, 1 left.
        height: fraction of the lung's height, ignored on the diaphragm; azimuth: radians.
        length_mm: its size; thick_mm: its height over the pleura.
        calcified: 0 soft to 1 dense with chalk.
        diaphragm: it lies on the dome.
    """

    side: int = -1
    height: float = 0.35
    azimuth: float = 1.9
    length_mm: float = 35.0
    thick_mm: float = 4.0
    calcified: float = 0.5
    diaphragm: bool = False


@dataclass(frozen=True, slots=True)
class PleuralOther(Pathology):
    """Thickening and plaques."""

    code: ClassVar[str] = "pleural_other"
    rinds: tuple[Rind, ...] = (Rind(),)
    plaques: tuple[Plaque, ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> PleuralOther:
        """Apical or basal thickening of one side, or plaques on both."""
        if rng.random() < 0.5:
            apical = rng.random() < 0.45
            thick = float(rng.uniform(4.0, 13.0))
            low, high = (0.80, 0.995) if apical else (-0.08, float(rng.uniform(0.25, 0.75)))
            side = -1 if rng.random() < 0.5 else 1
            rinds = [Rind(side, low, high, thick, *((0.3, 2.9) if apical else (0.8, 2.3)))]
            if apical and rng.random() < 0.5:
                rinds.append(Rind(-side, low, high, 0.7 * thick, 0.3, 2.9))
            return cls(tuple(rinds), ())
        hard = rng.random() < 0.6
        plaques = tuple(
            Plaque(
                side=-1 if rng.random() < 0.5 else 1,
                height=float(rng.uniform(0.15, 0.62)),
                azimuth=float(rng.uniform(1.1, 2.6)),
                length_mm=float(rng.uniform(18.0, 55.0)),
                thick_mm=float(rng.uniform(2.5, 7.0)),
                calcified=float(rng.uniform(0.3, 1.0)) if hard else 0.0,
                diaphragm=bool(rng.random() < 0.25),
            )
            for _ in range(int(rng.integers(2, 8)))
        )
        return cls((), plaques)

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Line the wall with rinds and stick plaques onto it."""
        site = Site(scene, patient)
        for k, rind in enumerate(self.rinds):
            _add_rind(site, f"rind_{k}_{SIDE_NAMES[rind.side]}", rind)
        for k, (plaque, own) in enumerate(zip(self.plaques, rng.spawn(len(self.plaques)), strict=True)):
            _add_plaque(site, f"plaque_{k}_{SIDE_NAMES[plaque.side]}", plaque, own)


def _add_rind(site: Site, name: str, rind: Rind) -> None:
    z = np.linspace(rind.low, rind.high, 20) * site.height
    along = np.sin(np.linspace(0.06, 0.94, 20) * np.pi) ** 0.5
    if rind.low < 0.0:
        # Basal rinds fill the costophrenic angle and run out upwards.
        along = np.linspace(1.0, 0.08, 20) ** 0.7
    if rind.high > 0.98:
        along = np.linspace(0.05, 1.0, 20)
    across = np.sin(np.linspace(0.03, 0.97, 24) * np.pi) ** 0.5
    thickness = rind.thick_mm * along[:, None] * across[None, :]
    mesh = pleural_shell(site.frame, rind.side, z, thickness, rind.start, rind.stop)
    site.scene.add(name, mesh.moved(site.pose), stuff("pleural_other"), Priority.PLEURA - 0.5)


def _add_plaque(site: Site, name: str, plaque: Plaque, rng: np.random.Generator) -> None:
    mesh = _patch(site, plaque, 1.0, plaque.thick_mm, rng).moved(site.pose)
    if plaque.calcified <= 0.0:
        site.scene.add(name, mesh, SOFT, Priority.PLEURA - 0.4, label("pleural_other"))
        return
    chalk = CALCIUM.with_density(1.25 + 0.5 * plaque.calcified)
    flat = _patch(site, plaque, 0.9, max(1.2, 0.65 * plaque.thick_mm), rng).moved(site.pose)
    # On the diaphragm the abdomen would outrank them.
    above = Priority.ABDOMEN + 0.2 if plaque.diaphragm else Priority.PLEURA - 0.4
    site.scene.add(name, mesh, SOFT, above, label("pleural_other"))
    site.scene.add(f"{name}_chalk", flat, chalk, above + 0.1, label("pleural_other"))


def _patch(site: Site, plaque: Plaque, share: float, thick: float, rng: np.random.Generator) -> Mesh:
    """A leaf-shaped patch: rings shrink from its frayed outline to its middle and rise from the pleura."""
    angle = 2.0 * np.pi * np.arange(36) / 36
    outline = np.ones(36)
    for k in range(2, 7):
        outline += rng.normal(0.0, 0.22 / k**0.5) * np.cos(k * angle + rng.uniform(0.0, 2.0 * np.pi))
    outline = np.clip(outline, 0.45, 1.6) * 0.5 * plaque.length_mm * share
    rho = np.asarray([1.0, 0.97, 0.85, 0.6, 0.3, 0.05])
    rise = np.asarray([-0.5, 0.0, 0.0, 0.0, 0.0, 0.0]) + thick * np.sqrt(np.maximum(1.0 - rho**2, 0.0))
    u, v = rho[:, None] * outline * np.cos(angle), rho[:, None] * outline * np.sin(angle)
    return loft(_on_pleura(site, plaque, u, 0.75 * v, np.broadcast_to(rise[:, None], u.shape)))


def _on_pleura(site: Site, plaque: Plaque, u: Floats, v: Floats, rise: Floats) -> Floats:
    frame, side = site.frame, plaque.side
    if plaque.diaphragm:
        cx, cy = frame.dome_centre(side)
        x, y = (
            cx + side * 20.0 * np.cos(5.0 * plaque.azimuth) + u,
            cy + 25.0 * np.sin(5.0 * plaque.azimuth) + v,
        )
        return np.stack([x, y, frame.dome(side, x, y) + rise - 0.3], axis=-1)
    z = plaque.height * site.height + v
    radius = 0.8 * float(frame.half_width(plaque.height * site.height))
    return frame.wall(z, side * (plaque.azimuth + u / radius), -rise)  # type: ignore[arg-type]
