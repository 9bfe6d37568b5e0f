"""Pairs varied on the training device, a batch at a time and each film by parameters of its own.

What changes the film changes the layer so that film = bone + soft tissue still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan.drawn_breaks import DrawnBreaks
from gan.drawn_tissue import DrawnTissue
from suite.training.batch_augment import Geometry, chance, uniform, warp

GEOMETRY = Geometry(degrees=12.0, shift=0.06, scale=(0.85, 1.25), shear=6.0, elastic=0.01)


@dataclass(frozen=True, slots=True)
class Variation:
    """How far pairs are varied.

    Attributes:
        geometry: of film, layer and regions together.
        tone: share of the films that are shown as another display would.
        strength: smallest and largest factor on the bones of a film, the soft tissue unchanged: how strong a
            bone is must be read from the film, not remembered from the few patients there are.
        noise: largest standard deviation of the noise added to the film alone.
        breaks: what is broken, film and layer alike; nothing where left out.
        tissue: what is drawn into films and not into their layers; nothing where left out.
    """

    geometry: Geometry = GEOMETRY
    tone: float = 0.7
    strength: tuple[float, float] = (0.5, 1.5)
    noise: float = 0.015
    breaks: DrawnBreaks | None = None
    tissue: DrawnTissue | None = None

    def __call__(self, pair: Tensor, regions: Tensor, side: int = 0) -> tuple[Tensor, Tensor]:
        """Film and layer (B, 2, H, W), and their regions (B, 2, H, W), lungs and breaks, varied.

        Mirroring is allowed here, and only here: the layer of a mirrored film is the mirrored layer.

        Args:
            side: of a square cut out at random from the varied films; 0 leaves them whole.

        Returns:
            Pairs and regions; with ``breaks`` or ``tissue`` twice as many: the changed films, and after them
            the same films as they were, all else equal down to the noise.
        """
        grid = self.geometry.grid(pair)
        mirrored = 1.0 - 2.0 * chance(pair, 0.5)
        grid = torch.cat((grid[..., :1] * mirrored, grid[..., 1:]), dim=-1)
        planes = warp(torch.cat((pair, regions), dim=1), _cut(grid, side))
        whole, regions = planes[:, :2], planes[:, 2:]
        shown = self._appearance(whole)
        if self.breaks is None and self.tissue is None:
            return shown(whole), regions
        changed, marked = self._changed(whole, regions, pair.shape[-1])
        return torch.cat((shown(changed), shown(whole))), torch.cat((marked, regions))

    def _changed(self, whole: Tensor, regions: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Pairs with breaks and soft tissue drawn into them, and their regions."""
        film, layer = whole.split(1, dim=1)
        lungs, broken = regions.split(1, dim=1)
        if self.breaks is not None:
            layer, zone = self.breaks(layer, lungs, side)
            film, broken = film + layer - whole[:, 1:], torch.maximum(broken, zone)
        if self.tissue is not None:
            film = film + self.tissue(lungs, side)
        return torch.cat((film, layer), dim=1), torch.cat((lungs, broken), dim=1)

    def _appearance(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """How films and layers (B, 2, H, W) are shown this time: strength of their bones, tone, noise."""
        factor = uniform(like, *self.strength)
        # far down: JSRT's lungs are shown near 0.7 of the range, those of other displays near 0.4
        changed = chance(like, self.tone)
        gamma = 2.0 ** (changed * uniform(like, -1.3, 0.5))
        slope = 1.0 + changed * uniform(like, -0.25, 0.1)
        offset = changed * uniform(like, -0.05, 0.1)
        noise = uniform(like, 0.0, self.noise) * torch.randn_like(like[:, :1])

        def shown(pair: Tensor) -> Tensor:
            film, bone = pair[:, :1], pair[:, 1:]
            film, bone = film + (factor - 1.0) * bone, factor * bone
            film, bone = other_tone(film, bone, gamma, slope, offset)
            return torch.cat(((film + noise).clamp(0.0, 1.0), bone), dim=1)

        return shown


def _cut(grid: Tensor, side: int) -> Tensor:
    """A square of the grid (B, H, W, 2), at one random place for the batch."""
    rows, columns = grid.shape[1:3]
    if not 0 < side < min(rows, columns):
        return grid
    top = int(torch.randint(rows - side + 1, ()))
    left = int(torch.randint(columns - side + 1, ()))
    return grid[:, top : top + side, left : left + side]


def other_tone(
    film: Tensor, bone: Tensor, gamma: Tensor | float, slope: Tensor | float, offset: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Film and layer as another display would show them; their difference is its soft tissue."""

    def shown(tissue: Tensor) -> Tensor:
        return tissue.clamp(0.0, 1.0) ** gamma * slope + offset

    return shown(film), shown(film) - shown(film - bone)


def at_scale(planes: Tensor, size: int) -> Tensor:
    """Planes (B, C, H, W) averaged down to ``size``."""
    return planes if planes.shape[-1] == size else interpolate(planes, size=(size, size), mode="area")


def blended(planes: Tensor, share: float) -> Tensor:
    """Planes (B, C, H, W) between their copy at half the resolution (0) and themselves (1).

    The first films of a new scale hold no more detail than those before it (progressive growing,
    Karras et al. 2018).
    """
    if share >= 1.0:
        return planes
    coarse = interpolate(avg_pool2d(planes, 2), scale_factor=2, mode="bilinear", align_corners=False)
    return coarse + share * (planes - coarse)
