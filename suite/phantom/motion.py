"""What moves between the two exposures of a dual-energy pair, 150 to 200 ms apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from suite.phantom.mesh import Floats
from suite.phantom.scene import Scene


def beat(scene: Scene, rng: np.random.Generator, wall_mm: float = 3.0, sway_mm: float = 0.3) -> Scene:
    """A copy of the scene one moment later: heart and vessels contract, the body sways.

    Args:
        wall_mm: inward movement of the ventricle's wall; solids follow by their ``motion``.
        sway_mm: standard deviation of the body's rigid shift.
    """
    middle = scene.landmarks["heart"]
    sway = rng.normal(0.0, sway_mm, 3)
    contraction = float(abs(rng.normal(wall_mm, 0.4 * wall_mm))) / 60.0

    def change(share: float) -> Callable[[Floats], Floats]:
        return lambda points: np.asarray(points + sway - share * contraction * (points - middle))

    later = Scene([replace(s) for s in scene.solids], list(scene.capsules), dict(scene.landmarks))
    for solid in later.solids:
        solid.mesh = solid.mesh.moved(change(solid.motion))
    later.capsules = [one.moved(change(one.motion)) for one in later.capsules]
    return later
