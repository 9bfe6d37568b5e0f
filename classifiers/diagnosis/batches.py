"""Batches of the diagnosis network, gathered and varied on the device where the films lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torch.utils.data import Dataset

from classifiers.diagnosis.films import MASK_STRIDE, StudyFilms
from suite.training.batch_augment import Geometry, light_appearance, uniform, warp

GEOMETRY = Geometry(degrees=7, shift=0.06, scale=(0.9, 1.15))
BONE_GAINS = (0.8, 1.25)
"""Factor on the bone plane in training: other displays and generators give it another strength."""


class StudyBatch(NamedTuple):
    """What the network reads and learns from, on the training device.

    Shape:
        - **frontal** - (B, C, S, S) in [0, 1], channels last
        - **lateral** - (B, 1, S, S) in [0, 1]; **has_lateral** - (B,) bool
        - **labels** - (B, 13) with NaN; **uncertain** - (B, 13) bool
        - **masks**, **lateral_masks** - (B, 13, S/4, S/4) in [0, 1]; **has_masks** - (B,) bool
        - **shapes** - (B, 2), rows and columns of the frontal film
    """

    frontal: Tensor
    lateral: Tensor
    has_lateral: Tensor
    labels: Tensor
    uncertain: Tensor
    masks: Tensor
    lateral_masks: Tensor
    has_masks: Tensor
    shapes: Tensor


class RowSet(Dataset[Mapping[str, Tensor]]):
    """Items ``{"index": row}``: rows of ``StudyFilms``, each ``passes`` times an epoch."""

    def __init__(self, rows: Sequence[int], passes: int = 1) -> None:
        self.rows = list(rows)
        self.passes = passes

    def __len__(self) -> int:
        return len(self.rows) * self.passes

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"study {index} of {len(self)}")
        return {"index": torch.tensor(self.rows[index % len(self.rows)])}


def study_batch(films: StudyFilms, rows: Tensor, planes: Sequence[str], *, augmented: bool) -> StudyBatch:
    """The studies at ``rows`` (B,) with the frontal ``planes`` in their order.

    Film, lungs, bones and masks of a study move together; grey levels and noise change the film alone, and
    the lung-segmented plane is the changed film.
    """
    bone = next((plane for plane in planes if plane not in ("x-ray", "lung-segmented")), "")
    stored = films.batch(rows, BONE_KEYS.get(bone, ""))
    front = torch.cat((stored["film"], stored["lungs"], stored["bone"]), dim=1)
    masks, lateral, lateral_masks = stored["masks"], stored["lateral"], stored["lateral_masks"]
    if augmented:
        front, masks = _moved(front, masks)
        lateral, lateral_masks = _moved(lateral, lateral_masks)
        lateral = light_appearance(lateral)
    film, lungs, layer = front.split(1, dim=1)
    if augmented:
        film = light_appearance(film)
        layer = (layer * uniform(layer, *BONE_GAINS)).clamp(0.0, 1.0)
    made = {"x-ray": film, "lung-segmented": film * lungs, bone: layer}
    frontal = torch.cat([made[plane] for plane in planes], dim=1)
    return StudyBatch(
        frontal.contiguous(memory_format=torch.channels_last),
        lateral.contiguous(memory_format=torch.channels_last),
        stored["has_lateral"][:, 0] > 0,
        stored["labels"],
        stored["uncertain"] > 0,
        masks,
        lateral_masks,
        stored["has_masks"][:, 0] > 0,
        stored["shape"],
    )


BONE_KEYS = {"bone-subtracted": "bone_gan", "true-bone": "bone_true", "dual-energy": "bone_dual_energy"}
"""Names of the bone planes in ``StudyFilms``."""


def _moved(planes: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Planes (B, C, S, S) and their masks (B, 13, S/4, S/4) under one random geometry."""
    grid = GEOMETRY.grid(planes)
    coarse = avg_pool2d(grid.permute(0, 3, 1, 2), MASK_STRIDE).permute(0, 2, 3, 1)
    return warp(planes, grid), warp(masks, coarse)


def row_batches(
    films: StudyFilms, rows: Sequence[int], planes: Sequence[str], size: int
) -> Iterator[StudyBatch]:
    """The studies at ``rows`` in their order, unchanged, ``size`` at a time."""
    if not rows:
        return
    device = films.bank.stored["film"].device
    for part in torch.tensor(list(rows), dtype=torch.long, device=device).split(size):
        yield study_batch(films, part, planes, augmented=False)
