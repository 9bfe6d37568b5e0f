"""Radiographs of everything but a chest, drawn from simple bodies: what the gate must learn to refuse.

Each drawing is the sum of path lengths through tubes and ellipsoids of soft tissue and of bone with its
cortex, which is what a radiograph is; anatomy is only hinted at. Coordinates are shares of the canvas side,
(x, y) with y downwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from classifiers.gate.canvas import SIDE, Canvas, Point, step
from suite.study import FloatImage


def limb(canvas: Canvas, rng: np.random.Generator) -> None:
    """A shaft or a joint: thigh, knee, leg, ankle, upper arm, elbow, forearm; sometimes both sides."""
    radius = float(rng.uniform(0.07, 0.26))
    shafts = int(rng.integers(1, 3))
    both = radius < 0.15 and rng.random() < 0.3
    for centre in (0.27, 0.73) if both else (float(rng.uniform(0.35, 0.65)),):
        tilt = np.pi / 2 + float(rng.normal(0, 0.08))
        top, bottom = step((centre, 0.5), tilt, -0.85), step((centre, 0.5), tilt, 0.85)
        canvas.flesh(canvas.tube(top, bottom, radius, radius * float(rng.uniform(0.55, 1.0))))
        joint = step((centre, 0.5), tilt, float(rng.uniform(-0.35, 0.35))) if rng.random() < 0.6 else None
        _shafts(canvas, rng, top, bottom, joint, radius, shafts, tilt)


def _shafts(
    canvas: Canvas, rng: np.random.Generator, top: Point, bottom: Point, joint: Point | None,
    radius: float, shafts: int, tilt: float,
) -> None:  # fmt: skip
    thick = radius * float(rng.uniform(0.22, 0.42))
    aside = radius * float(rng.uniform(0.3, 0.5)) if shafts == 2 else 0.0
    for number in range(shafts):
        shift = aside * (1 - 2 * number)
        width = thick * (1.0 if number == 0 else float(rng.uniform(0.4, 0.8)))
        ends = [step(point, tilt + np.pi / 2, shift) for point in (top, bottom)]
        if joint is None:
            canvas.long_bone(ends[0], ends[1], width)
            continue
        middle = step(joint, tilt + np.pi / 2, shift)
        gap = float(rng.uniform(0.015, 0.03)) + 1.4 * width
        canvas.long_bone(step(middle, tilt, gap), ends[1], width)
        if number == 0:
            canvas.long_bone(ends[0], step(middle, tilt, -gap), 1.15 * width, float(rng.uniform(1.4, 1.9)))


def hand(canvas: Canvas, rng: np.random.Generator) -> None:
    """Five rays of a hand or a foot fanning out from small square bones, and the two bones above them."""
    base = (float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.6, 0.75)))
    size = float(rng.uniform(0.75, 1.25))
    spread = float(rng.uniform(0.12, 0.3))
    canvas.flesh(canvas.ellipsoid(step(base, -np.pi / 2, 0.1 * size), (0.16 * size, 0.18 * size), 0.06))
    canvas.flesh(canvas.tube(base, (base[0], 1.4), 0.1 * size))
    for side in (-0.035, 0.035):
        canvas.long_bone((base[0] + side * size, base[1] + 0.07 * size), (base[0] + side, 1.4), 0.022 * size)
    for _ in range(8):
        spot = (base[0] + float(rng.normal(0, 0.05)) * size, base[1] + float(rng.normal(0, 0.025)) * size)
        canvas.spongy(canvas.ellipsoid(spot, (0.03 * size, 0.026 * size), 0.02))
    for ray in range(5):
        angle = -np.pi / 2 + (ray - 2) * spread + float(rng.normal(0, 0.03))
        start = step((base[0] + (ray - 2) * 0.035 * size, base[1] - 0.05 * size), angle, 0.02)
        for part, length in enumerate((0.15, 0.1, 0.065, 0.045)):
            end = step(start, angle, length * size * (0.75 if ray == 0 else 1.0))
            canvas.long_bone(start, end, (0.017 - 0.002 * part) * size, 1.3)
            canvas.flesh(canvas.tube(start, end, 0.034 * size))
            start = step(end, angle, 0.022 * size)


def pelvis(canvas: Canvas, rng: np.random.Generator) -> None:
    """Iliac wings, sacrum, sockets and both thighs; zoomed in it is a hip."""
    zoom = float(rng.uniform(0.8, 1.0)) if rng.random() < 0.5 else float(rng.uniform(1.5, 2.2))
    cx = 0.5 if zoom < 1.1 else 0.5 + float(rng.choice((-1, 1))) * 0.22 * zoom
    cy = float(rng.uniform(0.4, 0.5))
    spread = float(rng.uniform(-0.1, 0.15)) if rng.random() < 0.6 else float(rng.uniform(0.15, 1.2))

    def at(dx: float, dy: float) -> Point:
        return cx + zoom * dx, cy + zoom * dy

    canvas.flesh(canvas.ellipsoid(at(0, -0.05), (0.5 * zoom, 0.55 * zoom), 0.22))
    canvas.spongy(canvas.tube(at(0, -0.75), at(0, -0.1), 0.065 * zoom), 0.7)
    canvas.spongy(canvas.ellipsoid(at(0, -0.05), (0.1 * zoom, 0.14 * zoom), 0.07))
    for side in (-1.0, 1.0):
        wing = canvas.ellipsoid(at(0.2 * side, -0.13), (0.11 * zoom, 0.19 * zoom), 0.04, 0.5 * side)
        canvas.spongy(wing, 0.8)
        hip, neck = at(0.25 * side, 0.1), at(0.34 * side, 0.18)
        canvas.spongy(canvas.ellipsoid(hip, (0.06 * zoom, 0.06 * zoom), 0.06), 0.8)
        canvas.spongy(canvas.tube(hip, neck, 0.035 * zoom), 0.6)
        knee = step(neck, np.pi / 2 - side * spread, 0.75 * zoom)
        canvas.long_bone(neck, knee, 0.038 * zoom)
        canvas.flesh(canvas.tube(at(0.26 * side, 0.15), knee, 0.2 * zoom, 0.15 * zoom))
        for start, end in (
            ((0.2, 0.1), (0.02, 0.12)),
            ((0.2, 0.14), (0.1, 0.25)),
            ((0.1, 0.25), (0.02, 0.14)),
        ):
            canvas.spongy(canvas.tube(at(start[0] * side, start[1]), at(end[0] * side, end[1]), 0.022 * zoom))


def skull(canvas: Canvas, rng: np.random.Generator) -> None:
    """A bony shell over a denser face, on a neck; from the front or from the side."""
    cx, cy = 0.5 + float(rng.normal(0, 0.04)), float(rng.uniform(0.36, 0.46))
    wide, high = float(rng.uniform(0.24, 0.36)), float(rng.uniform(0.28, 0.36))
    side = float(rng.choice((-1.0, 0.0, 1.0)))
    canvas.flesh(canvas.ellipsoid((cx, cy), (wide + 0.03, high + 0.03), 0.25))
    canvas.flesh(canvas.tube((cx - 0.08 * side, cy), (cx - 0.12 * side, 1.3), 0.13))
    shell = canvas.ellipsoid((cx, cy), (wide, high), 0.25)
    canvas.bone += shell - canvas.ellipsoid((cx, cy), (0.92 * wide, 0.92 * high), 0.235)
    face = (cx + 0.6 * side * wide, cy + 0.75 * high)
    canvas.spongy(canvas.ellipsoid(face, (0.5 * wide, 0.35 * high), 0.1), 0.6)
    for eye in (-1.0, 1.0):
        hole = canvas.ellipsoid(
            (face[0] + 0.42 * wide * eye, cy + 0.4 * high), (0.25 * wide, 0.2 * high), 0.05
        )
        canvas.bone = np.maximum(canvas.bone - hole, 0.0)
    jaw = face[0], cy + 1.35 * high
    for eye in (-1.0, 1.0):
        canvas.spongy(canvas.tube((face[0] + 0.6 * wide * eye, cy + 0.7 * high), jaw, 0.03))
    _spine(canvas, rng, (cx - 0.12 * side, cy + 0.9 * high), (cx - 0.12 * side, 1.2), 0.05)


def _spine(canvas: Canvas, rng: np.random.Generator, top: Point, bottom: Point, radius: float) -> None:
    height = 1.7 * radius
    count = int(np.hypot(bottom[0] - top[0], bottom[1] - top[1]) / height)
    bend = float(rng.normal(0, 0.05))
    for number in range(count):
        share = (number + 0.5) / count
        x = top[0] + share * (bottom[0] - top[0]) + bend * float(np.sin(np.pi * share))
        y = top[1] + share * (bottom[1] - top[1])
        canvas.spongy(canvas.tube((x - 0.7 * radius, y), (x + 0.7 * radius, y), 0.42 * height), 0.8)
        for side in (-0.6, 0.6):
            canvas.spongy(canvas.ellipsoid((x + side * radius, y), (0.15 * radius, 0.25 * radius), 0.03))


def spine(canvas: Canvas, rng: np.random.Generator) -> None:
    """A strip of vertebrae in a wide block of soft tissue: neck or loins."""
    x = float(rng.uniform(0.35, 0.65))
    lean = float(rng.normal(0, 0.12))
    canvas.flesh(canvas.tube((x - lean, -0.3), (x + lean, 1.3), float(rng.uniform(0.25, 0.7))))
    _spine(canvas, rng, (x - lean, -0.05), (x + lean, 1.05), float(rng.uniform(0.05, 0.13)))


def abdomen(canvas: Canvas, rng: np.random.Generator) -> None:
    """A trunk without lungs: spine, bowel gas, the lowest ribs above and the iliac wings below."""
    canvas.flesh(canvas.tube((0.5, -0.4), (0.5, 1.4), float(rng.uniform(0.38, 0.6))))
    _spine(canvas, rng, (0.5, -0.05), (0.5, 1.05), float(rng.uniform(0.05, 0.075)))
    for _ in range(int(rng.integers(3, 22))):
        spot = (float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.1, 0.95)))
        axes = (float(rng.uniform(0.015, 0.08)), float(rng.uniform(0.015, 0.05)))
        gas = canvas.ellipsoid(spot, axes, float(rng.uniform(0.03, 0.12)), float(rng.uniform(0, np.pi)))
        canvas.soft = np.maximum(canvas.soft - gas, 0.02)
    for side in (-1.0, 1.0):
        for row in range(int(rng.integers(0, 3))):
            start, end = (0.5 + 0.06 * side, 0.02 + 0.08 * row), (0.5 + 0.36 * side, 0.14 + 0.1 * row)
            canvas.spongy(canvas.tube(start, end, 0.016))
        wing = canvas.ellipsoid(
            (0.5 + 0.25 * side, float(rng.uniform(0.9, 1.1))), (0.12, 0.2), 0.04, 0.5 * side
        )
        canvas.spongy(wing, 0.8)


def shoulder(canvas: Canvas, rng: np.random.Generator) -> None:
    """One shoulder: humerus, collar bone, shoulder blade, and a few ribs over air at the edge."""
    side = float(rng.choice((-1.0, 1.0)))

    def at(x: float, y: float) -> Point:
        return 0.5 + side * (x - 0.5), y

    canvas.flesh(canvas.tube(at(0.1, 0.35), at(0.6, 0.35), 0.3, 0.2))
    canvas.flesh(canvas.tube(at(0.62, 0.35), at(0.75, 1.3), 0.2, 0.15))
    canvas.flesh(canvas.tube(at(0.0, 0.3), at(0.0, 1.4), 0.45))
    head = at(0.62, 0.33)
    canvas.long_bone(head, at(0.78, 1.3), 0.05, 2.0)
    canvas.long_bone(at(-0.1, 0.2), at(0.56, 0.22), 0.025)
    canvas.spongy(canvas.ellipsoid(at(0.4, 0.55), (0.11, 0.25), 0.02, 0.3 * side))
    lung = canvas.ellipsoid(at(-0.02, 0.8), (0.28, 0.5), 0.2)
    canvas.soft = np.maximum(canvas.soft - lung, 0.05)
    for row in range(5):
        canvas.spongy(canvas.tube(at(-0.1, 0.35 + 0.13 * row), at(0.3, 0.5 + 0.13 * row), 0.018))


def breast(canvas: Canvas, rng: np.random.Generator) -> None:
    """A mammogram: half an ellipse at one edge with fibrous tissue in it."""
    edge = float(rng.integers(0, 2))
    y = float(rng.uniform(0.4, 0.6))
    canvas.flesh(
        canvas.ellipsoid((edge, y), (float(rng.uniform(0.4, 0.8)), float(rng.uniform(0.3, 0.5))), 0.1)
    )
    for _ in range(25):
        spot = (abs(edge - float(rng.uniform(0.0, 0.4))), y + float(rng.normal(0, 0.12)))
        axes = (float(rng.uniform(0.02, 0.12)), float(rng.uniform(0.01, 0.05)))
        canvas.spongy(canvas.ellipsoid(spot, axes, 0.01, float(rng.uniform(0, np.pi))), 0.4)
    canvas.bone *= canvas.soft > 0


def jumble(canvas: Canvas, rng: np.random.Generator) -> None:
    """Flesh and bone of no anatomy at all: whatever is radiographed, it consists of these."""
    for _ in range(int(rng.integers(1, 4))):
        start, end = (tuple(map(float, rng.uniform(-0.3, 1.3, 2))) for _ in range(2))
        canvas.flesh(canvas.tube((start[0], start[1]), (end[0], end[1]), float(rng.uniform(0.08, 0.45))))
    for _ in range(int(rng.integers(1, 9))):
        start, end = (tuple(map(float, rng.uniform(-0.1, 1.1, 2))) for _ in range(2))
        canvas.long_bone((start[0], start[1]), (end[0], end[1]), float(rng.uniform(0.012, 0.08)))
    for _ in range(int(rng.integers(0, 7))):
        spot, axes = rng.uniform(0, 1, 2), rng.uniform(0.02, 0.2, 2)
        blob = canvas.ellipsoid(
            (float(spot[0]), float(spot[1])),
            (float(axes[0]), float(axes[1])),
            0.06,
            float(rng.uniform(0, np.pi)),
        )
        canvas.spongy(blob, float(rng.uniform(0.2, 0.9)))


BODY_PARTS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "limb": limb,
    "hand": hand,
    "pelvis": pelvis,
    "skull": skull,
    "spine": spine,
    "abdomen": abdomen,
    "shoulder": shoulder,
    "breast": breast,
    "jumble": jumble,
}


def draw_radiograph(rng: np.random.Generator, part: str | None = None) -> FloatImage:
    """A drawn radiograph float32 (SIDE, SIDE) in [0, 1], bone bright; of ``part``, or of any."""
    names = ("limb", "pelvis", "jumble", *BODY_PARTS)
    canvas = Canvas()
    BODY_PARTS[part or str(rng.choice(names))](canvas, rng)
    film = canvas.soft * float(rng.uniform(0.6, 1.6)) + canvas.bone * float(rng.uniform(3.0, 8.0))
    grain = rng.normal(0, 1, (SIDE // 8, SIDE // 8)).astype(np.float32).repeat(8, 0).repeat(8, 1)
    film = film * (1.0 + float(rng.uniform(0, 0.03)) * grain)
    # A film saturates: dense parts run together at the white end, as they do on a display.
    film = 1.0 - np.exp(-film / max(float(np.percentile(film, 98)), 1e-3) * float(rng.uniform(0.7, 2.5)))
    return np.asarray(film / max(float(film.max()), 1e-3), dtype=np.float32)
