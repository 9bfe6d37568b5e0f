"""Pelvis with lumbar spine, hips and proximal femora, seen from the front; the hip joints lie at z = 0.

Left and right are built alike with small differences; the patient's left is on the picture's right.
"""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.limbs.workshop import YELLOW_MARROW, Workshop
from suite.phantom.materials import CARTILAGE, CORTEX, MUSCLE
from suite.phantom.mesh import Floats, Mesh, ellipsoid, loft, merge, resample, tube
from suite.phantom.scene import Priority

HIP = np.asarray([88.0, 0.0, 0.0])
"""Centre of the left hip joint; the right one mirrors it in x."""

HEAD_MM = 24.0


def add(w: Workshop, female: bool, replaced: tuple[int, ...] = ()) -> None:
    """Add everything; ``replaced`` names the sides (-1 right, 1 left) whose femoral head was taken out."""
    wide = 1.06 if female else 1.0
    for side in (-1, 1):
        _add_hip_bone(w, side, wide, female)
        add_femur(w, side, wide, side in replaced)
    _add_sacrum(w)
    _add_lumbar(w)
    _add_flesh(w)
    _add_bowel(w)


def hip_centre(side: int, female: bool) -> Floats:
    """Centre (3,) of the right (-1) or left (1) hip joint."""
    return HIP * [side * (1.06 if female else 1.0), 1.0, 1.0]


def _add_hip_bone(w: Workshop, side: int, wide: float, female: bool) -> None:
    name = f"hip_{side}"
    flip = np.asarray([side * wide, 1.0, 1.0])
    shell, core = _wing(w, flip, 3.6), _wing(w, flip, 3.6 - 1.1 * w.physique.cortex)
    w.bone(f"{name}_wing", [shell], [core], level=0.0)
    crest = (
        np.asarray(
            [(118, -38, 72), (134, -26, 104), (128, 0, 132), (104, 28, 141), (66, 52, 124), (42, 58, 94)]
        )
        * flip
    )
    line = resample(crest, 30)
    w.bone(f"{name}_crest", [tube(line, 6.5, 5.0, points=14)], [tube(line, 5.3, 3.8, points=14)], level=0.05)
    brim = np.asarray(
        [(60, 48, 66), (66, 32, 48), (70, 8, 30), (66, -18, 16), (44, -40, 2), (24, -52, -10), (12, -56, -22)]
    )
    _strut(
        w,
        f"{name}_ramus",
        resample(brim * flip, 36),
        [(0, 13, 10), (0.35, 12, 10), (0.6, 9, 8.5), (0.8, 8, 7.5), (1, 13, 9)],
    )
    lower = -62.0 if female else -68.0
    under = np.asarray(
        [(11, -55, -24), (18, -50, -48), (38, -28, lower + 4), (60, 2, lower), (74, 14, -46), (78, 12, -18)]
    )
    _strut(
        w,
        f"{name}_ischium",
        resample(under * flip, 36),
        [(0, 13, 8.5), (0.25, 7.5, 5.5), (0.5, 11, 9), (0.72, 15, 13), (1, 14, 13)],
    )
    centre = HIP * flip
    cup = [w.knob(centre + [-side * 7.0, 4.0, 7.0], (29.0, 28.0, 29.0), 0.0, 1.6),
           w.knob(centre + [side * 4.0, 2.0, 25.0], (21.0, 19.0, 19.0), side * 30.0, 1.4)]  # fmt: skip
    w.bone(f"{name}_socket", [part[0] for part in cup], [part[1] for part in cup], level=0.2)
    # The acetabular roof is dense; then the joint's cartilage, which also cuts the socket open.
    w.scene.add(
        f"{name}_roof",
        ellipsoid(centre + [0.0, 0.0, 1.0], [HEAD_MM + 4.6] * 3),
        CORTEX,
        Priority.CORTEX + 1.0,
        "bone",
    )
    below = centre + [side * 14.0, -2.0, -16.0]
    w.scene.add(
        f"{name}_opening", ellipsoid(below, (30.0, 34.0, 22.0), 18, 26), MUSCLE, Priority.CORTEX + 1.2
    )
    w.scene.add(f"{name}_joint", ellipsoid(centre, [HEAD_MM + 2.8] * 3), CARTILAGE, Priority.CORTEX + 1.5)


def _wing(w: Workshop, flip: Floats, half: float) -> Mesh:
    """The iliac blade: a sheet between the crest and the pelvic brim, hollow inside and bent."""
    top = resample(
        np.asarray(
            [(118.0, -38, 70), (134, -26, 102), (128, 0, 130), (104, 28, 139), (66, 52, 122), (42, 58, 92)]
        ),
        26,
    )
    low = resample(
        np.asarray([(98.0, -18, 22), (92, -8, 30), (84, 6, 36), (76, 18, 42), (60, 38, 48), (42, 52, 54)]), 26
    )
    u = np.linspace(0.0, 1.0, 12)
    bulge = np.sin(np.pi * u)[None, :, None] * np.asarray([-4.0, 9.0, 0.0])
    sheet = top[:, None] + (low - top)[:, None] * u[None, :, None] + bulge
    thick = half * (0.75 + 0.9 * u**2 + 0.5 * (1.0 - u) ** 3)[None, :, None] * np.asarray([0.35, 0.94, 0.0])
    ring = np.concatenate([sheet - thick, (sheet + thick)[:, ::-1]], axis=1)
    return loft(ring * flip)


def _strut(w: Workshop, name: str, line: Floats, profile: list[tuple[float, float, float]]) -> None:
    at = np.linspace(0.0, 1.0, len(line))
    table = np.asarray(profile, dtype=np.float64)
    wide, deep = (np.interp(at, table[:, 0], table[:, k]) for k in (1, 2))
    cortex = 1.7 * w.physique.cortex
    normal = (0.0, 1.0, 0.25)
    shell = tube(line, wide, deep, normal, 18)
    core = tube(line[1:-1], (wide - cortex)[1:-1], (deep - cortex)[1:-1], normal, 18)
    w.bone(name, [shell], [core], level=0.1)


def add_femur(w: Workshop, side: int, wide: float, replaced: bool) -> None:
    """Head, neck, trochanters and shaft; without head and neck where a prosthesis replaces them."""
    c = w.physique.cortex
    centre = HIP * [side * wide, 1.0, 1.0]
    level = 3.0
    out = np.asarray([float(side), 1.0, 1.0])
    base = centre + np.asarray([40.0, 6.0, -38.0]) * out
    shells, cores = [], []
    if not replaced:
        shells.append(ellipsoid(centre, [HEAD_MM] * 3, 24, 36))
        cores.append(ellipsoid(centre, [HEAD_MM - 0.9 * c] * 3, 24, 36))
        neck = resample(
            np.asarray(
                [
                    centre + np.asarray([4.0, 1.0, -4.0]) * out,
                    centre + np.asarray([22.0, 3.0, -20.0]) * out,
                    base,
                ]
            ),
            20,
        )
        radius = np.interp(np.linspace(0, 1, 20), [0.0, 0.4, 0.6, 1.0], [18.0, 15.0, 16.5, 24.0])
        thin = np.interp(np.linspace(0, 1, 20), [0.0, 0.5, 1.0], [1.0, 1.8, 1.2]) * c
        shells.append(tube(neck, radius, 0.85 * radius, points=20))
        cores.append(tube(neck, radius - thin, 0.85 * radius - thin, points=20))
    great = w.knob(centre + np.asarray([52.0, 11.0, -22.0]) * out, (15.0, 17.0, 23.0), side * -14.0, 0.9)
    small = w.knob(centre + np.asarray([30.0, 18.0, -66.0]) * out, (9.0, 9.0, 13.0), side * 28.0, 1.0)
    shaft_top = centre + np.asarray([44.0, 7.0, -26.0]) * out
    w.long_bone(
        f"femur_{side}",
        [shaft_top, centre + np.asarray([45.0, 8.0, -70.0]) * out,
         centre + np.asarray([44.0, 6.0, -150.0]) * out,
         centre + np.asarray([36.0, 4.0, -330.0]) * out],
        [(0.0, 20.0, 16.0), (0.06, 24.5, 17.0), (0.14, 22.0, 16.5), (0.28, 16.0, 15.0), (1.0, 15.0, 15.0)],
        [(0.0, 1.0), (0.1, 1.8), (0.22, 4.2), (0.4, 6.0), (1.0, 6.4)],
        ends=(9.0, 1.0), canal=(0.16, 1.0), level=level,
        knobs=[great, small, *zip(shells, cores, strict=True)],
    )  # fmt: skip
    if not replaced:
        w.scene.add(f"neck_fat_{side}",
                    ellipsoid(centre + np.asarray([26.0, 4.0, -28.0]) * out, (9.0, 8.0, 6.0)),
                    YELLOW_MARROW, Priority.CORTEX + level + 0.5, "bone")  # fmt: skip


def _add_sacrum(w: Workshop) -> None:
    c = w.physique.cortex
    s = np.linspace(0.0, 1.0, 24)
    z, y = (
        96.0 - 118.0 * s,
        34.0 + 44.0 * np.sin(np.pi * np.clip(s, 0, 1) * 0.75) - 22.0 * np.clip(s - 0.75, 0, 1),
    )
    line = np.stack([np.zeros(24), y, z], axis=1)
    half = np.interp(s, [0.0, 0.08, 0.3, 0.55, 0.75, 0.85, 1.0], [30.0, 52.0, 54.0, 36.0, 24.0, 11.0, 6.0])
    deep = np.interp(s, [0.0, 0.3, 0.7, 1.0], [24.0, 21.0, 11.0, 5.0])
    shell = tube(line, half, deep, points=24)
    core = tube(line[1:-1], (half - 1.1 * c)[1:-1], (deep - 1.1 * c)[1:-1], points=24)
    w.bone("sacrum", [shell], [core], level=-0.5)
    for side in (-1, 1):
        for k, (x, height) in enumerate(((25.0, 62.0), (22.0, 42.0), (19.0, 24.0), (16.0, 8.0))):
            at = np.interp(height, z[::-1], y[::-1])
            tunnel = resample(
                np.asarray(
                    [(side * (x + 4.0), at - 30.0, height - 4.0), (side * x, at + 30.0, height + 4.0)]
                ),
                4,
            )
            w.scene.add(
                f"foramen_{side}_{k}",
                tube(tunnel, 4.6, 3.4, (0.0, 0.0, 1.0), 14),
                MUSCLE,
                Priority.CORTEX + 0.45,
            )


def _add_lumbar(w: Workshop) -> None:
    c = w.physique.cortex
    for k in range(3):
        z, y = 116.0 + 37.0 * k, 26.0 - 9.0 * k
        s = np.linspace(0.0, 1.0, 14)
        waist = np.interp(s, [0.0, 0.08, 0.5, 0.92, 1.0], [0.96, 1.0, 0.86, 1.0, 0.96])
        line = np.stack([np.zeros(14), np.full(14, y), z - 14.0 + 28.0 * s], axis=1)
        shells = [tube(line, 26.0 * waist, 18.0 * waist, points=24)]
        cores = [tube(line[1:-1], 26.0 * waist[1:-1] - 0.8 * c, 18.0 * waist[1:-1] - 0.8 * c, points=24)]
        for side in (-1, 1):
            arm = resample(
                np.asarray(
                    [
                        (side * 14.0, y + 20.0, z + 4.0),
                        (side * 28.0, y + 22.0, z + 5.0),
                        (side * 46.0, y + 24.0, z + 9.0),
                    ]
                ),
                10,
            )
            shells.append(tube(arm, 6.0, 3.5, points=12))
            cores.append(tube(arm[1:-1], 5.2, 2.7, points=12))
            pedicle = w.knob((side * 16.0, y + 20.0, z + 4.0), (6.0, 11.0, 8.5), 0.0, 1.3)
            facet = w.knob((side * 17.0, y + 34.0, z - 14.0), (6.5, 7.0, 13.0), side * -8.0, 1.1)
            shells += [pedicle[0], facet[0]]
            cores += [pedicle[1], facet[1]]
        spine = w.knob((0.0, y + 52.0, z - 8.0), (3.6, 18.0, 13.0), 0.0, 1.0)
        w.bone(f"lumbar_{k}", [*shells, spine[0]], [*cores, spine[1]], level=-0.8)


def _add_flesh(w: Workshop) -> None:
    trunk = [(0.0, 0.0, 330.0), (0.0, 0.0, 160.0), (0.0, 4.0, 40.0), (0.0, 6.0, -50.0), (0.0, 6.0, -110.0)]
    pieces = [
        (
            trunk,
            [
                (0.0, 150.0, 105.0),
                (0.4, 158.0, 105.0),
                (0.7, 178.0, 112.0),
                (0.9, 176.0, 108.0),
                (1.0, 120.0, 90.0),
            ],
        )
    ]
    for side in (-1, 1):
        thigh = [
            (side * 90.0, 8.0, 0.0),
            (side * 96.0, 8.0, -60.0),
            (side * 100.0, 8.0, -180.0),
            (side * 100.0, 6.0, -340.0),
        ]
        pieces.append((thigh, [(0.0, 82.0, 95.0), (0.25, 90.0, 100.0), (0.6, 84.0, 92.0), (1.0, 74.0, 80.0)]))
    w.flesh("body", pieces, 2.6)


def _add_bowel(w: Workshop) -> None:
    """Gas and stool in rectum and colon, in chains of bubbles."""
    for k in range(int(w.rng.integers(2, 7))):
        at = w.rng.normal((0.0, -10.0, 60.0), (65.0, 14.0, 45.0))
        heading = w.rng.normal(0.0, 1.0, 3) * [1.0, 0.2, 1.0]
        meshes = []
        for _ in range(int(w.rng.integers(2, 7))):
            meshes.append(ellipsoid(at, w.rng.uniform(6.0, 17.0, 3), 12, 18))
            heading = heading + w.rng.normal(0.0, 0.5, 3) * [1.0, 0.2, 1.0]
            at = at + 13.0 * heading / np.linalg.norm(heading)
        w.gas(f"bowel_{k}", merge(meshes))
