"""Training of the lung network: cross-entropy and Dice on films made to look like other machines'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import AdamW, Optimizer
from torch.utils.data import Dataset

from segmentation.losses.dice import dice_loss
from segmentation.lungs.network import VGG16UNet, load_imagenet_encoder
from segmentation.lungs.stage import lung_mask
from segmentation.scores import dice
from suite.datasets import phantom
from suite.datasets.jsrt import ORGAN_BITS
from suite.datasets.manifest import Record, SplitName
from suite.errors import RecipeError
from suite.study import Mask
from suite.training import augment
from suite.training.cross_table import figures_by_dataset
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import FilmSet, load_film, read_mask
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.intervals import mean_figure
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

POOR_DICE = 0.8
"""Below this an outline is of no use; the share of such films says more than a mean."""


class LungsRecipe(Recipe):
    """Defaults are the recipe of the shipped weights."""

    size: int = Field(256, ge=64, le=1024, multiple_of=16)
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(8, ge=1)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(5, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    width: float = Field(
        0.25, ge=1 / 64, le=2, description="factor on VGG16's channels; 1 is the published network"
    )
    learn_from: Literal["jsrt", "phantom", "both"] = Field("jsrt", description="whose films are learned from")
    encoder_weights: str = Field("", description="safetensors file of an ImageNet vgg16_bn; width 1 only")


def lung_planes(record: Record) -> Mask:
    """Right and left visible lung field (H, W, 2) of a JSRT or phantom record, 0 or 1."""
    if "organs" not in record.targets:
        return phantom.lung_planes(record)
    organs = read_mask(record.targets["organs"])
    return np.stack(
        [(organs & ORGAN_BITS[side]) > 0 for side in ("right_lung", "left_lung")], axis=-1
    ).astype(np.uint8)


class LungsTask(Task):
    """Learns from ``jsrt``, ``phantom`` or both; other sets given are measured on."""

    name = "lungs"
    recipe_type: ClassVar[type[Recipe]] = LungsRecipe
    datasets = ("jsrt", "phantom", "covid-lungs")
    initial_weights = ("encoder_weights",)
    monitor = ("dice", "max")
    recipe: LungsRecipe

    def build(self) -> None:
        network = VGG16UNet(**self.architecture())
        if self.recipe.encoder_weights:
            load_imagenet_encoder(network, Path(self.recipe.encoder_weights))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        return {"planes": 2, "width": self.recipe.width}

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Lung fields on frontal chest radiographs",
            "intended_use": "Right and left visible lung field of PA and AP films, for research.",
            "limits": "Learned from erect PA films of adults; lungs hidden by opacity may be cut short.",
            "licence": "research use only: learned from JSRT films and SCR outlines",
            "sources": [
                "Frid-Adar et al. 2018 (network)",
                "JSRT: Shiraishi et al. 2000",
                "SCR: van Ginneken et al. 2006",
            ],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        parameters = self.modules["model"].parameters()
        return {
            "model": AdamW(parameters, lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay)
        }

    def training_set(self) -> Dataset[Batch]:
        records = self._part("train")
        return FilmSet(records, self.recipe.size, masks=lung_planes, transform=augment.heavy())

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        """The part of all sets that are learned from."""
        sets = ("jsrt", "phantom") if self.recipe.learn_from == "both" else (self.recipe.learn_from,)
        records = tuple(record for each in sets for record in self._part_of(each, name))
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        if dataset not in self.data:
            raise RecipeError(
                f"recipe lungs learns from {dataset}, which is not given; add --data {dataset}=DIR."
            )
        target = "organs" if dataset == "jsrt" else "lung_mask"
        return self.data[dataset].with_target(target).split(self.recipe.split_seed)[name]

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        film = batch["film"].contiguous(memory_format=torch.channels_last)
        logits = wrapped["model"](film)
        loss = binary_cross_entropy_with_logits(logits, batch["mask"]) + dice_loss(logits, batch["mask"])
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Dice at the film's own resolution: both lungs as one mask, and each lung."""
        rng = np.random.default_rng(self.recipe.seed)
        if split != "test":
            rows = [self._row(model, record) for record in self._part(split)]
            return Evaluation(self._figures(rows, "", rng), rows)
        figures: dict[str, Figure] = {}
        rows = []
        for dataset in ("jsrt", "phantom"):
            if dataset in self.data:
                own = [
                    {**self._row(model, record), "dataset": dataset}
                    for record in self._part_of(dataset, split)
                ]
                figures |= self._figures(own, "" if dataset == "jsrt" else "phantom_", rng)
                rows += own
        outside = [
            {**_outside_row(self, model, record), "dataset": "covid-lungs"}
            for record in self.data.get("covid-lungs", ())
        ]
        figures |= _outside_figures(outside, rng) if outside else {}
        notes = ("Dice per film at the film's own resolution; intervals by bootstrap over patients.",)
        every = [*rows, *outside]
        scores = ("dice", "right", "left")
        return Evaluation(
            figures,
            every,
            notes,
            spread=scores,
            gallery=[self._gallery_film(model, row) for row in every],
            by_dataset=figures_by_dataset(every, scores, rng),
        )

    def learned_from(self) -> tuple[str, ...]:
        chosen = self.recipe.learn_from
        return ("jsrt", "phantom") if chosen == "both" else (chosen,)

    def _gallery_film(self, model: nn.Module, row: dict[str, Any]) -> GalleryFilm:
        def load() -> Overlay:
            record = next(each for each in self.data[row["dataset"]] if each.id == row["film"])
            drawn = "organs" in record.targets
            truth = lung_planes(record) if drawn else read_mask(record.targets["lung_mask"])
            return Overlay(load_film(record.frontal), truth, self._predict(model, record))

        # outside JSRT's convention the left outlines differ by the lung behind the heart
        score = row["right"] if row["dataset"] == "covid-lungs" else row["dice"]
        return GalleryFilm(f"{row['dataset']} {row['film']}", score, load)

    def _figures(
        self, rows: list[dict[str, Any]], prefix: str, rng: np.random.Generator
    ) -> dict[str, Figure]:
        owners = _column_text(rows)
        return {
            f"{prefix}{key}": mean_figure(_column(rows, key), owners, rng)
            for key in ("dice", "right", "left")
        }

    def _predict(self, model: nn.Module, record: Record) -> Mask:
        device = next(model.parameters()).device
        return lung_mask(model, load_film(record.frontal), self.recipe.size, device)[0]

    def _row(self, model: nn.Module, record: Record) -> dict[str, Any]:
        truth = lung_planes(record)
        predicted = self._predict(model, record)
        both = truth.max(axis=-1)
        truth_here = _same_shape(predicted, both.shape)
        return {
            "film": record.id,
            "patient": record.patient_id,
            "dice": dice(truth_here, both),
            "right": dice((truth_here == 128).astype(np.uint8), truth[..., 0]),
            "left": dice((truth_here == 255).astype(np.uint8), truth[..., 1]),
        }


def _same_shape(predicted: Mask, shape: tuple[int, ...]) -> Mask:
    """A prediction on the film's matrix brought to the outline's, which may be finer (JSRT: 224 and 512)."""
    import cv2

    if predicted.shape == shape:
        return predicted
    return np.asarray(cv2.resize(predicted, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT))


def _outside_figures(rows: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Figure]:
    owners = _column_text(rows)
    figures = {
        f"covid_lungs_{key}": mean_figure(_column(rows, key), owners, rng) for key in ("right", "left")
    }
    poor = (_column(rows, "right") < POOR_DICE).astype(np.float64)
    return {**figures, f"covid_lungs_share_below_{POOR_DICE:.2f}_right": mean_figure(poor, owners, rng)}


def _outside_row(task: LungsTask, model: nn.Module, record: Record) -> dict[str, Any]:
    """Right and left Dice where the truth does not tell the sides apart: each half is judged by the midline.

    The midline is halfway between the two lungs of the human outline.
    """
    truth = (read_mask(record.targets["lung_mask"]) > 0).astype(np.uint8)
    predicted = (_same_shape(task._predict(model, record), truth.shape) > 0).astype(np.uint8)
    middle = _midline(truth)
    return {
        "film": record.id,
        "patient": record.patient_id,
        "dice": dice(predicted, truth),
        "right": dice(predicted[:, :middle], truth[:, :middle]),
        "left": dice(predicted[:, middle:], truth[:, middle:]),
    }


def _midline(truth: Mask) -> int:
    """Column with the fewest lung pixels in the middle third of the lungs' width."""
    columns = np.flatnonzero(truth.any(axis=0))
    first, last = int(columns[0]), int(columns[-1])
    third = (last - first) // 3
    counts = truth[:, first + third : last - third].sum(axis=0)
    lowest = np.flatnonzero(counts == counts.min())
    return first + third + int(lowest[len(lowest) // 2])


def _column(rows: list[dict[str, Any]], key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([row[key] for row in rows], dtype=np.float64)


def _column_text(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row["patient"]) for row in rows]
