"""Growing scale: which size the films have at each moment of a run, and how far a new size is blended in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Side of the films in pixels, and the share of full detail in them: 1 once the scale is blended in."""

    size: int
    blend: float = 1.0


@dataclass(frozen=True, slots=True)
class Progression:
    """Sizes that double up to the full one, each for the same time, weights carried over.

    Attributes:
        size: the full size.
        first: no size is smaller; it must be one the network can take.
        coarse_share: share of the run below the full size, divided equally.
        blend_share: share of a scale's own time in which it is blended in; the first scale is not.
        stride: all sizes are multiples of it.
    """

    size: int
    first: int
    coarse_share: float
    blend_share: float
    stride: int

    @property
    def coarse_sizes(self) -> tuple[int, ...]:
        sizes = []
        size = self.size // 2 // self.stride * self.stride
        while size >= max(self.first, 1) and self.coarse_share > 0:
            sizes.append(size)
            size = size // 2 // self.stride * self.stride
        return tuple(reversed(sizes))

    def at(self, position: float) -> Scale:
        """The scale at ``position`` of the run, 0 to 1."""
        coarse = self.coarse_sizes
        if coarse and position < self.coarse_share:
            place = position / self.coarse_share * len(coarse)
            index = min(int(place), len(coarse) - 1)
            return Scale(coarse[index], self._blend(place - index) if index else 1.0)
        if not coarse:
            return Scale(self.size)
        rest = 1.0 - self.coarse_share
        return Scale(self.size, self._blend((position - self.coarse_share) / rest if rest else 1.0))

    def _blend(self, passed: float) -> float:
        return 1.0 if passed >= self.blend_share else passed / self.blend_share
