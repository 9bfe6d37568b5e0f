"""A network of a few hundred weights with everything that makes a training run hard to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.utils.data import Dataset

from suite.datasets.manifest import SplitName
from suite.training.batch_augment import light_appearance
from suite.training.evaluation import Evaluation, Figure
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task


class Spots(Dataset[Batch]):
    """Grey films (1, 16, 16) with a bright square; the target is its brightness. Augmented by chance."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(5)
        self.films = 0.3 + 0.2 * torch.rand(count, 1, 16, 16, generator=generator)
        self.targets = torch.rand(count, generator=generator)
        for film, target in zip(self.films, self.targets, strict=True):
            film[:, 5:11, 5:11] = target

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"film": light_appearance(self.films[index][None])[0], "target": self.targets[index]}


class SmallTask(Task):
    """Convolutions, batch normalisation, dropout; a second network with its own optimiser, as in a GAN."""

    name = "small"
    recipe_type: ClassVar[type[Recipe]] = Recipe
    datasets = ("spots",)
    monitor = ("loss", "min")
    count = 11

    def build(self) -> None:
        self.modules["model"] = nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 4, 3),
            nn.Dropout(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 1),
        )
        self.modules["discriminator"] = nn.Sequential(nn.Flatten(), nn.Linear(256, 1))

    def optimizers(self) -> dict[str, Optimizer]:
        model, other = self.modules["model"], self.modules["discriminator"]
        rate = self.recipe.learning_rate
        return {
            "model": AdamW(model.parameters(), lr=rate, weight_decay=self.recipe.weight_decay),
            "discriminator": Adam(other.parameters(), lr=4 * rate, betas=(0.5, 0.99)),
        }

    def training_set(self) -> Dataset[Batch]:
        return Spots(self.count)

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        losses = {}
        for name, network in wrapped.items():
            loss = ((network(batch["film"])[:, 0] - batch["target"]) ** 2).mean()
            optimizers[name].zero_grad()
            fabric.backward(loss)
            optimizers[name].step()
            losses[name] = float(loss.detach())
        return losses

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        spots = Spots(self.count)
        return Evaluation({"loss": Figure(float(((model(spots.films)[:, 0] - spots.targets) ** 2).mean()))})

    def architecture(self) -> dict[str, Any]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {"title": "Brightness of a spot"}


def small_task(**settings: Any) -> SmallTask:
    """The task with a recipe of four short epochs, changed by ``settings``."""
    values = {
        "epochs": 4,
        "batch_size": 3,
        "learning_rate": 0.02,
        "ema_decay": 0.8,
        "precision": "32-true",
        **settings,
    }
    return SmallTask(Recipe.checked(values), {})
