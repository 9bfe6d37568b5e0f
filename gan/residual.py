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


LEAST_GAIN = 0.5
"""Youden's J (sensitivity + specificity - 1) that a limit must reach on validation films to be one."""

LEAST = 1e-4
"""Structure, in units of the used range, below which nothing was taken."""

ROUNDING = 1e-12
"""Differences of J that are none."""


@dataclass(frozen=True, slots=True)
class ResidualEnergy:
    """What was taken inside the lungs; NaN without lungs.

    Little is taken from a film that is bone-suppressed already, but from one with weak bones too. What tells
    them apart is a second look at what was left: from an ordinary film the first look took most of what there
    was to take, from a suppressed one the second takes nearly as much again.

    Attributes:
        energy: root mean square, on the scale of the film's used levels.
        structure: root mean square without the smooth part, as a share of the film's own: whatever contrast
            a display gives bones, it gives the rest too.
        again: structure of what a second look takes, as a share of what the first took; 1 where that took
            nothing.
    """

    energy: float
    structure: float
    again: float


def residual_energy(
    layer: FloatImage, film: FloatImage, lungs: Mask, second: FloatImage | None = None
) -> ResidualEnergy:
    """Measure a layer (H, W) that was taken from ``film`` (H, W), inside ``lungs`` (H, W).

    Args:
        second: the layer (H, W) that is taken from the film without the first; nothing where left out.
    """
    grid = Grid.of(film.shape).square().resize(SIDE)
    inside = grid.apply((lungs > 0).astype(np.uint8), "nearest") > 0
    if not inside.any():
        return ResidualEnergy(float("nan"), float("nan"), float("nan"))
    width = np.float32(auto_levels(film).width)
    taken, shown = (grid.apply(plane) / width for plane in (layer, film))
    energy = float(np.sqrt(np.square(taken[inside]).mean()))
    own, whole = (_structure(plane, inside) for plane in (taken, shown))
    more = 0.0 if second is None else _structure(grid.apply(second) / width, inside)
    return ResidualEnergy(energy, own / max(whole, 1e-6), more / own if own > LEAST else 1.0)


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
        most_again: a second look takes more again from a film that is bone-suppressed already; infinity
            where the network does not tell the two apart.
    """

    most_structure: float
    most_again: float

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
            films, suppressed: of films, and of their true bone-suppressed images read as if they were films;
                each looked at twice.
        """
        structures = [each.structure for each in usual if np.isfinite(each.structure)]
        shares = [_known_again(measured) for measured in (films, suppressed)]
        return cls(max(structures, default=float("inf")), between(*shares))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, infinity as null."""
        values = {"most_structure": self.most_structure, "most_again": self.most_again}
        return {name: round(value, 6) if np.isfinite(value) else None for name, value in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Limits:
        """What ``as_json`` made ``content`` of; no limits where a card has none."""

        def number(name: str, otherwise: float) -> float:
            value = content.get(name)
            return otherwise if value is None else float(value)

        return cls(number("most_structure", np.inf), number("most_again", np.inf))


def _known_again(measured: Iterable[ResidualEnergy]) -> NDArray[np.float64]:
    shares = np.array([each.again for each in measured], dtype=np.float64)
    return shares[np.isfinite(shares)]


def between(films: NDArray[np.float64], suppressed: NDArray[np.float64]) -> float:
    """The limit above which most of ``suppressed`` and fewest of ``films`` lie (Youden's J); none: infinity.

    There is none either where the best J is below ``LEAST_GAIN``: among two dozen films a small one arises by
    chance, of a network that tells nothing apart. Of equally good limits the middle of the widest gap, so
    that two groups that do not touch are told apart half way.
    """
    if not films.size or not suppressed.size:
        return float("inf")
    values = np.unique(np.concatenate((films, suppressed)))
    if len(values) < 2:
        return float("inf")
    middles, gaps = (values[1:] + values[:-1]) / 2, np.diff(values)
    gain = (suppressed > middles[:, None]).mean(1) - (films > middles[:, None]).mean(1)
    if gain.max() < LEAST_GAIN - ROUNDING:
        return float("inf")
    best = np.flatnonzero(gain >= gain.max() - ROUNDING)
    return float(middles[best[gaps[best].argmax()]])
