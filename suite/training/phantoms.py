"""Computed studies rendered when they are asked for: training data that needs no disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from suite.findings import CODES
from suite.phantom.cohort import CohortSettings, render_chest

if TYPE_CHECKING:
    from torchvision.transforms import v2

    from suite.phantom.study import PhantomStudy

LUNGS = ("lung_right", "lung_left")


class PhantomSet(Dataset[Mapping[str, Tensor]]):
    """Chests ``first`` to ``first + count - 1`` of a cohort, each rendered anew on every access.

    Items: ``film`` float32 (1, size, size) in [0, 1]; ``labels`` float32 (13,); ``mask`` float32
    (M, size, size) in {0, 1} when ``masks`` are named; ``bone`` and ``soft`` float32 (1, size, size) on the
    film's scale when ``layers`` is set; ``lateral`` float32 (1, size, size) when the settings have laterals.
    Item k is the study that ``radsuite phantom`` writes as number ``first + k``.

    Args:
        settings: size, seed and content; its ``parts`` and ``dicom`` have no meaning here.
        masks: names in ``PhantomStudy.masks``; a finding the study does not have is an empty plane.
        transform: applied jointly to film, lateral, layers and masks.
    """

    def __init__(
        self,
        settings: CohortSettings,
        count: int,
        *,
        first: int = 0,
        masks: Sequence[str] = LUNGS,
        layers: bool = False,
        transform: v2.Transform | None = None,
    ) -> None:
        self.settings = settings
        self.count = count
        self.first = first
        self.masks = tuple(masks)
        self.layers = layers
        self.transform = transform

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < self.count:
            raise IndexError(f"study {index} of {self.count}")
        study, _ = render_chest(self.settings, self.first + index)
        item = self._tensors(study)
        if self.transform is not None:
            item = self.transform(item)
        plain = {key: value.as_subclass(Tensor).to(torch.float32) for key, value in item.items()}
        plain["labels"] = torch.tensor([study.labels[code] for code in CODES], dtype=torch.float32)
        return plain

    def _tensors(self, study: PhantomStudy) -> dict[str, Tensor]:
        films = {"film": study.frontal}
        if study.lateral is not None:
            films["lateral"] = study.lateral
        if self.layers:
            films |= {"bone": study.bone, "soft": study.soft}
        item: dict[str, Tensor] = {
            name: tv_tensors.Image(torch.from_numpy(film)[None]) for name, film in films.items()
        }
        if self.masks:
            empty = np.zeros_like(study.masks["heart"])
            planes = np.stack([study.masks.get(name, empty) > 0 for name in self.masks])
            item["mask"] = tv_tensors.Mask(torch.from_numpy(planes.astype(np.uint8)))
        return item
