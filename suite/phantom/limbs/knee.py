"""Knee, seen from the front: fibula towards -x; the joint line is z = 0."""

from __future__ import annotations

from suite.phantom.limbs.workshop import Workshop


def add(w: Workshop, *, replaced: bool = False) -> None:
    """Add femur, tibia, fibula, patella and flesh; ``replaced`` shapes the ends for a prosthesis."""
    _add_femur(w, replaced)
    _add_tibia(w, replaced)
    _add_fibula(w)
    tilt = float(w.rng.normal(0.0, 3.0))
    z = 26.0 + float(w.rng.normal(0.0, 4.0))
    w.short_bone("patella", (-1.0, -33.0, z), (21.5, 9.5, 22.0), tilt, 1.2)
    leg = [(0.0, 4.0, 260.0), (0.0, 3.0, 110.0), (0.0, -1.0, 10.0), (-1.0, 9.0, -110.0), (-1.0, 12.0, -270.0)]
    outline = [(0.0, 84.0, 88.0), (0.3, 66.0, 68.0), (0.42, 59.0, 59.0), (0.5, 55.0, 55.0),
               (0.56, 52.0, 52.0),
               (0.72, 56.0, 60.0), (0.85, 55.0, 59.0), (1.0, 46.0, 50.0)]  # fmt: skip
    w.flesh("knee", [(leg, outline)])


def _add_femur(w: Workshop, replaced: bool) -> None:
    lift = 6.0 if replaced else 0.0
    knobs = [
        w.knob((-20.5, 9.0, 23.0 + lift), (15.5, 29.0, 20.5), 5.0, 0.9),
        w.knob((21.0, 10.0, 22.0 + lift), (16.0, 30.0, 21.0), -5.0, 0.9),
        w.knob((-28.5, 4.0, 34.0), (9.5, 16.0, 17.0), 6.0, 0.9),
        w.knob((29.5, 4.0, 35.0), (10.0, 16.0, 18.0), -7.0, 0.9),
    ]
    w.long_bone(
        "femur",
        [(-4.0, 4.0, 215.0), (-2.0, 1.0, 120.0), (0.0, 2.0, 60.0), (0.0, 3.0, 14.0)],
        [(0.0, 14.5, 14.5), (0.4, 15.5, 15.0), (0.6, 20.0, 17.0), (0.75, 31.0, 22.0), (0.85, 37.5, 25.0),
         (0.94, 34.0, 23.0), (1.0, 22.0, 14.0)],
        [(0.0, 5.6), (0.35, 4.6), (0.6, 2.2), (0.8, 0.9), (1.0, 0.8)],
        ends=(1.0, 6.0), canal=(0.0, 0.62), knobs=knobs,
    )  # fmt: skip


def _add_tibia(w: Workshop, replaced: bool) -> None:
    top = -13.0 if replaced else -6.0
    knobs = (
        []
        if replaced
        else [
            w.knob((-18.0, 6.0, -9.5), (19.0, 23.0, 6.5), 1.0, 1.0),
            w.knob((18.5, 6.0, -9.5), (19.5, 25.0, 6.8), -1.0, 1.0),
            w.knob((-4.5, 4.0, -4.0), (3.0, 7.0, 6.5), -8.0, 0.6),
            w.knob((5.0, 4.0, -3.5), (3.2, 8.0, 7.0), 8.0, 0.6),
        ]
    )
    knobs.append(w.knob((1.0, -13.5, -36.0), (9.5, 6.5, 17.0), 0.0, 1.0))
    w.long_bone(
        "tibia",
        [(0.0, 5.0, top), (0.0, 4.0, -40.0), (2.0, 4.0, -110.0), (2.0, 4.0, -225.0)],
        [(0.0, 36.5, 22.0), (0.05, 37.5, 23.0), (0.13, 33.0, 22.0), (0.25, 22.0, 20.0), (0.42, 16.0, 18.0),
         (0.7, 13.5, 16.5), (1.0, 12.8, 15.5)],
        [(0.0, 1.0), (0.12, 1.0), (0.28, 2.6), (0.5, 4.4), (1.0, 5.2)],
        ends=(4.0, 1.0), canal=(0.3, 1.0), knobs=knobs,
    )  # fmt: skip


def _add_fibula(w: Workshop) -> None:
    w.long_bone(
        "fibula",
        [(-34.0, 22.0, -16.0), (-35.0, 22.0, -36.0), (-33.0, 21.0, -80.0), (-30.0, 20.0, -225.0)],
        [(0.0, 8.0, 8.5), (0.06, 10.5, 11.0), (0.14, 8.0, 8.5), (0.25, 5.6, 6.0), (1.0, 6.2, 6.4)],
        [(0.0, 0.7), (0.12, 1.0), (0.3, 2.2), (1.0, 2.7)],
        ends=(6.0, 1.0),
        canal=(0.25, 1.0),
    )
