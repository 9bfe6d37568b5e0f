"""Lungs, the abdomen under the diaphragm that carves them, and the fissures."""

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import LUNG, SOFT
from suite.phantom.mesh import Floats, Mesh, loft
from suite.phantom.scene import Priority, Scene

SIDES = ((-1, "right"), (1, "left"))
"""(sign of x, name): the patient's right is at negative x."""


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add both lungs, both halves of the upper abdomen and the fissures."""
    tissue = LUNG.with_density(frame.patient.lung_density)
    for side, name in SIDES:
        scene.add(f"lung_{name}", lung_mesh(frame, side), tissue, Priority.LUNG, f"lung_{name}")
        scene.add(f"abdomen_{name}", abdomen_mesh(frame, side), SOFT, Priority.ABDOMEN, f"abdomen_{name}")
    _add_fissures(scene, frame, rng)


def lung_mesh(frame: Frame, side: int, inset: float = 0.0) -> Mesh:
    """One pleural cavity down to the deepest sulcus; diaphragm, mediastinum and heart carve it by priority.

    Args:
        side: -1 right, 1 left.
        inset: mm that the surface keeps from wall and apex (visceral pleura of a collapsed lung).
    """
    height = frame.height - inset
    h1 = 0.84 * height
    z = np.concatenate(
        [np.linspace(-45.0, h1, 26), h1 + (height - h1) * np.sin(np.linspace(0.1, 1.0, 14) * np.pi / 2)]
    )
    angle = np.linspace(0.05, np.pi - 0.05, 44)
    wall = frame.wall(z[:, None], side * angle[None, :], -inset)
    medial_y = np.linspace(wall[:, -1, 1], wall[:, 0, 1], 12, axis=1)[:, 1:-1]
    medial = np.stack(
        [np.full_like(medial_y, side * 3.0), medial_y, np.broadcast_to(z[:, None], medial_y.shape)], axis=-1
    )
    contours = np.concatenate([wall, medial], axis=1)
    t = np.clip((z - h1) / (height - h1), 0.0, 1.0)
    shrink = np.maximum(np.sqrt(1.0 - t**2), 0.02)[:, None]
    tip = frame.apex(side)
    # The dome closes about the apex, whose axis leans in as the chest narrows.
    contours[..., :2] = tip[:2] + (contours[..., :2] - tip[:2]) * shrink[..., None]
    return loft(contours)


def abdomen_mesh(frame: Frame, side: int) -> Mesh:
    """Everything under one half of the diaphragm."""
    (bearing, radius), _ = frame._dome_edge(side)
    cx, cy = frame.dome_centre(side)
    rho = np.concatenate([[1.02, 1.02], np.sin(np.linspace(np.pi / 2 - 0.12, 0.03, 18)), [0.01]])
    rho[1] = 1.0
    x = cx + side * rho[:, None] * radius * np.sin(bearing)
    y = cy + rho[:, None] * radius * np.cos(bearing)
    z = frame.dome(side, x, y)
    z[0] = -0.75 * frame.height
    return loft(np.stack([x, y, z], axis=-1))


def sheet(grid: Floats, thickness: float) -> Mesh:
    """A thin closed plate around a surface grid (n, m, 3), ``thickness`` mm along the local normal."""
    du, dv = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
    normal = np.cross(du, dv)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    half = 0.5 * thickness * normal
    # Each row of the grid becomes one flat ring: out along one face, back along the other.
    return loft(np.concatenate([grid + half, (grid - half)[:, ::-1]], axis=1))


def _add_fissures(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    L = frame.height  # noqa: N806 - lung height
    if rng.random() < 0.7:
        x = -np.linspace(0.25, 0.93, 18) * frame.patient.half_width
        tilt, level = rng.normal(0.0, 0.05), rng.uniform(0.40, 0.47) * L
        y = np.linspace(float(frame.front(level)) + 6.0, 5.0, 10)
        gx, gy = np.meshgrid(x, y, indexing="ij")
        bow = rng.uniform(2.0, 9.0) * np.cos((gx + 0.6 * frame.patient.half_width) / 60.0)
        grid = np.stack([gx, gy, level + tilt * (gx + 60.0) + bow - 0.10 * (gy + 40.0)], axis=-1)
        scene.add("fissure_minor", sheet(grid, rng.uniform(0.15, 0.4)), SOFT, Priority.LUNG + 1, "fissure")
    for side, name in SIDES:
        x = side * np.linspace(0.16, 0.90, 14) * frame.patient.half_width
        t = np.linspace(0.0, 1.0, 16)
        gx, gt = np.meshgrid(x, t, indexing="ij")
        y = (0.80 - 1.35 * gt) * 80.0 - 16.0 * np.sin(np.pi * gt) + 12.0 * np.sin(2.0 * np.pi * gt)
        z = L * (0.74 - 0.60 * gt) + 10.0 * np.abs(gx) / frame.patient.half_width
        scene.add(
            f"fissure_{name}",
            sheet(np.stack([gx, y, z], -1), rng.uniform(0.1, 0.28)),
            SOFT,
            Priority.LUNG + 1,
        )
