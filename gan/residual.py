"""What was taken from a film, as numbers: its energy inside the lungs, and how much of it is structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from suite.grid import Grid
from suite.levels import auto_levels
from suite.study import FloatImage, Mask

SIDE = 256
"""The layer is measured at this size: ribs' edges are structure there, grain is not."""

SMOOTH = 8.0
"""Standard deviation in pixels at ``SIDE`` of what does not count as structure."""


@dataclass(frozen=True, slots=True)
class ResidualEnergy:
    """Root mean squares inside the lungs on the scale of the film's used levels; NaN without lungs.

    Attributes:
        energy: of all that was taken.
        structure: of what remains of it without its smooth part.
    """

    energy: float
    structure: float


def residual_energy(layer: FloatImage, film: FloatImage, lungs: Mask) -> ResidualEnergy:
    """Measure a layer (H, W) that was taken from ``film`` (H, W), inside ``lungs`` (H, W)."""
    grid = Grid.of(film.shape).square().resize(SIDE)
    inside = grid.apply((lungs > 0).astype(np.uint8), "nearest") > 0
    if not inside.any():
        return ResidualEnergy(float("nan"), float("nan"))
    taken = grid.apply(layer) / np.float32(auto_levels(film).width)
    structure = taken - cv2.GaussianBlur(taken, (0, 0), SMOOTH)
    energies = (float(np.sqrt(np.square(plane[inside]).mean())) for plane in (taken, structure))
    return ResidualEnergy(*energies)


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the most that was seen on validation films; what lies outside is worth a warning."""

    least_energy: float
    most_energy: float
    most_structure: float

    @classmethod
    def of(cls, measured: Iterable[ResidualEnergy]) -> Limits:
        """The limits of films that are as they should be."""
        kept = [each for each in measured if np.isfinite(each.energy)]
        if not kept:
            return cls(0.0, float("inf"), float("inf"))
        energies = [each.energy for each in kept]
        return cls(min(energies), max(energies), max(each.structure for each in kept))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, infinity as null."""
        values = {name: getattr(self, name) for name in ("least_energy", "most_energy", "most_structure")}
        return {name: round(value, 6) if np.isfinite(value) else None for name, value in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Limits:
        """What ``as_json`` made ``content`` of; no limits where a card has none."""

        def number(name: str, otherwise: float) -> float:
            value = content.get(name)
            return otherwise if value is None else float(value)

        return cls(
            number("least_energy", 0.0), number("most_energy", np.inf), number("most_structure", np.inf)
        )
