"""Implanted metal: pacemakers and defibrillators with leads, sternal wires, valves, clips."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.materials import STEEL, TITANIUM, Material
from suite.phantom.mesh import Floats, loft, resample
from suite.phantom.pathology.lines import MARK, on_chest, to_atrium, under_clavicle, wire
from suite.phantom.pathology.site import SIDE_NAMES, Site
from suite.phantom.scene import Priority

_COIL = Material("lead_coil", "steel", 3.2)
_BATTERY = Material("battery", "steel", 2.2)


def pacemaker(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """A generator under the collar bone with one or two leads; one in three is a defibrillator."""
    name = SIDE_NAMES[side]
    k = site.patient.half_width / 134.0
    at = on_chest(site, side * k * rng.uniform(82.0, 98.0), rng.uniform(0.72, 0.80) * site.height, 9.0)
    shock = rng.random() < 0.35
    size = (1.12 if shock else 0.95) * np.asarray([22.0, 4.0, 20.0])
    turn = rng.uniform(-0.5, 0.5)
    can = _pill(at, size, turn)
    site.scene.add(f"generator_{name}", can.moved(site.pose), TITANIUM, Priority.METAL, MARK)
    cell = _pill(at - [0.0, 0.0, 4.0], size * [0.86, 0.7, 0.62], turn)
    site.scene.add(f"generator_cell_{name}", cell.moved(site.pose), _BATTERY, Priority.METAL + 1.0, MARK)
    head = at + [0.0, 0.0, 0.8 * size[2]]
    vein = np.concatenate([head[None], under_clavicle(site, side, 84.0)[1:], to_atrium(site, 20.0)])
    heart = site.unpose(site.scene.landmarks["heart"][None])[0]
    reach = 0.985 * site.patient.half_width * site.patient.cardiothoracic
    apex = heart + [0.62 * reach + rng.normal(0.0, 4.0), -28.0, -34.0 + rng.normal(0.0, 4.0)]
    floor = heart + [-0.10 * reach, -22.0, -34.0]
    atrium = heart + [-0.42 * reach, -6.0, 6.0]
    ventricle = resample(np.concatenate([vein, [atrium, floor, apex]]), 90)
    wire(site, f"lead_ventricle_{name}", ventricle, 0.85, _COIL)
    if shock:
        wire(site, f"shock_coil_{name}", ventricle[-24:-4], 1.4, _COIL.with_density(5.0))
    wire(site, f"lead_tip_{name}", ventricle[-3:], 1.2, STEEL)
    if rng.random() < 0.7:
        hook = [atrium + [-2.0, -8.0, -4.0], atrium + [6.0, -22.0, 0.0], atrium + [12.0, -28.0, 16.0]]
        line = resample(np.concatenate([vein + rng.normal(0.0, 0.8, vein.shape), hook]), 80)
        wire(site, f"lead_atrium_{name}", line, 0.8, _COIL)
        wire(site, f"lead_atrium_tip_{name}", line[-3:], 1.2, STEEL)


def _pill(at: Floats, size: Floats, turn: float):  # type: ignore[no-untyped-def]
    angle = 2.0 * np.pi * np.arange(40) / 40
    c, s = np.cos(angle), np.sin(angle)
    x, z = np.sign(c) * np.abs(c) ** 0.55 * size[0], np.sign(s) * np.abs(s) ** 0.62 * size[2]
    u, w = x * np.cos(turn) - z * np.sin(turn), x * np.sin(turn) + z * np.cos(turn)
    level = np.asarray([-1.0, -0.85, 0.85, 1.0])
    wide = np.asarray([0.88, 1.0, 1.0, 0.88])
    # The can lies on the rounded chest: its outer edge turns back.
    back = 0.25 * np.abs(u) * np.sign(u * at[0])
    points = [
        np.stack([at[0] + w_ * u, at[1] + size[1] * t + back, at[2] + w_ * w], axis=1)
        for t, w_ in zip(level, wide, strict=True)
    ]
    return loft(np.stack(points))


def sternal_wires(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """Five to seven twisted loops around the sternum, and sometimes clips along the heart's left edge."""
    height = site.height
    for n, h in enumerate(np.linspace(0.79, 0.42, int(rng.integers(5, 7)))):
        z = h * height + rng.normal(0.0, 2.0)
        y = float(site.frame.front(z)) - 9.0
        half = float(np.interp(h, [0.4, 0.6, 0.7, 0.8], [15.0, 13.0, 15.0, 24.0])) * rng.uniform(0.9, 1.15)
        t = np.linspace(0.25, 2.2, 26) * np.pi
        tilt = rng.normal(0.0, 0.12)
        loop = np.stack(
            [half * np.sin(t), y + 9.5 * np.cos(t), z + tilt * half * np.sin(t) + 2.5 * np.cos(t)], axis=1
        )
        knot = loop[-1] + np.asarray([[0.0, 0.0, 0.0], [2.0, -2.0, 3.0], [-1.0, -3.0, 6.0], [2.0, -3.0, 9.0]])
        wire(site, f"sternal_wire_{n}", np.concatenate([loop, knot]), 0.55, STEEL)
    if rng.random() < 0.5:
        heart = site.unpose(site.scene.landmarks["heart"][None])[0]
        for n in range(int(rng.integers(3, 9))):
            at = heart + rng.normal([18.0, -38.0, 26.0], [16.0, 6.0, 22.0])
            wire(site, f"clip_{n}", np.stack([at, at + rng.normal(0.0, 2.6, 3)]), 0.6, TITANIUM)


def valve(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """A prosthetic valve's ring, aortic or mitral."""
    heart = site.unpose(site.scene.landmarks["heart"][None])[0]
    aortic = rng.random() < 0.6
    at = heart + ([-4.0, -8.0, 20.0] if aortic else [16.0, 6.0, -2.0])
    axis = np.asarray([-0.5, -0.3, 0.8] if aortic else [0.7, -0.5, -0.5])
    axis = axis / np.linalg.norm(axis)
    one = np.cross(axis, [0.0, 1.0, 0.0])
    one /= np.linalg.norm(one)
    two = np.cross(axis, one)
    t = np.linspace(0.0, 2.0 * np.pi, 31)[:, None]
    radius = rng.uniform(11.0, 15.0)
    wire(
        site,
        "valve_ring",
        at + radius * (np.cos(t) * one + np.sin(t) * two),
        1.0,
        Material("valve", "titanium", 4.5),
    )
