"""A plain DenseNet-121 that says 13 findings of the frontal film, trained as the diagnosis network is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import timm
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from classifiers.densenet import imagenet_half, load_imagenet, standardise
from classifiers.diagnosis.batches import GEOMETRY
from classifiers.diagnosis.evaluation import validated
from classifiers.diagnosis.losses import masked_bce, smooth
from classifiers.diagnosis.parts import is_chest
from classifiers.diagnosis.predictions import Predictions
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.learned_sets import LearnedSets
from classifiers.parameters import adamw
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import KINDS
from suite.errors import DatasetError
from suite.findings import CODES
from suite.framing import frame
from suite.training.bank import Bank
from suite.training.batch_augment import light_appearance, warp
from suite.training.evaluation import Evaluation
from suite.training.films import load_film
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

SCORING_BATCH = 32


def _usual(key: str) -> Any:
    """What the diagnosis recipe takes for ``key``."""
    return DiagnosisRecipe.model_fields[key].default


class PlainRecipe(Recipe):
    """The keys that a plain network has in common with the diagnosis recipe, with its defaults."""

    size: int = Field(_usual("size"), ge=64, le=1024, multiple_of=32)
    epochs: int = Field(_usual("epochs"), ge=1)
    batch_size: int = Field(_usual("batch_size"), ge=1)
    learning_rate: float = Field(_usual("learning_rate"), gt=0)
    weight_decay: float = Field(_usual("weight_decay"), ge=0)
    ema_decay: float = Field(_usual("ema_decay"), ge=0, lt=1)
    validate_every: int = Field(_usual("validate_every"), ge=1)
    dropout: float = Field(_usual("dropout"), ge=0, lt=1)
    label_smoothing: float = Field(_usual("label_smoothing"), ge=0, lt=0.5)
    learn_from: str = ""
    imagenet_weights: str = ""


class PlainDenseNet(nn.Module):
    """timm's DenseNet-121 with one grey plane and 13 outputs.

    Shape:
        - **input** - (B, 1, H, W) in [0, 1]
        - **output** - (B, 13) logits
    """

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.network = timm.create_model("densenet121", in_chans=1, num_classes=len(CODES), drop_rate=dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(standardise(x))

    def start_from_imagenet(self, state: dict[str, Tensor]) -> None:
        """Initialise from timm's ``densenet121``; the head stays as it is."""
        imagenet_half(state, self.network.get_submodule("features"), 1)


class PlainTask(Task):
    """Learns from any set with labels, from the frontal films alone."""

    name = "plain"
    recipe_type: ClassVar[type[Recipe]] = PlainRecipe
    datasets = tuple(kind.name for kind in KINDS)
    initial_weights = ("imagenet_weights",)
    monitor = ("mean_auc", "max")
    recipe: PlainRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        self._banks: dict[tuple[str, ...], Bank] = {}

    @property
    def _sets(self) -> LearnedSets:
        return LearnedSets.of_task(self, is_chest)

    def build(self) -> None:
        network = PlainDenseNet(self.recipe.dropout)
        if self.recipe.imagenet_weights:
            network.start_from_imagenet(load_imagenet(Path(self.recipe.imagenet_weights)))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        return {"dropout": self.recipe.dropout}

    def describe(self) -> dict[str, Any]:
        return {"title": "13 findings by a plain DenseNet-121, to compare with"}

    def learned_from(self) -> tuple[str, ...]:
        return self._sets.names

    def part(self, dataset: str, split: SplitName) -> tuple[Record, ...]:
        """One part of one set."""
        return self._sets.part_of(dataset, split)

    def training_part(self) -> tuple[Record, ...]:
        """What is learned from, of all sets."""
        return self._sets.part("train")

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        return {"model": adamw(self.modules["model"], recipe.learning_rate, recipe.weight_decay)}

    def training_set(self) -> Dataset[Batch]:
        sets = self._sets
        sets.check_apart()  # said before anything is trained
        if not sets.part("validation"):
            names = ", ".join(sets.names)
            raise DatasetError(f"the validation part of {names} has no film; give more patients.")
        device = next(self.modules["model"].parameters()).device
        self._training_bank = self._bank(self.training_part(), device)
        return self._training_bank

    def _bank(self, records: Sequence[Record], device: torch.device) -> Bank:
        """The framed films of ``records`` and their labels, decoded once."""
        key = (str(device), *(str(record.frontal) for record in records))
        if key not in self._banks:
            self._banks[key] = Bank.decode(records, self._read).to(device)
        return self._banks[key]

    def _read(self, record: Record) -> dict[str, Any]:
        film = frame(load_film(record.frontal), self.recipe.size).pixels
        return {"film": film[None], "labels": np.array(record.labels, dtype=np.float32)}

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        stored = self._training_bank.gather(batch["index"])
        film = light_appearance(warp(stored["film"], GEOMETRY.grid(stored["film"])))
        logits = wrapped["model"](film.contiguous(memory_format=torch.channels_last))
        loss = masked_bce(logits, smooth(stored["labels"], self.recipe.label_smoothing))
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def predict(self, model: nn.Module, records: Sequence[Record]) -> Predictions:
        """Scores of ``model`` on ``records``; it has no maps, so what is said of those is unknown."""
        device = next(model.parameters()).device
        scores = np.zeros((0, len(CODES)))
        if records:
            bank = self._bank(records, device)
            with torch.inference_mode():
                parts = [
                    model(bank.gather(rows)["film"].contiguous(memory_format=torch.channels_last))
                    for rows in torch.arange(len(records), device=device).split(SCORING_BATCH)
                ]
            scores = torch.cat(parts).float().cpu().numpy().astype(np.float64)
        truth = np.array([record.labels for record in records], dtype=np.float64).reshape(-1, len(CODES))
        unknown, shapes = np.full_like(scores, np.nan), np.zeros((len(records), 2), np.int64)
        return Predictions(tuple(records), truth, scores, unknown, unknown, unknown, None, shapes)

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """The mean area over findings and the sets that are learned from."""
        sets = self._sets
        return validated({name: self.predict(model, sets.part_of(name, split)) for name in sets.names})
