"""Trachea and the large bronchi, down to where they are lost on a film."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import GAS, SOFT
from suite.phantom.mesh import Floats, resample, tube
from suite.phantom.scene import Priority, Scene


def trachea_line(frame: Frame) -> Floats:
    """Centre line (n, 3) from the larynx to the carina, unposed."""
    L, carina = frame.height, frame.landmarks()["carina"]  # noqa: N806 - lung height
    y = float(frame.spine_y(0.9 * L)) - 26.0
    top = float(frame.spine_y(1.2 * L)) - 22.0
    bend = -2.0 - 3.0 * frame.patient.aorta_unfolding
    knots = [(0.0, top, 1.35 * L), (0.0, y, 1.0 * L), (bend, 0.5 * (y + carina[1]), 0.76 * L), carina]
    return resample(np.asarray(knots), 24)


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add trachea, main and lobar bronchi: gas, with a wall where they run through the lung."""
    radius = float((8.8 if frame.patient.sex == "M" else 7.4) * np.clip(rng.normal(1.0, 0.07), 0.85, 1.2))
    scene.add(
        "trachea",
        tube(trachea_line(frame), radius, 0.95 * radius, points=18),
        GAS,
        Priority.AIRWAY,
        "trachea",
    )
    c, marks = frame.landmarks()["carina"], frame.landmarks()
    right, left = marks["hilum_right"], marks["hilum_left"]
    branches = {
        "main_right": ([c + [0, 0, 3], c + [-14, 1, -16], right + [4, 6, 2]], 6.8, 6.0),
        "main_left": ([c + [0, 0, 3], c + [16, 2, -14], left + [-4, 4, -4], left + [6, 8, -14]], 6.2, 5.0),
        "intermediate": ([right + [4, 6, 2], right + [0, 6, -22], right + [-8, 12, -44]], 5.2, 3.6),
        "upper_right": ([c + [-15, 1, -17], right + [-8, 4, 12], right + [-14, 2, 34]], 4.2, 2.4),
        "upper_left": ([left + [-2, 5, -6], left + [12, 0, 8], left + [18, -2, 30]], 4.2, 2.4),
        "lower_left": ([left + [2, 7, -12], left + [8, 14, -34], left + [16, 20, -60]], 4.4, 2.2),
        "lower_right": ([right + [-8, 12, -44], right + [-14, 20, -68], right + [-20, 26, -88]], 3.4, 1.8),
    }
    for name, (knots, first, last) in branches.items():
        line = resample(np.asarray(knots), 16)
        r = np.linspace(first, last, 16) * radius / 8.4
        scene.add(
            f"bronchus_wall_{name}", tube(line, r + 1.1, r + 1.1, points=12), SOFT, Priority.LUNG_DISEASE
        )
        scene.add(f"bronchus_{name}", tube(line, r, r, points=12), GAS, Priority.AIRWAY, "bronchi")
