"""Skin to ribs: fat envelope, muscle envelope with shoulders and neck, breasts, abdomen's gas."""

# Points plus offsets are sums of vectors, not joined lists.

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import FAT, GAS, GLAND, MUSCLE
from suite.phantom.mesh import Floats, Mesh, ellipsoid, loft
from suite.phantom.scene import Priority, Scene

# Shoulder outline (half-width of the muscle layer, mm at half_width 134) and its front and back, by height.
_H = np.asarray([0.55, 0.63, 0.70, 0.78, 0.86, 0.93, 0.98, 1.03, 1.08, 1.14, 1.22, 1.60])
_SHOULDER = np.asarray([150.0, 156.0, 166.0, 184.0, 200.0, 210.0, 208.0, 190.0, 150.0, 106.0, 74.0, 60.0])
_RAISED = np.asarray([146.0, 140.0, 132.0, 124.0, 114.0, 106.0, 102.0, 100.0, 97.0, 92.0, 80.0, 66.0])
_NECK_H = np.asarray([0.85, 0.93, 1.0, 1.08, 1.15, 1.30, 1.6])
_NECK_FRONT = np.asarray([0.0, -52.0, -50.0, -44.0, -40.0, -42.0, -46.0])
_RAISED_FRONT = np.asarray([-60.0, -68.0, -70.0, -70.0, -66.0, -54.0])
_RAISED_BACK = np.asarray([92.0, 96.0, 98.0, 96.0, 90.0, 76.0])
_NECK_BACK = np.asarray([0.0, 88.0, 82.0, 74.0, 68.0, 64.0, 64.0])


def add_envelope(scene: Scene, frame: Frame) -> None:
    """Add the trunk's fat and muscle, shoulders as the arms are held; names start with ``body_``."""
    scene.add("body_fat", _envelope(frame, frame.patient.fat), FAT, Priority.FAT, "body")
    scene.add("body_muscle", _envelope(frame, 0.0), MUSCLE, Priority.MUSCLE, "body")


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add breasts and bowel gas."""
    if frame.patient.breasts > 0.0:
        for side, name in ((-1, "right"), (1, "left")):
            _add_breast(scene, frame, side, name, rng)
    _add_gas(scene, frame, rng)


def _envelope(frame: Frame, fat: float, points: int = 72) -> Mesh:
    heights = np.concatenate([np.linspace(-0.75, 0.5, 12), np.linspace(0.54, 1.22, 24), [1.35, 1.55]])
    z = heights * frame.height
    width, front, back = _muscle_extent(frame, heights, z)
    # Fat thins out over shoulders and neck.
    layer = fat * np.interp(heights, [-0.75, 0.1, 0.6, 0.9, 1.2], [1.5, 1.0, 1.0, 0.6, 0.4])
    angle = 2.0 * np.pi * np.arange(points) / points
    s, c = np.sin(angle), np.cos(angle)
    middle = 0.5 * (front + back)
    square = _squareness(heights)[:, None]
    x = (width + layer)[:, None] * np.sign(s) * np.abs(s) ** square
    y = middle[:, None] + (0.5 * (back - front) + layer)[:, None] * np.sign(c) * np.abs(c) ** square
    return loft(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1))


def skin_front(frame: Frame, x: Floats, z: Floats) -> Floats:
    """y of the skin in front at (x, z); at the body's edge where the point lies beyond it."""
    h = z / frame.height
    width, front, back = _muscle_extent(frame, h, z)
    layer = frame.patient.fat
    square = _squareness(h)
    inside = np.clip(1.0 - np.clip(np.abs(x) / (width + layer), 0.0, 1.0) ** (2.0 / square), 0.0, 1.0)
    return np.asarray(0.5 * (front + back) - (0.5 * (back - front) + layer) * inside ** (0.5 * square))


def _squareness(h: Floats) -> Floats:
    """Exponent of the superellipse: 1 is an ellipse; shoulders are boxier than waist and neck."""
    return np.asarray(np.interp(h, [0.0, 0.35, 0.6, 0.95, 1.1, 1.2], [0.82, 0.74, 0.58, 0.54, 0.66, 0.85]))


def _muscle_extent(frame: Frame, h: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    p = frame.patient
    size = p.half_width / 134.0
    low = np.clip((0.62 - h) / 0.62, 0.0, 1.0)
    trunk = frame.half_width(np.minimum(z, 0.62 * frame.height)) + 15.0 + p.muscle * (22.0 - 8.0 * low)
    outline = _RAISED if p.arms == "raised" else _SHOULDER
    shoulder = np.interp(h, _H, outline) * (0.35 + 0.65 * size) * (0.93 + 0.07 * p.muscle)
    rise = np.clip((h - 0.50) / 0.20, 0.0, 1.0)
    width = trunk + rise**2 * (3.0 - 2.0 * rise) * (shoulder - trunk)
    # Pectoral muscles in front, the shoulder girdle's behind.
    upper = np.interp(h, [0.42, 0.58, 0.8, 0.95], [0.0, 1.0, 1.0, 0.5])
    front = frame.front(z) - 10.0 - p.muscle * (5.0 + 10.0 * upper)
    back = frame.back(z) + 11.0 + p.muscle * (9.0 + 6.0 * upper)
    blend = np.clip((h - 0.82) / 0.1, 0.0, 1.0)
    raised = p.arms == "raised"
    top_front, top_back = (_RAISED_FRONT, _RAISED_BACK) if raised else (_NECK_FRONT[1:], _NECK_BACK[1:])
    front = front + blend * (np.interp(h, _NECK_H[1:], top_front) - front)
    back = back + blend * (np.interp(h, _NECK_H[1:], top_back) * p.depth**0.5 - back)
    return width, front, back


def _add_breast(scene: Scene, frame: Frame, side: int, name: str, rng: np.random.Generator) -> None:
    p = frame.patient
    size = p.breasts ** (1.0 / 3.0)
    sag = float(np.clip(0.4 + 0.012 * (p.age - 20.0) + rng.normal(0.0, 0.15), 0.2, 1.6))
    x, z = side * (0.64 * p.half_width + 6.0 * size), frame.height * (0.36 - 0.09 * sag * size)
    mesh = _breast_mesh(frame, side, x, z, size)
    glandular = float(np.clip(0.55 - 0.006 * (p.age - 25.0) + rng.normal(0.0, 0.12), 0.05, 0.9))
    scene.add(f"breast_{name}", mesh, FAT, Priority.BREAST, f"breast_{name}", "body")
    centre = np.asarray([x, mesh.vertices[:, 1].min() + 14.0 * size, z])
    core = mesh.moved(lambda points: centre + (points - centre) * (0.35 + 0.4 * glandular))
    scene.add(f"breast_gland_{name}", core, GLAND.with_density(0.965), Priority.BREAST + 0.5)


def _breast_mesh(frame: Frame, side: int, x: float, z: float, size: float) -> Mesh:
    """A cushion on the chest: a round fold below and outside, running out flat above and inside."""
    angle = 2.0 * np.pi * np.arange(44) / 44
    across, up = np.cos(angle) * side, np.sin(angle)
    reach = size * (54.0 + 34.0 * np.clip(up, 0.0, 1.0) ** 1.5 - 4.0 * np.clip(-up, 0.0, 1.0))
    # The exponent of the fall-off sets how sharp the edge shows: 0.5 is a round fold, above 1 fades out.
    fall = 0.55 + 1.3 * np.clip(0.5 + 0.8 * up - 0.35 * across, 0.0, 1.0)
    rho = np.concatenate([[1.0, 1.0], np.linspace(0.99, 0.8, 8), np.linspace(0.72, 0.04, 10)])[:, None]
    px, pz = x + rho * reach * np.cos(angle), z + rho * reach * up
    chest = skin_front(frame, px, pz) + 3.0
    thick = size * (42.0 + 10.0 * (0.5 - 0.5 * up)) * np.maximum(1.0 - rho**2, 0.0) ** fall
    y = chest - thick
    y[0] = chest[0] + 40.0
    return loft(np.stack([px, y, pz], axis=-1))


def _add_gas(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    p = frame.patient
    if p.stomach_bubble > 0.0:
        size = p.stomach_bubble
        top = np.asarray(
            [0.42 * p.half_width, -12.0 + rng.normal(0.0, 8.0), frame.dome_top(1) - 9.0 - rng.uniform(0, 6)]
        )
        radii = np.asarray([30.0, 26.0, 20.0]) * size ** (1 / 3)
        whole = ellipsoid(top - [0.0, 0.0, radii[2]], radii, 18, 28)
        level = top[2] - radii[2] * rng.uniform(0.7, 1.6)
        erect = p.technique.projection == "PA"
        # Standing, the fluid cuts the bubble flat from below.
        bubble = (
            whole.moved(lambda v: np.column_stack([v[:, :2], np.maximum(v[:, 2], level)])) if erect else whole
        )
        scene.add("stomach_gas", bubble, GAS, Priority.BOWEL_GAS, "stomach_gas")
    if p.colon_gas > 0.0:
        for k in range(int(rng.integers(2, 7))):
            x = rng.uniform(0.3, 0.8) * p.half_width * (1 if rng.random() < 0.75 else -1)
            at = [x, rng.uniform(-60.0, 10.0), frame.dome_top(1) - rng.uniform(30.0, 85.0)]
            radii = rng.uniform(7.0, 19.0, 3) * p.colon_gas**0.5
            scene.add(f"colon_gas_{k}", ellipsoid(at, radii, 12, 18), GAS, Priority.BOWEL_GAS)
