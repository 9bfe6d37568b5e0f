"""A film as a square network input: letterboxed, levels stretched; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

from suite.grid import Grid
from suite.levels import Levels, auto_levels
from suite.study import FloatImage


@dataclass(frozen=True, slots=True)
class Framed:
    """``pixels`` float32 (size, size) in [0, 1], with the grid and the levels that lead back to the film."""

    pixels: FloatImage
    grid: Grid
    levels: Levels

    def history(self) -> tuple[str, ...]:
        """One phrase a step, for the report's provenance."""
        stretch = f"levels {self.levels.low:.4f}..{self.levels.high:.4f} stretched to 0..1"
        return (*self.grid.history(), stretch)


def frame(pixels: FloatImage, size: int) -> Framed:
    """A film (H, W) in [0, 1] as a ``size`` x ``size`` input, its aspect ratio kept.

    Levels are taken before padding, so that a letterbox does not darken them.
    """
    levels = auto_levels(pixels)
    grid = Grid.of(pixels.shape).square().resize(size)
    return Framed(levels.apply(grid.apply(pixels)), grid, levels)
