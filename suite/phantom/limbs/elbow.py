"""Elbow, straight and seen from the front: radius and capitellum towards -x; the joint line is z = 0."""

from __future__ import annotations

import numpy as np

from suite.phantom.limbs import implants
from suite.phantom.limbs.workshop import Workshop, rotation
from suite.phantom.mesh import resample, tube

_HINGE = (0.0, -2.0, 9.0)
"""Axis of the joint, through capitellum and trochlea."""


def add(w: Workshop, flexion: float = 0.0, plated: bool = False) -> None:
    """Add the joint and its flesh, bent by ``flexion`` degrees; ``plated``: metal in olecranon or humerus."""
    _add_humerus(w)
    upper = [(0.0, 0.0, 220.0), (0.0, 0.0, 110.0), (0.0, -1.0, 24.0), (0.0, 0.0, -30.0)]
    w.flesh(
        "arm", [(upper, [(0.0, 46.0, 50.0), (0.5, 41.0, 42.0), (0.8, 43.0, 34.0), (1.0, 41.0, 32.0)])], 0.8
    )
    fixed = len(w.scene.solids)
    _add_radius(w)
    _add_ulna(w)
    fore = [(0.0, -1.0, 44.0), (0.0, -2.0, -5.0), (-1.0, -2.0, -70.0), (-2.0, -1.0, -210.0)]
    outline = [(0.0, 41.0, 30.0), (0.2, 43.0, 34.0), (0.4, 44.0, 38.0), (1.0, 33.0, 28.0)]
    w.flesh("forearm", [(fore, outline)], 0.6)
    if plated:
        if w.rng.random() < 0.5:
            implants.plate(w, "ulna", (0.02, 0.4), (0.1, 1.0, 0.0), int(w.rng.integers(5, 8)), 0.85)
        else:
            for x in (8.0, 14.0):
                implants.wire(w, f"wire_{x:.0f}", (x, 15.0, 27.0), (x + 1.0, 0.0, -38.0))
    bend = rotation("x", -flexion, _HINGE)  # forwards, towards -y
    for solid in w.scene.solids[fixed:]:
        solid.mesh = solid.mesh.moved(bend)


def _add_humerus(w: Workshop) -> None:
    # The spool that both forearm bones turn on: capitellum, groove, trochlea with its deep inner lip.
    axle = resample(
        np.asarray([(-20.0, -3.0, 10.5), (-8.0, -3.5, 10.0), (4.0, -2.5, 11.0), (24.0, -2.0, 9.0)]), 36
    )
    at = np.linspace(0.0, 1.0, 36)
    radius = np.interp(
        at,
        [0.0, 0.08, 0.2, 0.36, 0.46, 0.62, 0.84, 0.95, 1.0],
        [4.0, 8.5, 10.8, 9.6, 8.3, 9.2, 12.2, 9.0, 4.0],
    )
    thin = np.maximum(radius - 0.8 * w.physique.cortex, 1.0)
    spool = tube(axle, radius, radius, points=24), tube(axle[1:-1], thin[1:-1], thin[1:-1], points=24)
    knobs = [
        spool,
        w.knob((24.0, 3.0, 25.0), (8.0, 6.0, 9.5), -32.0, 0.8),
        w.knob((-20.5, 0.0, 22.0), (5.5, 5.5, 11.5), 10.0, 0.8),
    ]
    w.long_bone(
        "humerus",
        [(-2.0, 2.0, 225.0), (0.0, 2.0, 120.0), (1.0, 3.0, 50.0), (1.0, 0.0, 14.0)],
        [(0.0, 11.5, 11.5), (0.5, 11.0, 10.5), (0.7, 15.0, 9.5), (0.84, 25.0, 8.0), (0.92, 29.0, 7.0),
         (1.0, 26.0, 6.0)],
        [(0.0, 4.2), (0.55, 3.8), (0.75, 2.4), (0.9, 1.3), (1.0, 1.0)],
        ends=(1.0, 4.0), canal=(0.0, 0.66), knobs=knobs,
    )  # fmt: skip


def _add_radius(w: Workshop) -> None:
    w.long_bone(
        "radius",
        [(-13.0, -3.0, -1.5), (-13.0, -3.0, -16.0), (-9.0, -3.0, -34.0), (-14.0, -3.0, -100.0),
         (-18.0, -2.0, -215.0)],
        [(0.0, 11.0, 11.0), (0.025, 11.6, 11.6), (0.055, 10.6, 10.6), (0.09, 7.2, 7.2), (0.16, 7.6, 7.4),
         (0.2, 9.2, 8.4), (0.27, 7.6, 7.0), (1.0, 7.8, 7.2)],
        [(0.0, 0.8), (0.06, 0.9), (0.15, 1.8), (0.3, 2.8), (1.0, 3.2)],
        ends=(2.0, 1.0), canal=(0.24, 1.0),
    )  # fmt: skip


def _add_ulna(w: Workshop) -> None:
    # The olecranon lies behind the humerus, the coronoid in front, the notch between them holds the trochlea.
    knobs = [
        w.knob((13.0, -15.0, -4.0), (8.0, 6.0, 7.0), 0.0, 0.8),
        w.knob((9.0, -4.0, -4.5), (12.5, 10.5, 4.5), -6.0, 0.8),
    ]
    w.long_bone(
        "ulna",
        [(11.0, 14.0, 24.0), (11.5, 14.0, 8.0), (12.0, 6.0, -14.0), (12.0, 3.0, -50.0), (14.0, 3.0, -110.0),
         (12.0, 2.0, -215.0)],
        [(0.0, 10.0, 7.5), (0.06, 11.0, 8.5), (0.14, 10.5, 11.0), (0.22, 9.5, 12.0), (0.35, 7.5, 8.5),
         (1.0, 6.4, 6.6)],
        [(0.0, 1.0), (0.2, 1.6), (0.35, 2.8), (1.0, 2.8)],
        ends=(5.0, 1.0), canal=(0.3, 1.0), knobs=knobs,
    )  # fmt: skip


def forearm_centre(flexion: float) -> tuple[float, float, float]:
    """A point between joint and forearm, for the film's centre."""
    bent = rotation("x", -flexion, _HINGE)(np.asarray([[0.0, 0.0, -45.0]]))[0]
    return 0.0, float(0.3 * bent[1]), float(0.3 * bent[2] + 14.0)
