"""Ribs as tubes with a cortical shell on the chest wall, costal cartilage and sternum."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.anatomy.lungs import SIDES
from suite.phantom.materials import CALCIFIED_CARTILAGE, CARTILAGE, CORTEX, MARROW
from suite.phantom.mesh import Floats, capped_tube, resample, tube
from suite.phantom.scene import Priority, Scene

# Rib by rib: azimuth of the bony end (degrees from the back) and descent from neck to end (mm).
_END = (150.0, 150.0, 148.0, 146.0, 143.0, 140.0, 136.0, 130.0, 123.0, 115.0, 88.0, 62.0)
_DROP = (32.0, 56.0, 74.0, 88.0, 98.0, 105.0, 108.0, 106.0, 100.0, 90.0, 58.0, 34.0)
RIB_SAMPLES = 44
"""Points along each rib's centre line."""


def rib_line(
    frame: Frame, number: int, side: int, wobble: tuple[float, float] = (0.0, 0.0)
) -> tuple[Floats, Floats]:
    """Centre line and outward normals (``RIB_SAMPLES``, 3) of one rib, unposed, from head to bony end.

    Args:
        number: 1 to 12.
        side: -1 right, 1 left.
        wobble: this rib's own deviation in descent (share) and height (mm).
    """
    p = frame.patient
    z0, _ = frame.vertebra_z()[f"T{number}"]
    spine = float(frame.spine_y(z0))
    drop = _DROP[number - 1] * p.rib_slope * frame.height / 248.0 * (1.0 + wobble[0])
    half = 0.5 * _radial(frame, number)
    s = np.linspace(0.0, 1.0, 30) ** 1.1
    first, last = np.deg2rad(24.0), np.deg2rad(_END[number - 1])
    angle = first + s * (last - first)
    z = (
        z0
        - 4.0
        + wobble[1]
        - drop * (0.25 * s + 0.75 * (s - np.sin(2.0 * np.pi * s) / (2.0 * np.pi) * 0.55) ** 1.05)
    )
    shaft = frame.wall(z, side * angle, half + 1.5)
    head = np.asarray([[side * 19.0, spine + 10.0, z0 + 4.0], [side * 33.0, spine + 21.0, z0 + 2.0]])
    start = (
        int(np.argmax(np.abs(shaft[:, 0]) > 44.0))
        if number > 1
        else int(np.argmax(np.abs(shaft[:, 0]) > 38.0))
    )
    line = resample(np.concatenate([head, shaft[start:]]), RIB_SAMPLES)
    inner = frame.wall(z, side * angle, half)
    outward = shaft - inner
    at = np.linspace(0.0, 1.0, RIB_SAMPLES)
    grid = np.linspace(0.12, 1.0, len(outward) - start)
    normal = np.stack([np.interp(at, grid, outward[start:, k]) for k in range(3)], axis=1)
    return line, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _radial(frame: Frame, number: int) -> float:
    return float(frame.patient.rib_thickness * (5.4 if number == 1 else 7.0 if number < 11 else 5.6))


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add 24 ribs, their cartilages and the sternum."""
    p = frame.patient
    ends: dict[tuple[int, int], tuple[Floats, Floats]] = {}
    shared = rng.normal(0.0, 1.0, (12, 2)) * [0.03, 1.2]
    for side, name in SIDES:
        own = shared + rng.normal(0.0, 1.0, (12, 2)) * [0.015, 0.6]
        for number in range(1, 13):
            line, normal = rib_line(
                frame, number, side, (float(own[number - 1, 0]), float(own[number - 1, 1]))
            )
            _add_rib(scene, frame, line, normal, number, name)
            ends[number, side] = (line[-1], line[-1] - line[-4])
    _add_sternum(scene, frame)
    for side, name in SIDES:
        for number in range(1, 11):
            _add_cartilage(scene, frame, ends, number, side, name, p.calcified_cartilage, rng)


def _add_rib(scene: Scene, frame: Frame, line: Floats, normal: Floats, number: int, side: str) -> None:
    p = frame.patient
    along = np.linspace(0.0, 1.0, len(line))
    height = p.rib_height * (12.0 if number == 1 else 11.5 + 0.25 * min(number, 8) if number < 11 else 9.5)
    half_height = (
        0.5 * height * np.interp(along, [0.0, 0.06, 0.15, 0.5, 0.85, 1.0], [0.75, 0.6, 0.85, 1.0, 1.05, 1.15])
    )
    half_depth = (
        0.5 * _radial(frame, number) * np.interp(along, [0, 0.1, 0.2, 0.7, 1.0], [1.0, 0.9, 1.1, 1.0, 0.95])
    )
    cortex = p.cortex * np.interp(along, [0.0, 0.15, 0.5, 0.85, 1.0], [0.3, 0.42, 0.42, 0.3, 0.2])
    if number == 1:
        # The first rib lies flat: its broad side faces up.
        normal = normal + np.asarray([0.0, 0.0, 1.6])
        normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    label = f"rib_{side}_{number:02d}"
    shell = tube(line, half_height, half_depth, normal, 14, skew=0.22)
    core = tube(
        line, np.maximum(half_height - cortex, 0.4), np.maximum(half_depth - cortex, 0.4), normal, 14, 0.22
    )
    scene.add(label, shell, CORTEX, Priority.CORTEX, label, "ribs")
    scene.add(f"{label}_marrow", core, MARROW.with_density(1.19), Priority.MARROW, label, "ribs")


def sternum_edge(frame: Frame, number: int, side: int) -> Floats:
    """Where the cartilage of rib ``number`` (1 to 7) meets the sternum."""
    h = np.interp(number, [1, 2, 3, 4, 5, 6, 7], [0.80, 0.68, 0.59, 0.51, 0.44, 0.39, 0.35])
    half = np.interp(number, [1, 2, 3, 5, 7], [24.0, 16.0, 14.0, 16.0, 12.0])
    z = float(h * frame.height)
    return np.asarray([side * half, float(frame.front(z)) - 8.0, z])


def _add_sternum(scene: Scene, frame: Frame) -> None:
    p, L = frame.patient, frame.height  # noqa: N806 - lung height
    h = np.asarray([0.855, 0.83, 0.77, 0.69, 0.67, 0.60, 0.52, 0.44, 0.37, 0.33, 0.29])
    half = np.asarray([18.0, 27.0, 25.0, 16.0, 14.0, 14.5, 16.0, 17.0, 15.0, 8.0, 4.0]) * p.half_width / 134.0
    deep = np.asarray([6.0, 7.5, 7.0, 5.5, 5.5, 5.5, 5.5, 5.0, 5.0, 4.0, 3.0])
    z = h * L
    line = np.column_stack([np.zeros(len(h)), frame.front(z) - 9.0, z])
    scene.add("sternum", tube(line, half, deep, points=18), CORTEX, Priority.CORTEX - 2.0, "sternum")
    cortex = 0.4 * p.cortex
    core = tube(line, half - cortex, deep - cortex, points=18)
    scene.add("sternum_marrow", core, MARROW, Priority.CORTEX - 1.5, "sternum")


def _add_cartilage(
    scene: Scene, frame: Frame, ends: dict[tuple[int, int], tuple[Floats, Floats]], number: int, side: int,
    name: str, calcified: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    start, heading = ends[number, side]
    heading = heading / np.linalg.norm(heading)
    if number <= 7:
        goal = sternum_edge(frame, number, side)
    else:
        goal = (
            0.45 * sternum_edge(frame, 7, side)
            + 0.55 * ends[number - 1, side][0]
            + np.asarray([0.0, -2.0, -4.0])
        )
    reach = float(np.linalg.norm(goal - start))
    knots = np.asarray(
        [start - 2.0 * heading, start + 0.35 * reach * heading, goal + [side * 0.25 * reach, 0, 0], goal]
    )
    line = resample(knots, 16)
    half = 0.5 * frame.patient.rib_height * 12.5
    scene.add(
        f"cartilage_{name}_{number:02d}", tube(line, half, 3.4, points=10), CARTILAGE, Priority.CARTILAGE
    )
    if calcified > 0.05 and rng.random() < calcified * (1.0 if number == 1 else 0.8):
        last = int(rng.integers(4, 9) + 7 * calcified)
        part = line[: max(last, 4)]
        material = CALCIFIED_CARTILAGE.with_density(1.05 + 0.5 * calcified * rng.random())
        key = f"cartilage_rim_{name}_{number:02d}"
        scene.add(
            key,
            tube(part, half + 0.3, 3.7, points=10),
            material,
            Priority.CARTILAGE + 0.5,
            "calcified_cartilage",
        )
        scene.add(f"{key}_core", tube(part, half - 0.8, 2.6, points=10), CARTILAGE, Priority.CARTILAGE + 0.7)
        for _ in range(int(rng.poisson(3.0 * calcified))):
            k = int(rng.integers(1, len(part)))
            dot = np.stack([part[k] - [2.5, 0.0, 1.0], part[k] + [2.5, 0.0, 1.0]])
            scene.add(f"{key}_dot", capped_tube(resample(dot, 6), 1.3, 1.3, points=6), CALCIFIED_CARTILAGE,
                      Priority.CARTILAGE + 0.8)  # fmt: skip
