"""What a film of an organ recipe goes through before the network sees it, a batch at a time on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from suite.training.batch_augment import Geometry, heavy_appearance, light_appearance

Strength = Literal["heavy", "light"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Where pixels come from, films and outlines together; and what happens to the grey values of films."""

    geometry: Geometry
    appearance: Callable[[Tensor], Tensor]


AUGMENTATIONS: dict[Strength, Augmentation] = {
    "heavy": Augmentation(
        Geometry(degrees=12, shift=0.08, scale=(0.8, 1.2), shear=5, elastic=0.012, elastic_cells=6),
        heavy_appearance,
    ),
    "light": Augmentation(Geometry(degrees=7, shift=0.06, scale=(0.9, 1.15)), light_appearance),
}
"""``heavy``: other machines' films; ``light``: one machine's."""
