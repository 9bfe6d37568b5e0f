"""Constant borders of a film: the frame a digitiser, collimator or screenshot leaves around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NOTEWORTHY_SHARE = 0.03
"""A border narrower than this share of the film's side is not worth a sentence."""

FLATNESS = 0.01
"""A row counts as constant when its values differ by at most this share of the film's whole range."""


@dataclass(frozen=True, slots=True)
class Borders:
    """How many rows and columns at each edge hold one constant value."""

    top: int
    bottom: int
    left: int
    right: int

    def interior(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The (rows, columns) slices inside the borders; the whole film when nothing would be left."""
        rows, columns = shape
        if self.top + self.bottom >= rows or self.left + self.right >= columns:
            return slice(0, rows), slice(0, columns)
        return slice(self.top, rows - self.bottom), slice(self.left, columns - self.right)

    def describe(self, shape: tuple[int, int]) -> str | None:
        """One sentence for the reader, or ``None`` when no border is wide enough to matter."""
        rows, columns = shape
        sides = (
            ("top", self.top, rows),
            ("bottom", self.bottom, rows),
            ("left", self.left, columns),
            ("right", self.right, columns),
        )
        if not any(width > NOTEWORTHY_SHARE * side for _, width, side in sides):
            return None
        found = ", ".join(f"{name} {width}" for name, width, _ in sides if width)
        return f"The film has constant borders ({found} pixels), kept but left out of the grey statistics."


def find_borders(film: npt.NDArray[Any]) -> Borders:
    """Constant rows and columns at the edges of a film (H, W) of any real type.

    A row is constant when its spread is at most 1 % of the film's, which also finds borders that went through
    lossy compression. A film of one value has no borders.
    """
    low, high = film.min(), film.max()
    tolerance = (float(high) - float(low)) * FLATNESS
    flat_rows = film.max(axis=1).astype(np.float64) - film.min(axis=1) <= tolerance
    top, bottom = _leading(flat_rows), _leading(flat_rows[::-1])
    if top == film.shape[0]:
        return Borders(0, 0, 0, 0)
    inner = film[top : film.shape[0] - bottom]
    flat_columns = inner.max(axis=0).astype(np.float64) - inner.min(axis=0) <= tolerance
    if flat_columns.all():
        return Borders(0, 0, 0, 0)
    return Borders(top, bottom, _leading(flat_columns), _leading(flat_columns[::-1]))


def _leading(flags: npt.NDArray[np.bool_]) -> int:
    """How many of the first flags are true."""
    return int(flags.size if flags.all() else np.argmin(flags))
