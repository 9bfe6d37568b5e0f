"""What was taken from a film, as numbers: its energy inside the lungs, and how much of it is structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from suite.grid import Grid
from suite.levels import auto_levels
from suite.study import FloatImage, Mask

SIDE = 256
"""The layer is measured at this size: ribs' edges are structure there, grain is not."""

SMOOTH = 8.0
"""Standard deviation in pixels at ``SIDE`` of what does not count as structure."""


@dataclass(frozen=True, slots=True)
class ResidualEnergy:
    """What was taken inside the lungs; NaN without lungs.

    Attributes:
        energy: root mean square, on the scale of the film's used levels.
        structure: root mean square without the smooth part, as a share of the film's own: whatever contrast
            a display gives bones, it gives the rest too.
    """

    energy: float
    structure: float


def residual_energy(layer: FloatImage, film: FloatImage, lungs: Mask) -> ResidualEnergy:
    """Measure a layer (H, W) that was taken from ``film`` (H, W), inside ``lungs`` (H, W)."""
    grid = Grid.of(film.shape).square().resize(SIDE)
    inside = grid.apply((lungs > 0).astype(np.uint8), "nearest") > 0
    if not inside.any():
        return ResidualEnergy(float("nan"), float("nan"))
    width = np.float32(auto_levels(film).width)
    taken, shown = (grid.apply(plane) / width for plane in (layer, film))
    energy = float(np.sqrt(np.square(taken[inside]).mean()))
    own, whole = (_structure(plane, inside) for plane in (taken, shown))
    return ResidualEnergy(energy, own / max(whole, 1e-6))


def _structure(plane: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Root mean square, at the pixels ``inside``, of what a wide Gaussian within them takes away."""
    weight = inside.astype(np.float32)
    smooth = cv2.GaussianBlur(plane * weight, (0, 0), SMOOTH) / np.maximum(
        cv2.GaussianBlur(weight, (0, 0), SMOOTH), 1e-3
    )
    return float(np.sqrt(np.square((plane - smooth)[inside]).mean()))


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the most that was seen on validation films; what lies outside is worth a warning."""

    least_structure: float
    most_structure: float

    @classmethod
    def of(cls, measured: Iterable[ResidualEnergy]) -> Limits:
        """The limits of films that are as they should be."""
        kept = [each.structure for each in measured if np.isfinite(each.structure)]
        return cls(min(kept), max(kept)) if kept else cls(0.0, float("inf"))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, infinity as null."""
        values = {name: getattr(self, name) for name in ("least_structure", "most_structure")}
        return {name: round(value, 6) if np.isfinite(value) else None for name, value in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Limits:
        """What ``as_json`` made ``content`` of; no limits where a card has none."""

        def number(name: str, otherwise: float) -> float:
            value = content.get(name)
            return otherwise if value is None else float(value)

        return cls(number("least_structure", 0.0), number("most_structure", np.inf))
