"""Metal in bones: plates with screws, nails, wires, hip and knee prostheses."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

from typing import Final

import numpy as np

from suite.phantom.limbs.workshop import Point, Workshop
from suite.phantom.materials import MUSCLE, STEEL, TITANIUM, Material
from suite.phantom.mesh import Floats, Mesh, ellipsoid, loft, resample, tangents, tube
from suite.phantom.scene import Priority

COBALT_CHROME: Final = Material("cobalt_chrome", "steel", 8.3)


def plate(
    w: Workshop,
    bone: str,
    where: tuple[float, float],
    direction: Point,
    screws: int,
    size: float = 1.0,
    flare: float = 0.0,
) -> None:
    """A plate on one side of a long bone, held by screws through both cortices.

    Args:
        bone: name given to ``Workshop.long_bone``.
        where: first and last place along the bone, 0 to 1.
        direction: from the bone's axis towards the plate.
        size: 1 for a forearm's plate (11 mm wide, 3.4 mm thick).
        flare: how much broader the first fifth of the plate is, 0 for a straight one.
    """
    line, radius = _stretch(w, bone, where)
    aim = np.asarray(direction, dtype=np.float64)
    tangent = tangents(line)
    out = aim - (tangent @ aim)[:, None] * tangent
    out = out / np.linalg.norm(out, axis=1, keepdims=True)
    metal = TITANIUM if w.rng.random() < 0.6 else STEEL
    path = line + out * (radius + 1.5 * size)[:, None]
    along = np.linspace(0.0, 1.0, len(path))
    # Scalloped between the holes, and broader at a joint when flared.
    width = (
        5.2
        * size
        * (0.88 - 0.12 * np.cos(2.0 * np.pi * along * screws))
        * (1.0 + flare * np.clip(1 - 5 * along, 0, 1))
    )
    w.metal(f"plate_{bone}", tube(path, width, 1.7 * size, out, 14), metal)
    for k in range(screws):
        place = round((k + 0.5) / screws * (len(line) - 1))
        if 0 < k < screws - 1 and w.rng.random() < 0.2:
            hole = resample(np.stack([path[place] - 4.0 * out[place], path[place] + 4.0 * out[place]]), 4)
            w.scene.add(f"hole_{bone}_{k}", tube(hole, 2.1 * size, 2.1 * size, tangent[place], 14), MUSCLE,
                        Priority.METAL + 0.5)  # fmt: skip
            continue
        length = 2.0 * radius[place] + w.rng.uniform(0.0, 3.0)
        start = path[place] + out[place] * 1.6 * size
        _screw(w, f"screw_{bone}_{k}", start, start - out[place] * (length + 3.0 * size), 1.6 * size, metal)
    w.implants.append("plate")


def lag_screw(w: Workshop, name: str, start: Point, end: Point, radius: float = 2.0) -> None:
    """One screw from ``start`` (its head) to ``end``."""
    metal = TITANIUM if w.rng.random() < 0.5 else STEEL
    _screw(w, name, np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64), radius, metal)
    if "screw" not in w.implants:
        w.implants.append("screw")


def wire(w: Workshop, name: str, start: Point, end: Point, radius: float = 0.8) -> None:
    """A straight wire."""
    line = resample(np.asarray([start, end], dtype=np.float64), 4)
    w.metal(name, tube(line, radius, radius, (0.0, 1.0, 0.01), 10), STEEL)
    if "wire" not in w.implants:
        w.implants.append("wire")


def nail(w: Workshop, bone: str, where: tuple[float, float], radius: float) -> None:
    """A nail in the medullary canal with locking screws across it."""
    line, half = _stretch(w, bone, where)
    w.metal(f"nail_{bone}", tube(line, radius, radius, points=16), TITANIUM)
    for k, place in enumerate((3, 7, len(line) - 4)):
        if w.rng.random() < 0.8:
            across = np.asarray([half[place] + 3.0, 0.0, 0.0])
            _screw(w, f"lock_{bone}_{k}", line[place] - across, line[place] + across, 2.3, TITANIUM)
    w.implants.append("nail")


def hip(w: Workshop, centre: Floats, side: int) -> None:
    """A total hip: cup, head, neck and stem of the femur whose joint lies at ``centre``."""
    out = np.asarray([float(side), 1.0, 1.0])
    head = float(w.rng.choice([14.0, 16.0, 18.0]))
    w.metal(f"prosthesis_head_{side}", ellipsoid(centre, [head] * 3, 24, 36), COBALT_CHROME)
    knots = [np.asarray(p) * out for p in ((4.0, 0.5, -3.5), (22.0, 3.0, -20.0), (38.0, 6.0, -45.0),
                                           (44.5, 7.0, -85.0),
                                           (44.0, 6.0, -165.0))]  # fmt: skip
    line = resample(centre + np.asarray(knots), 40)
    at = np.linspace(0.0, 1.0, 40)
    wide = np.interp(at, [0.0, 0.12, 0.2, 0.32, 0.5, 0.9, 1.0], [6.5, 6.5, 9.0, 13.5, 9.0, 5.5, 2.5])
    w.metal(f"prosthesis_stem_{side}", tube(line, wide, np.minimum(0.72 * wide, 8.0), points=20), TITANIUM)
    tilt = np.deg2rad(float(w.rng.normal(43.0, 5.0)))
    axis = np.asarray([-side * np.sin(tilt), 0.12, np.cos(tilt)])
    w.metal(f"prosthesis_cup_{side}", _cup(centre, axis, 26.5, 23.5), TITANIUM)
    w.implants.append("hip prosthesis")


def _cup(centre: Floats, axis: Floats, outer: float, inner: float) -> Mesh:
    """A hemispherical shell whose pole points along ``axis``."""
    pole = axis / np.linalg.norm(axis)
    one = np.cross(pole, [0.0, 1.0, 0.0])
    one = one / np.linalg.norm(one)
    other = np.cross(pole, one)
    phi = 2.0 * np.pi * np.arange(32) / 32
    circle = np.cos(phi)[:, None] * one + np.sin(phi)[:, None] * other
    theta = np.linspace(0.05, 0.5 * np.pi, 14)
    radii = [*((inner, t) for t in theta), *((outer, t) for t in theta[::-1])]
    rings = [centre + r * (np.cos(t) * pole + np.sin(t) * circle) for r, t in radii]
    return loft(np.stack(rings))


def knee(w: Workshop) -> None:
    """A total knee: caps on the condyles, a gap of polyethylene, a tray with its stem."""
    for side in (-1, 1):
        middle = np.asarray([side * 20.0, 8.0, 23.5])
        w.metal(f"prosthesis_cap_{side}", ellipsoid(middle, (16.5, 30.0, 22.5), 24, 32), COBALT_CHROME)
        # What the cap sits on, above it in the list of priorities: only its lower rim stays metal.
        inside = ellipsoid(middle + [0.0, 3.0, 8.5], (17.5, 29.5, 23.5), 24, 32)
        w.scene.add(f"femur_cut_{side}", inside, w.spongy, Priority.METAL + 1.0, "bone")
    flange = resample(np.asarray([(0.0, -24.0, 52.0), (0.0, -26.0, 30.0), (0.0, -20.0, 12.0)]), 12)
    w.metal("prosthesis_flange", tube(flange, 20.0, 2.2, (0.0, 1.0, 0.0), 18), COBALT_CHROME)
    tray = resample(np.asarray([(0.0, 5.0, -9.5), (0.0, 5.0, -13.0)]), 4)
    w.metal("prosthesis_tray", tube(tray, 36.0, 23.0, points=40), TITANIUM)
    stem = resample(np.asarray([(0.0, 4.0, -12.0), (0.5, 4.0, -34.0), (1.0, 4.0, -52.0)]), 14)
    radius = np.interp(np.linspace(0.0, 1.0, 14), [0.0, 0.3, 0.8, 1.0], [9.0, 7.0, 6.0, 3.0])
    w.metal("prosthesis_stem", tube(stem, radius, radius, points=18), TITANIUM)
    keel = resample(np.asarray([(0.0, 6.0, -12.0), (0.0, 6.0, -30.0)]), 5)
    w.metal("prosthesis_keel", tube(keel, [20.0, 17.0, 13.0, 9.0, 5.0], 1.8, points=14), TITANIUM)
    w.implants.append("knee prosthesis")


def shoulder(w: Workshop, joint: Floats, aim: Floats) -> None:
    """A hemiprosthesis: head and stem."""
    w.metal("prosthesis_head", ellipsoid(joint + [2.5, 0.0, 1.5], (20.5, 21.0, 21.5), 24, 32), COBALT_CHROME)
    start = joint + np.asarray([-6.0, 0.0, -6.0])
    line = resample(np.stack([start, start + 35.0 * aim, start + 130.0 * aim]), 24)
    wide = np.interp(np.linspace(0.0, 1.0, 24), [0.0, 0.25, 0.9, 1.0], [13.0, 8.0, 5.0, 2.0])
    w.metal("prosthesis_stem", tube(line, wide, 0.8 * wide, points=18), TITANIUM)
    w.implants.append("shoulder prosthesis")


def _stretch(w: Workshop, bone: str, where: tuple[float, float]) -> tuple[Floats, Floats]:
    """Part of a bone's centre line, 24 points, and its half-width there."""
    at, line, half = w.lines[bone]
    wanted = np.linspace(*where, 24)
    part = np.stack([np.interp(wanted, at, line[:, k]) for k in range(3)], axis=1)
    return part, np.interp(wanted, at, half)


def _screw(w: Workshop, name: str, head: Floats, tip: Floats, radius: float, metal: Material) -> None:
    line = resample(np.stack([head, tip]), 14)
    width = np.full(14, radius)
    width[:2], width[-1] = 1.9 * radius, 0.4 * radius
    side = np.cross(tip - head, [0.31, 0.2, 0.93])
    w.metal(name, tube(line, width, width, side, 10), metal)
