"""Films with their lung and bone channels, made once by the installed stages and kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from classifiers.diagnosis.channels import frontal_channels
from suite.datasets.manifest import Record
from suite.grid import Grid
from suite.intake import read_film
from suite.stages.contract import Artifact
from suite.stages.plugins import load_stage
from suite.study import FloatImage
from suite.training import augment

MAKERS = {"lung_mask": "lungs", "bone_subtracted": "bone"}
"""Artifacts the channels need and the stages that make them, in running order; found by name."""


class ChannelFilms:
    """``films(record)`` is (3, size, size) in [0, 1]; each film is read and staged once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: dict[Path, NDArray[np.uint16]] = {}
        self._stages: dict[str, Any] = {}

    def __call__(self, record: Record) -> FloatImage:
        if record.frontal not in self._kept:
            self._kept[record.frontal] = np.rint(self._make(record) * 65535).astype(np.uint16)
        return self._kept[record.frontal].astype(np.float32) / np.float32(65535)

    def _make(self, record: Record) -> FloatImage:
        if not self._stages:
            self._stages = {artifact: load_stage(name)("cpu") for artifact, name in MAKERS.items()}
        film = read_film(record.frontal)
        made = {"frontal": Artifact(film, Grid.of(film.shape))}
        for stage in self._stages.values():
            made |= stage.run([made])[0]
        lungs, bone = made["lung_mask"].value, made["bone_subtracted"].value
        return frontal_channels(film.pixels, lungs, bone, self.size)[0]


class ChannelSet(Dataset[Mapping[str, Tensor]]):
    """Items: ``frontal`` (3, size, size) in [0, 1] and ``labels`` (13,) with NaN for unknown."""

    def __init__(self, records: Sequence[Record], films: ChannelFilms, *, augmented: bool) -> None:
        self.records = records
        self.films = films
        self.geometry: v2.Transform | None = None
        self.appearance: v2.Transform | None = None
        if augmented:
            self.geometry = augment.geometry(degrees=7, shift=0.06, scale=(0.9, 1.15))
            self.appearance = v2.Compose(
                [
                    augment.LocalContrast(p=0.3),
                    augment.LevelAdjustment(shift=0.12, gamma=1.5),
                    augment.FilmNoise(0.02),
                ]
            )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        record = self.records[index]
        planes = tv_tensors.Image(torch.from_numpy(self.films(record)))
        if self.geometry is not None and self.appearance is not None:
            planes = self.geometry(planes)
            lungs = planes[1:2] / planes[:1].clamp_min(
                1e-3
            )  # the mask, recovered so that both planes change alike
            film = self.appearance(tv_tensors.Image(planes[:1]))
            planes = torch.cat((film, film * lungs.clamp(0.0, 1.0), planes[2:]))
        return {
            "frontal": planes.as_subclass(Tensor).to(torch.float32),
            "labels": torch.tensor(record.labels, dtype=torch.float32),
        }
