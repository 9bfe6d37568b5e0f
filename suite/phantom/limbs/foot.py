"""Ankle and foot: the leg stands on the z axis, toes point towards -y, the little toe towards -x."""

from __future__ import annotations

import numpy as np

from suite.phantom.limbs.workshop import Piece, Workshop

# Metatarsals: name, base, head (x, y, z); lengths of phalanges; thickness.
_RAYS = (
    ("great", (16.0, -58.0, -34.0), (22.0, -116.0, -52.0), (33.0, 24.0), 1.55),
    ("second", (5.0, -54.0, -31.0), (5.0, -122.0, -51.0), (27.0, 12.0, 9.0), 0.92),
    ("third", (-4.0, -54.0, -33.0), (-9.0, -117.0, -52.0), (24.0, 10.0, 9.0), 0.86),
    ("fourth", (-13.0, -52.0, -37.0), (-22.0, -108.0, -53.0), (22.0, 9.0, 8.0), 0.84),
    ("fifth", (-21.0, -48.0, -43.0), (-34.0, -97.0, -54.0), (20.0, 8.0, 8.0), 0.88),
)
_TARSALS = (
    ("navicular", (9.0, -36.0, -19.0), (14.0, 6.5, 11.5), 12.0),
    ("cuneiform_1", (16.5, -48.0, -28.0), (8.0, 10.5, 11.5), 8.0),
    ("cuneiform_2", (6.0, -46.0, -25.0), (6.0, 8.5, 9.0), 0.0),
    ("cuneiform_3", (-3.5, -44.0, -28.0), (6.2, 10.0, 9.5), 0.0),
    ("cuboid", (-15.0, -35.0, -38.0), (9.5, 14.0, 10.0), 0.0),
)


def add_leg(w: Workshop) -> None:
    """Add tibia and fibula with the ankle's mortise, and the leg's flesh down to the heel."""
    w.long_bone(
        "tibia",
        [(3.0, -1.0, 8.0), (3.0, -1.0, 30.0), (2.0, 0.0, 80.0), (4.0, 0.0, 240.0)],
        [(0.0, 20.5, 17.0), (0.03, 22.0, 18.0), (0.1, 19.0, 16.5), (0.22, 13.5, 13.0), (0.4, 11.5, 12.5),
         (1.0, 13.0, 16.0)],
        [(0.0, 1.0), (0.1, 1.1), (0.25, 2.8), (0.45, 4.6), (1.0, 5.4)],
        ends=(3.0, 1.0), canal=(0.28, 1.0),
        knobs=[w.knob((21.5, -2.0, 5.0), (6.0, 9.5, 12.0), -8.0, 0.9)],
    )  # fmt: skip
    w.long_bone(
        "fibula",
        [(-25.0, 5.0, -14.0), (-25.5, 5.0, 4.0), (-22.5, 6.0, 30.0), (-22.0, 6.0, 90.0), (-27.0, 8.0, 240.0)],
        [(0.0, 5.5, 7.0), (0.06, 8.2, 10.0), (0.13, 7.4, 8.5), (0.24, 5.4, 6.0), (1.0, 6.0, 6.2)],
        [(0.0, 0.8), (0.1, 1.0), (0.28, 2.2), (1.0, 2.7)],
        ends=(8.0, 1.0), canal=(0.25, 1.0),
    )  # fmt: skip
    leg = [(-1.0, 8.0, 280.0), (-1.0, 8.0, 160.0), (-1.0, 6.0, 60.0), (-1.0, 5.0, 8.0), (-1.0, 10.0, -40.0)]
    outline = [
        (0.0, 56.0, 62.0),
        (0.35, 47.0, 50.0),
        (0.65, 34.0, 38.0),
        (0.85, 37.0, 40.0),
        (1.0, 36.0, 42.0),
    ]
    w.flesh("leg", [(leg, outline)], 0.6)


def add_foot(w: Workshop) -> None:
    """Add hindfoot, midfoot and toes with their flesh."""
    _add_hindfoot(w)
    for name, centre, radii, tilt in _TARSALS:
        at = np.asarray(centre) + w.rng.normal(0.0, 0.5, 3)
        w.short_bone(name, at, 1.13 * np.asarray(radii), tilt + float(w.rng.normal(0.0, 4.0)), 0.9)
    pieces: list[Piece] = [_add_ray(w, *ray) for ray in _RAYS]
    sole = [
        (-1.0, 52.0, -38.0),
        (-2.0, 10.0, -34.0),
        (-2.0, -40.0, -36.0),
        (-4.0, -90.0, -50.0),
        (-3.0, -128.0, -54.0),
    ]
    outline = [
        (0.0, 24.0, 22.0),
        (0.2, 34.0, 30.0),
        (0.45, 37.0, 30.0),
        (0.75, 45.0, 21.0),
        (1.0, 42.0, 14.0),
    ]
    pieces.append((sole, outline))
    w.flesh("foot", pieces, 0.7)


def _add_hindfoot(w: Workshop) -> None:
    dome = w.knob((-1.0, -2.0, -9.5), (17.5, 22.0, 14.5), 0.0, 1.0)
    neck = w.knob((6.0, -20.0, -15.0), (12.0, 13.0, 11.0), 8.0, 0.9)
    body = w.knob((-1.0, 6.0, -18.0), (15.0, 17.0, 9.0), 0.0, 0.9)
    w.bone("talus", [dome[0], neck[0], body[0]], [dome[1], neck[1], body[1]], level=1.0)
    heel = [(-3.0, 52.0, -42.0), (-4.0, 34.0, -38.0), (-6.0, 6.0, -36.0), (-11.0, -22.0, -37.0)]
    w.long_bone(
        "calcaneus",
        heel,
        [(0.0, 14.0, 17.0), (0.1, 16.0, 21.0), (0.4, 14.0, 18.0), (0.7, 15.0, 14.0), (1.0, 12.0, 12.0)],
        [(0.0, 1.0), (0.5, 1.3), (1.0, 0.9)],
        ends=(7.0, 4.0), canal=None, normal=(0.0, 0.0, 1.0),
        knobs=[w.knob((-2.0, 4.0, -25.0), (13.0, 14.0, 6.0), 0.0, 0.9), w.knob((9.0, -4.0, -29.0),
                                                                               (9.0, 9.0, 5.0), -14.0, 0.8)],
    )  # fmt: skip


def _add_ray(
    w: Workshop, name: str, base: tuple[float, float, float], head: tuple[float, float, float],
    lengths: tuple[float, ...], size: float,
) -> Piece:  # fmt: skip
    start, end = np.asarray(base), np.asarray(head)
    arch = np.asarray([0.0, 0.0, 3.0])
    metatarsal = [
        (0.0, 8.0, 8.5),
        (0.1, 7.2, 7.8),
        (0.3, 4.4, 5.0),
        (0.65, 3.8, 4.5),
        (0.85, 5.6, 6.2),
        (1.0, 5.2, 6.0),
    ]
    w.long_bone(
        f"{name}_metatarsal", [start, 0.5 * (start + end) + arch, end],
        [(t, size**0.6 * a, size**0.6 * b) for t, a, b in metatarsal],
        [(0.0, 0.7), (0.2, 1.3), (0.5, 1.9), (0.8, 1.1), (1.0, 0.6)],
        ends=(2.5, 5.0), canal=(0.2, 0.85), normal=(0.0, 0.0, 1.0),
    )  # fmt: skip
    joints = [end]
    aim = (end - start) / np.linalg.norm(end - start) * [1.0, 1.0, 0.0] + np.asarray([0.0, 0.0, 0.02])
    for number, length in enumerate(lengths):
        aim = aim + np.asarray([-0.12 if name == "great" else 0.05, 0.0, -0.06]) + w.rng.normal(0.0, 0.03, 3)
        aim = aim / np.linalg.norm(aim)
        at = joints[-1]
        tip = at + aim * length
        slim = size * (0.82 if number == 0 else 0.72)
        w.long_bone(
            f"{name}_phalanx_{number}", [at + 1.3 * aim, 0.5 * (at + tip), tip - 0.8 * aim],
            [(0.0, 6.8 * slim, 6.2 * slim), (0.15, 6.4 * slim, 5.8 * slim), (0.5, 4.2 * slim, 3.9 * slim),
             (0.85, 5.0 * slim, 4.4 * slim), (1.0, 4.6 * slim, 4.0 * slim)],
            [(0.0, 0.6), (0.5, 1.3), (1.0, 0.5)], ends=(1.8, 2.2), canal=None, normal=(0.0, 0.0, 1.0),
        )  # fmt: skip
        joints.append(tip)
    last = joints[-1] + 4.5 * aim
    wide = 11.0 * size**0.7
    skin = [
        (0.0, wide, wide),
        (0.5, 0.92 * wide, 0.9 * wide),
        (0.9, 0.75 * wide, 0.7 * wide),
        (1.0, 0.5 * wide, 0.45 * wide),
    ]
    return [0.4 * start + 0.6 * end, *joints, last], [(t, a, b) for t, a, b in skin]
