"""What was taken from a film, as numbers: how much, how much of it is structure, how much of it edges."""

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


FINE_SIDE, FINE = 512, (1.5, 4.5)
"""Edges of ribs lie between these two standard deviations, in pixels at ``FINE_SIDE``."""

LEAST_GAIN = 0.5
"""Youden's J (sensitivity + specificity - 1) that a limit must reach on validation films to be one."""

ROUNDING = 1e-12
"""Differences of J that are none."""


@dataclass(frozen=True, slots=True)
class ResidualEnergy:
    """What was taken inside the lungs; NaN without lungs.

    Little is taken from a film that is bone-suppressed already, but from one with little contrast too. What
    tells them apart is the share of the film's own fine structure.

    Attributes:
        energy: root mean square, on the scale of the film's used levels.
        structure: root mean square without the smooth part, as a share of the film's own: whatever contrast
            a display gives bones, it gives the rest too.
        explained: share of the film's fine structure (1 to 3 mm) that lies in the layer, by regression.
    """

    energy: float
    structure: float
    explained: float


def residual_energy(layer: FloatImage, film: FloatImage, lungs: Mask) -> ResidualEnergy:
    """Measure a layer (H, W) that was taken from ``film`` (H, W), inside ``lungs`` (H, W)."""
    grid = Grid.of(film.shape).square().resize(SIDE)
    inside = grid.apply((lungs > 0).astype(np.uint8), "nearest") > 0
    if not inside.any():
        return ResidualEnergy(float("nan"), float("nan"), float("nan"))
    width = np.float32(auto_levels(film).width)
    taken, shown = (grid.apply(plane) / width for plane in (layer, film))
    energy = float(np.sqrt(np.square(taken[inside]).mean()))
    own, whole = (_structure(plane, inside) for plane in (taken, shown))
    return ResidualEnergy(energy, own / max(whole, 1e-6), _explained(layer, film, lungs))


def _explained(layer: FloatImage, film: FloatImage, lungs: Mask) -> float:
    """How much of the film's band between two Gaussians the layer's own accounts for, inside the lungs."""
    grid = Grid.of(film.shape).square().resize(FINE_SIDE)
    inside = grid.apply((lungs > 0).astype(np.uint8), "nearest") > 0
    taken, shown = (_band(grid.apply(plane))[inside] for plane in (layer, film))
    return float((taken * shown).sum() / max(float(np.square(shown).sum()), 1e-9))


def _band(plane: FloatImage) -> FloatImage:
    fine, coarse = (cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in FINE)
    return np.asarray(fine - coarse)


def _structure(plane: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Root mean square, at the pixels ``inside``, of what a wide Gaussian within them takes away."""
    weight = inside.astype(np.float32)
    smooth = cv2.GaussianBlur(plane * weight, (0, 0), SMOOTH) / np.maximum(
        cv2.GaussianBlur(weight, (0, 0), SMOOTH), 1e-3
    )
    return float(np.sqrt(np.square((plane - smooth)[inside]).mean()))


@dataclass(frozen=True, slots=True)
class Limits:
    """What lies outside is worth a warning.

    Attributes:
        most_structure: the most that was seen on a validation film.
        least_explained: less is explained in a film that is bone-suppressed already; -infinity where the
            network does not tell the two apart.
    """

    most_structure: float
    least_explained: float

    @classmethod
    def of(
        cls,
        usual: Iterable[ResidualEnergy],
        films: Iterable[ResidualEnergy] = (),
        suppressed: Iterable[ResidualEnergy] = (),
    ) -> Limits:
        """The limits of validation films.

        Args:
            usual: of films whose layers are as they should be.
            films, suppressed: of films, and of their true bone-suppressed images read as if they were films.
        """
        structures = [each.structure for each in usual if np.isfinite(each.structure)]
        shares = [_known_shares(measured) for measured in (films, suppressed)]
        return cls(max(structures, default=float("inf")), between(*shares))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, infinity as null."""
        values = {"most_structure": self.most_structure, "least_explained": self.least_explained}
        return {name: round(value, 6) if np.isfinite(value) else None for name, value in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Limits:
        """What ``as_json`` made ``content`` of; no limits where a card has none."""

        def number(name: str, otherwise: float) -> float:
            value = content.get(name)
            return otherwise if value is None else float(value)

        return cls(number("most_structure", np.inf), number("least_explained", -np.inf))


def _known_shares(measured: Iterable[ResidualEnergy]) -> NDArray[np.float64]:
    shares = np.array([each.explained for each in measured], dtype=np.float64)
    return shares[np.isfinite(shares)]


def between(films: NDArray[np.float64], suppressed: NDArray[np.float64]) -> float:
    """The limit below which most of ``suppressed`` and fewest of ``films`` lie (Youden's J); none: -infinity.

    There is none either where the best J is below ``LEAST_GAIN``: among two dozen films a small one arises by
    chance, of a network that tells nothing apart. Of equally good limits the middle of the widest gap, so
    that two groups that do not touch are told apart half way.
    """
    if not films.size or not suppressed.size:
        return float("-inf")
    values = np.unique(np.concatenate((films, suppressed)))
    if len(values) < 2:
        return float("-inf")
    middles, gaps = (values[1:] + values[:-1]) / 2, np.diff(values)
    gain = (suppressed < middles[:, None]).mean(1) - (films < middles[:, None]).mean(1)
    if gain.max() < LEAST_GAIN - ROUNDING:
        return float("-inf")
    best = np.flatnonzero(gain >= gain.max() - ROUNDING)
    return float(middles[best[gaps[best].argmax()]])
