"""Layers along the pleura, for fluid, rind and plaques."""

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.mesh import Floats, Mesh, loft

ANGLES = 44


def pleural_shell(
    frame: Frame,
    side: int,
    z: Floats,
    thickness: Floats,
    start: float = 0.05,
    stop: float = np.pi - 0.05,
    out: float = 0.6,
) -> Mesh:
    """What lies between the chest wall and a surface ``thickness`` mm inside it, unposed.

    Args:
        z: (n,) rising heights in mm; thickness: (n, m) mm over heights and azimuths ``start`` to ``stop``
            (radians, as in ``Frame.wall``), interpolated over azimuth.
        out: mm that the layer reaches into the wall, so that no lung shows between.
    """
    angle = np.linspace(start, stop, ANGLES)
    knots = np.linspace(start, stop, thickness.shape[1])
    deep = np.stack([np.interp(angle, knots, row) for row in thickness])
    room = np.minimum(frame.half_width(z), 0.46 * (frame.back(z) - frame.front(z)))[:, None]
    deep = np.minimum(deep, 0.94 * room)
    outer = _pulled_to_apex(frame, side, _wall(frame, side, z, angle, np.full_like(deep, out)), z)
    inner = _pulled_to_apex(frame, side, _wall(frame, side, z, angle, -deep), z)
    # Under the cupola the layer hangs down instead of in.
    high = np.clip((z / frame.height - 0.84) / 0.16, 0.0, 1.0)[:, None] ** 2
    inner[..., 2] -= high * deep
    return loft(np.concatenate([outer, inner[:, ::-1]], axis=1))


def _wall(frame: Frame, side: int, z: Floats, angle: Floats, out: Floats) -> Floats:
    return frame.wall(z[:, None], side * angle[None, :], out)  # type: ignore[arg-type]


def _pulled_to_apex(frame: Frame, side: int, contours: Floats, z: Floats) -> Floats:
    """Close the cupola as the lung does."""
    h1 = 0.84 * frame.height
    t = np.clip((z - h1) / (frame.height - h1), 0.0, 1.0)
    shrink = np.maximum(np.sqrt(1.0 - t**2), 0.02)[:, None, None]
    tip = frame.apex(side)
    moved = contours.copy()
    moved[..., :2] = tip[:2] + (contours[..., :2] - tip[:2]) * shrink
    return moved
