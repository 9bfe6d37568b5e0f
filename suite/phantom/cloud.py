"""Clouds: soft puffs that fill the lung's air spaces without a surface (oedema, pneumonia, ground glass)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from suite.phantom.camera import Camera
from suite.phantom.materials import Material
from suite.phantom.mesh import Floats
from suite.phantom.scene import Capsules

Array = npt.NDArray[Any]

_SMALLEST_PX = 0.7
_REACH = 3.0


@dataclass(slots=True)
class Cloud(Capsules):
    """Gaussian puffs, each turning a share of ``instead`` around it into ``material``.

    It is kept among a scene's capsules and moves with them. ``starts`` and ``ends`` both hold the centres;
    ``radii`` (n, 2) holds the standard deviation in mm and the share (0 to 1) replaced at the centre. Along
    a ray no more is replaced than there is, however many puffs overlap.
    """

    def chords(self, camera: Camera, around: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Millimetres of ``material`` on every ray, (H, W), given the millimetres of ``instead`` there."""
        total = np.zeros(around.shape, dtype=np.float32)
        place = camera.project(self.starts)
        column, row, depth = (np.ascontiguousarray(place[:, k]) for k in range(3))
        splat_puffs(column, row, camera.sid / (depth * camera.spacing), self.radii, total)
        fill = total / np.maximum(around, np.float32(1e-6))
        # Approaches what there is without a kink where puffs begin to overlap.
        return np.asarray(
            np.where(around > 0.0, total / np.sqrt(np.sqrt(1.0 + fill**4)), 0.0), dtype=np.float32
        )


def puffs(
    name: str, centres: Floats, sigma: npt.ArrayLike, share: npt.ArrayLike, material: Material,
    instead: Material, *labels: str,
) -> Cloud:  # fmt: skip
    """A cloud of puffs at ``centres`` (n, 3) mm; ``sigma`` (mm) and ``share`` are numbers or (n,)."""
    shape = (len(centres),)
    radii = np.stack(
        [np.broadcast_to(np.asarray(v, dtype=np.float64), shape) for v in (sigma, share)], axis=1
    )
    return Cloud(name, centres, centres, np.ascontiguousarray(radii), material, instead, labels)


@njit(cache=True)
def splat_puffs(
    column: Array, row: Array, scale: Array, radii: Array, chords: Array
) -> None:  # pragma: no cover
    """Add every puff's path length (mm) to ``chords`` (rows, columns); ``scale`` is pixels per mm."""
    rows, columns = chords.shape
    across = np.empty(columns)
    for n in range(column.shape[0]):
        true = radii[n, 0] * scale[n]
        sigma = max(true, _SMALLEST_PX)
        peak = radii[n, 1] * radii[n, 0] * np.sqrt(2.0 * np.pi) * (true / sigma) ** 2
        reach = _REACH * sigma
        top, bottom = max(int(row[n] - reach), 0), min(int(row[n] + reach) + 2, rows)
        left, right = max(int(column[n] - reach), 0), min(int(column[n] + reach) + 2, columns)
        factor = -0.5 / (sigma * sigma)
        for c in range(left, right):
            across[c] = np.exp(factor * (c - column[n]) ** 2)
        for r in range(top, bottom):
            here = peak * np.exp(factor * (r - row[n]) ** 2)
            for c in range(left, right):
                chords[r, c] += here * across[c]
