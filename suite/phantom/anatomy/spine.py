"""Vertebrae from C5 to L4 with bodies, pedicles, laminae, transverse and spinous processes."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import CORTEX, MARROW, MUSCLE
from suite.phantom.mesh import Floats, Mesh, loft, merge, resample, tube
from suite.phantom.scene import Priority, Scene


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add every vertebra (cortical shell and spongiosa) and the muscles beside the spine."""
    for number, (name, (z, spacing)) in enumerate(
        sorted(frame.vertebra_z().items(), key=lambda item: -item[1][0])
    ):
        shell, core = _vertebra(frame, z, spacing, 0.25 * frame.patient.cortex, number, rng)
        scene.add(f"vertebra_{name}", shell, CORTEX, Priority.CORTEX - 1.0, "spine")
        scene.add(f"vertebra_{name}_marrow", core, MARROW.with_density(1.11), Priority.CORTEX - 0.5, "spine")
    scene.add("paraspinal", _paraspinal(frame), MUSCLE, Priority.MEDIASTINUM - 2.0, "paraspinal")


def _vertebra(
    frame: Frame, z: float, spacing: float, cortex: float, number: int, rng: np.random.Generator
) -> tuple[Mesh, Mesh]:
    size = 0.4 + 0.6 * frame.patient.half_width / 134.0
    t = number / 18.0
    half_width, half_depth = (12.0 + 11.0 * t) * size, (9.0 + 8.0 * t) * size
    y = float(frame.spine_y(z))
    half_height = spacing * (0.435 + rng.normal(0.0, 0.006))
    centre = np.asarray([0.0, y, z])
    shells = [_body(centre, half_width, half_depth, half_height, 0.0)]
    cores = [_body(centre, half_width, half_depth, half_height, cortex)]
    for knots, wide, deep, normal in _processes(centre, half_width, half_depth, spacing, size, t):
        line = resample(np.asarray(knots), 7)
        shells.append(tube(line, wide, deep, normal, 10))
        inner = line[0] + (line - line[0]) * 0.97
        # Processes are seen along their length, where even a thin shell would draw a hard ring.
        thin = 0.4 * cortex
        cores.append(tube(inner, max(wide - thin, 0.3), max(deep - thin, 0.3), normal, 10))
    return merge(shells), merge(cores)


def _body(centre: Floats, half_width: float, half_depth: float, half_height: float, inset: float) -> Mesh:
    level = np.asarray([-1.0, -0.9, -0.5, 0.0, 0.5, 0.9, 1.0])
    waist = np.asarray([0.97, 1.0, 0.93, 0.88, 0.93, 1.0, 0.97])
    angle = 2.0 * np.pi * np.arange(24) / 24
    # The back of the body is flattened by the canal.
    flat = np.where(np.cos(angle) > 0.4, 0.4 + 0.35 * (np.cos(angle) - 0.4), np.cos(angle))
    x = (half_width * waist - inset)[:, None] * np.sin(angle)
    y = (half_depth * waist - inset)[:, None] * flat * 1.15
    z = np.broadcast_to((level * (half_height - 0.9 * inset))[:, None], x.shape)
    return loft(centre + np.stack([x, y, z], axis=-1))


def _processes(
    centre: Floats, half_width: float, half_depth: float, spacing: float, size: float, t: float
) -> list[tuple[list[Floats], float, float, tuple[float, float, float]]]:
    canal = half_depth + 14.0 * size
    drop = spacing * (0.25 + 1.1 * np.sin(np.pi * np.clip((t - 0.12) / 0.8, 0.0, 1.0)) ** 1.5 * 0.9)
    across = (26.0 - 6.0 * abs(t - 0.3)) * size + half_width * 0.3
    up = 0.13 * spacing
    out: list[tuple[list[Floats], float, float, tuple[float, float, float]]] = []
    for side in (-1.0, 1.0):
        root = centre + [side * 0.72 * half_width, 0.55 * half_depth, up]
        arch = centre + [side * 0.78 * half_width, canal - 4.0, up]
        out.append(([root, arch], 0.15 * spacing * 1.2, 0.13 * spacing * 1.3, (1.0, 0.0, 0.0)))
        out.append(([arch, centre + [side * across, canal + 6.0, 0.24 * spacing]], 0.17 * spacing, 4.0 * size,
                    (0.0, 1.0, 0.0)))  # fmt: skip
        out.append(([arch, centre + [side * 1.5, canal + 9.0, -0.12 * spacing]], 0.34 * spacing, 3.0 * size,
                    (0.0, 1.0, 0.0)))  # fmt: skip
    tip = centre + [0.0, canal + 32.0 * size, -drop]
    out.append(([centre + [0.0, canal + 6.0, 0.0], tip], 3.0 * size, 0.26 * spacing, (0.0, 0.0, 1.0)))
    return out


def _paraspinal(frame: Frame) -> Mesh:
    """Muscle and fat behind and beside the vertebrae: a wedge, so that the lungs thin out towards it."""
    z = np.linspace(-0.6, 1.3, 26) * frame.height
    grow = np.interp(z / frame.height, [-0.6, 0.0, 0.9, 1.3], [1.1, 1.05, 0.8, 0.7])[:, None]
    behind = np.concatenate([np.linspace(-4.0, 46.0, 14), [60.0, 76.0]])
    half = np.interp(
        behind, [-4.0, 2.0, 14.0, 30.0, 46.0, 60.0, 76.0], [3.0, 12.0, 20.0, 31.0, 44.0, 44.0, 30.0]
    )
    x = np.concatenate([half, -half[::-1]]) * grow
    y = np.concatenate([behind, behind[::-1]]) + frame.spine_y(z)[:, None]
    return loft(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1))
