"""A computed pneumothorax in a real film: gas where a lung has drawn back, everything else as it was.

Networks that know gas from computed chests alone take much of a real film for it. A film with and without
inserted gas differs by the gas and by nothing else, so that what is learned from the two is the gas.

The film is split into the bone layer, which stays, and soft tissue; of this the vessels (a band of spatial
frequencies) move with the lung towards its root and end at the pleura, the gas above them is darker, the lung
below it denser, and the pleura is a thin bright line. Films are float32 (H, W) in [0, 1], bone bright.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from suite.study import FloatImage, Mask

Field = NDArray[np.bool_]

SMALLEST = 0.01
"""Least share of a lung field that is gas: less is not seen on a film."""

ROOT = 0.55
"""Height of the lung's root between apex and base, 0 at the apex."""

FINEST, COARSEST = 0.7 / 512, 10.0 / 512
"""Band of the vessels: standard deviations of two Gaussians as shares of the film's longer side."""

BASAL = 0.12
"""Share of pneumothoraces that lie at the base, as in supine patients."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """How far a lung has drawn back towards its root.

    Attributes:
        wall: how much wider the field is than the lung at the height where the gas is deepest.
        apex: the same for its height, above the root; below it where the gas is ``basal``.
        basal: whether the gas lies at the base.
        wobble: amplitude of the pleura's undulation, as a share of the two.
        phase: of the undulation, in radians.
        darker: what the gas takes from the film's grey, in standard deviations of the grey in the lung field.
        denser: what the lung adds to it, likewise.
        line: brightness of the pleura, likewise.
        width: its standard deviation, in pixels of 512.
    """

    wall: float
    apex: float
    basal: bool
    wobble: float
    phase: float
    darker: float
    denser: float
    line: float
    width: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Collapse:
        """Small ones are as frequent as large ones are rare."""
        size = float(rng.beta(1.1, 2.2))
        return cls(
            wall=0.02 + 0.9 * size**1.5 * rng.uniform(0.5, 1.0),
            apex=0.05 + 0.6 * size * rng.uniform(0.6, 1.0),
            basal=bool(rng.random() < BASAL),
            wobble=rng.uniform(0.0, 0.3),
            phase=rng.uniform(0.0, 2 * math.pi),
            darker=rng.uniform(0.05, 0.6),
            denser=rng.uniform(0.0, 0.6) * size,
            line=rng.uniform(0.1, 0.7),
            width=rng.uniform(0.6, 1.3),
        )


def lung_before(shape: tuple[int, ...], field: Field, collapse: Collapse) -> tuple[FloatImage, FloatImage]:
    """Where each pixel's lung tissue lay before it drew back: columns and rows, each (H, W)."""
    rows, columns = np.nonzero(field)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    on_the_left = (left + right) / 2 < shape[1] / 2  # of the picture: its root is at the right edge
    root_x, root_y = float(right if on_the_left else left), top + ROOT * (bottom - top)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    height = np.clip((y - top) / max(bottom - top, 1), 0, 1)
    deep = height if collapse.basal else 1 - height
    turn = np.arctan2(y - root_y, np.abs(x - root_x) + 1)
    wave = 1 + collapse.wobble * np.sin(4 * turn + collapse.phase)
    across = 1 + collapse.wall * (0.15 + 0.85 * deep) * wave
    beyond = y > root_y if collapse.basal else y < root_y
    along = np.where(beyond, 1 + collapse.apex * wave, 1.0)
    return (
        (root_x + (x - root_x) * across).astype(np.float32),
        (root_y + (y - root_y) * along).astype(np.float32),
    )


def gas_in(field: Field, before: tuple[FloatImage, FloatImage]) -> Field:
    """The largest part of a lung field that its lung has left, without threads along the mediastinum."""
    lung = cv2.remap(field.astype(np.float32), *before, cv2.INTER_LINEAR) > 0.5
    gas = cv2.morphologyEx((field & ~lung).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(gas)
    if count < 2:
        return np.zeros_like(field)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.asarray(pieces == largest)


def insert(
    film: FloatImage, bone: FloatImage, field: Field, collapse: Collapse
) -> tuple[FloatImage, Mask] | None:
    """The film with gas in one pleural space, and the gas.

    Args:
        film: (H, W) in [0, 1].
        bone: what bone adds to it, (H, W).
        field: the visible lung field of one side.
        collapse: how far the lung has drawn back.

    Returns:
        film (H, W) in [0, 1] and mask (H, W) of 0 and 1; ``None`` where less than ``SMALLEST`` of the field
        would be gas.
    """
    if not field.any():
        return None
    before = lung_before(film.shape, field, collapse)
    gas = gas_in(field, before)
    if gas.sum() < SMALLEST * field.sum():
        return None
    side = max(film.shape)
    soft = film - bone
    coarse = _blurred(soft, COARSEST * side)
    vessels = _blurred(soft, FINEST * side) - coarse
    soft_gas = _blurred(gas.astype(np.float32), side / 512)
    lung = field & ~gas
    inside = _blurred(lung.astype(np.float32), 3 * side / 512) * lung  # edges of heart and diaphragm stay
    moved = cv2.remap(vessels, *before, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    line = _pleura(gas, lung, collapse.width * side / 512)
    shade = collapse.line * line + collapse.denser * inside - collapse.darker * soft_gas
    changed = film + inside * (moved - vessels) - soft_gas * vessels + float(film[field].std()) * shade
    return np.clip(changed, 0, 1).astype(np.float32), gas.astype(np.uint8)


def _pleura(gas: Field, lung: Field, width: float) -> FloatImage:
    """A line of height 1 where gas meets lung, (H, W)."""
    to_gas = cv2.distanceTransform((~gas).astype(np.uint8), cv2.DIST_L2, 5)
    to_lung = cv2.distanceTransform((~lung).astype(np.uint8), cv2.DIST_L2, 5)
    distance = np.maximum(to_gas, to_lung) - 1
    return np.exp(-0.5 * (distance / width) ** 2).astype(np.float32)


def _blurred(image: FloatImage, sigma: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)))
