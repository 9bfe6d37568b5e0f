"""Soft tissue drawn into training films: opacities and vessels that come and go and leave the layer alone.

The other half of ``gan.drawn_breaks``: a network that is taught to pass breaks on would pass on whatever is
as fine. Sizes are those of lung nodules and of vessels as films show them, 2 to 20 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.drawn_breaks import FIELD_MM, LocalFrame, draw_places
from suite.training.batch_augment import uniform


@dataclass(frozen=True, slots=True)
class DrawnTissue:
    """Opacities drawn over the lungs of whole batches on the training device, each of its own shape.

    Attributes:
        most: opacities of a film; each is drawn with probability ``share``.
        share: see ``most``.
        strength: least and most that one adds to a film, in film units; every fifth takes as much away.
        long: share that is drawn out, as vessels are.
    """

    most: int = 8
    share: float = 0.7
    strength: tuple[float, float] = (0.01, 0.08)
    long: float = 0.5

    def __call__(self, lungs: Tensor, side: int) -> Tensor:
        """What is added to films (B, 1, H, W).

        Args:
            lungs: 1 in the lungs, (B, 1, H, W); the middle of each opacity lies there.
            side: of the whole film in pixels, of which the lungs may be squares.
        """
        _, places = draw_places(lungs, self.most)
        added = torch.zeros_like(lungs)
        for k in range(self.most):
            angle = uniform(lungs, 0.0, math.pi).flatten()
            frame = LocalFrame.of(lungs, places[:, k], angle, FIELD_MM / side)
            added = added + self._opacity(lungs, frame)
        return added

    def _opacity(self, like: Tensor, frame: LocalFrame) -> Tensor:
        """One opacity of each film, or none; steeper at its border than a Gaussian."""
        there = (uniform(like, 0.0, 1.0) < self.share).float()
        signed = torch.where(uniform(like, 0.0, 1.0) < 0.2, -1.0, 1.0)
        drawn_out = uniform(like, 0.0, 1.0) < self.long
        across = torch.where(drawn_out, uniform(like, 1.0, 3.0), uniform(like, 2.0, 10.0))
        along = torch.where(drawn_out, uniform(like, 8.0, 20.0), across * uniform(like, 0.7, 1.4))
        distance = (frame.along / along) ** 2 + (frame.across / across) ** 2
        return there * signed * uniform(like, *self.strength) * torch.exp(-(distance**1.5))
