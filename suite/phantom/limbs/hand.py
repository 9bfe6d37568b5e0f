"""Hand and wrist, palm on the detector (PA), thumb towards -x; the wrist joint is the origin."""

from __future__ import annotations

import numpy as np

from suite.phantom.limbs.workshop import Piece, Workshop
from suite.phantom.mesh import Floats

# Name, base of the metacarpal (x, y, z), its angle from z (degrees, + towards the little finger), lengths of
# metacarpal and phalanges in mm: bone lengths of adults after Garn 1972, rounded.
_RAYS = (
    ("thumb", (-21.0, -7.0, 26.0), -42.0, (45.0, 31.0, 23.0), 1.1),
    ("index", (-10.5, 0.0, 29.5), -9.0, (66.0, 40.0, 23.5, 17.0), 1.0),
    ("middle", (-0.5, 1.0, 30.0), -1.0, (64.0, 44.0, 28.0, 18.0), 1.03),
    ("ring", (8.0, 0.5, 28.5), 6.0, (57.0, 41.0, 26.5, 18.0), 0.95),
    ("little", (15.5, -1.5, 26.0), 14.0, (52.0, 33.0, 19.0, 16.0), 0.88),
)
# Name, centre, radii, tilt.
_CARPALS = (
    ("scaphoid", (-12.5, 0.0, 8.8), (6.6, 7.5, 11.6), 36.0),
    ("lunate", (0.3, 0.5, 5.8), (8.0, 9.0, 6.6), -8.0),
    ("triquetrum", (12.2, 2.0, 9.3), (6.6, 7.5, 7.6), -38.0),
    ("pisiform", (14.0, -9.0, 11.0), (5.0, 5.0, 5.8), 0.0),
    ("trapezium", (-19.8, -4.0, 20.8), (7.6, 7.5, 7.2), 30.0),
    ("trapezoid", (-10.6, 1.5, 22.8), (5.6, 7.5, 6.2), 10.0),
    ("capitate", (-0.8, 1.5, 19.4), (6.6, 9.0, 11.4), -4.0),
    ("hamate", (10.2, 0.0, 20.0), (7.4, 8.5, 8.8), 22.0),
)


def add(w: Workshop, spread: float = 1.0) -> None:
    """Add a whole hand with the distal forearm; ``spread`` opens the fingers."""
    for name, centre, radii, tilt in _CARPALS:
        at = np.asarray(centre) + w.rng.normal(0.0, 0.5, 3)
        w.short_bone(name, at, radii, tilt + float(w.rng.normal(0.0, 4.0)), 0.9)
    pieces: list[Piece] = [_add_ray(w, spread, *ray) for ray in _RAYS]
    _add_forearm(w)
    whole = [(-3.0, 2.0, -200.0), (-3.0, 1.0, -110.0), (-2.0, 0.0, -30.0), (-2.0, -1.0, 4.0),
             (-1.0, -3.0, 45.0),
             (-2.0, -2.0, 96.0)]  # fmt: skip
    outline = [(0.0, 41.0, 35.0), (0.3, 33.0, 27.0), (0.55, 28.0, 20.0), (0.68, 28.5, 20.5),
               (0.78, 35.0, 18.5),
               (0.88, 41.0, 16.0), (0.96, 40.0, 12.0), (1.0, 37.0, 10.0)]  # fmt: skip
    pieces.append((whole, outline))
    thenar = [(-16.0, -8.0, 8.0), (-28.0, -12.0, 34.0), (-36.0, -11.0, 58.0)]
    pieces.append((thenar, [(0.0, 12.0, 12.0), (0.5, 18.0, 14.0), (1.0, 13.0, 11.0)]))
    w.flesh("hand", pieces, 0.45)


def _add_ray(
    w: Workshop, spread: float, name: str, base: tuple[float, float, float], angle: float,
    lengths: tuple[float, ...], size: float,
) -> Piece:  # fmt: skip
    """One metacarpal with its phalanges; returns the finger's flesh."""
    at = np.asarray(base)
    angle = angle * (0.75 + 0.25 * spread)
    curl = float(w.rng.normal(0.0, 3.0))
    joints = [at]
    for number, length in enumerate(lengths):
        aim = np.asarray([np.sin(np.deg2rad(angle)), np.sin(np.deg2rad(curl)), np.cos(np.deg2rad(angle))])
        aim = aim / np.linalg.norm(aim)
        end = at + aim * length * float(w.rng.normal(1.0, 0.02))
        _add_tubular(
            w, f"{name}_{number}", at + 0.8 * aim, end - 0.8 * aim, number, number == len(lengths) - 1, size
        )
        at = end
        joints.append(at)
        angle += float(w.rng.normal(1.2 * np.sign(angle) * (number == 0) * spread, 2.0))
        curl += float(w.rng.normal(-4.0, 4.0))
    tip = at + (at - joints[-2]) / np.linalg.norm(at - joints[-2]) * 5.5
    first = joints[0] if name == "thumb" else 0.35 * joints[0] + 0.65 * joints[1]
    knots = [first, *joints[1:], tip]
    wide = [
        (0.0, 12.0, 11.0),
        (0.3, 10.4, 10.5),
        (0.55, 9.6, 9.4),
        (0.85, 8.4, 7.6),
        (0.95, 7.2, 6.0),
        (1.0, 2.0, 1.8),
    ]
    return knots, [(t, size * a, size * b) for t, a, b in wide]


def _add_tubular(
    w: Workshop, name: str, start: Floats, end: Floats, number: int, last: bool, size: float
) -> None:
    """A metacarpal (number 0) or phalanx: broad base, waisted shaft, round head or tuft."""
    if number == 0:
        profile = [(0.0, 7.4, 7.6), (0.1, 7.0, 7.4), (0.3, 4.6, 5.0), (0.5, 4.1, 4.5), (0.72, 4.9, 5.2),
                   (0.88, 7.4, 7.6),
                   (1.0, 6.8, 7.2)]  # fmt: skip
        shell = [(0.0, 0.6), (0.2, 1.3), (0.5, 2.1), (0.75, 1.4), (0.9, 0.6), (1.0, 0.6)]
        ends = (2.5, 5.5)
    elif last:
        profile = [
            (0.0, 6.2, 4.6),
            (0.15, 5.8, 4.0),
            (0.5, 2.8, 2.6),
            (0.8, 3.2, 2.0),
            (0.93, 4.3, 1.8),
            (1.0, 3.6, 1.6),
        ]
        shell = [(0.0, 0.6), (0.5, 1.1), (1.0, 0.5)]
        ends = (1.5, 2.0)
    else:
        slim = 1.0 if number == 1 else 0.87
        profile = [(0.0, 7.6, 6.4), (0.12, 7.2, 6.0), (0.35, 4.9, 4.2), (0.6, 4.1, 3.6), (0.8, 4.7, 4.0),
                   (0.93, 5.9, 5.0),
                   (1.0, 5.4, 4.6)]  # fmt: skip
        profile = [(t, slim * a, slim * b) for t, a, b in profile]
        shell = [(0.0, 0.6), (0.2, 1.1), (0.5, 1.75), (0.8, 1.0), (1.0, 0.6)]
        ends = (2.0, 3.2)
    w.long_bone(
        name,
        [start, 0.5 * (start + end) + [0.0, 1.2 if number == 0 else 0.8, 0.0], end],
        [(t, size * a, size * b) for t, a, b in profile],
        shell,
        ends=ends,
        canal=None if last else (0.2, 0.82),
    )


def _add_forearm(w: Workshop) -> None:
    tilt = float(w.rng.normal(0.0, 1.0))
    radius = [(-7.0, 0.0, 0.5 + tilt), (-7.5, 0.5, -18.0), (-10.0, 1.5, -60.0), (-13.0, 2.0, -190.0)]
    w.long_bone(
        "radius",
        radius,
        [
            (0.0, 13.8, 10.5),
            (0.03, 15.2, 11.5),
            (0.08, 13.5, 10.5),
            (0.17, 8.8, 8.0),
            (0.3, 7.2, 6.6),
            (1.0, 7.4, 7.0),
        ],
        [(0.0, 0.9), (0.1, 0.9), (0.25, 2.2), (0.5, 3.2), (1.0, 3.4)],
        ends=(4.0, 1.0),
        canal=(0.2, 1.0),
        knobs=[w.knob((-19.0, -1.0, 1.0), (4.6, 7.0, 8.5), 12.0, 0.9)],
    )
    w.long_bone(
        "ulna",
        [(14.0, 4.0, -2.5), (13.5, 4.0, -20.0), (13.0, 3.0, -70.0), (9.0, 3.0, -190.0)],
        [(0.0, 8.2, 8.0), (0.05, 8.4, 8.4), (0.12, 6.4, 6.6), (0.3, 6.0, 6.2), (1.0, 7.2, 7.4)],
        [(0.0, 0.7), (0.1, 1.0), (0.25, 2.3), (1.0, 3.0)],
        ends=(3.5, 1.0),
        canal=(0.2, 1.0),
        knobs=[w.knob((19.5, 6.0, 1.5), (2.6, 3.0, 5.0), -6.0, 0.6)],
    )
