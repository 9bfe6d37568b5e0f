"""Training of the bone GAN: L1 first, then the discriminator, at growing scale (TTUR, moving average)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset

from gan.discriminator import GradientDiscriminator
from gan.generator import OUTPUT_STRIDE, MultiScaleGenerator
from gan.losses import Adversarial, BoneL1, discriminator_loss, generator_loss
from gan.pairs import PairSet, pair_of
from gan.scores import suppression_scores
from gan.stage import bone_layer
from suite.datasets.manifest import Record, SplitName
from suite.errors import RecipeError
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import mean_figure
from suite.training.recipe import Recipe
from suite.training.schedule import learning_rate_factor
from suite.training.task import Batch, Task

SCORES = ("psnr", "ssim", "mae", "bsr", "bsr_two_sided")


class BoneRecipe(Recipe):
    """Defaults are the recipe of the shipped weights."""

    size: int = Field(512, ge=256, le=2048, multiple_of=OUTPUT_STRIDE)
    epochs: int = Field(60, ge=1)
    batch_size: int = Field(4, ge=1)
    learning_rate: float = Field(1e-4, gt=0, description="of the generator beside the discriminator (TTUR)")
    discriminator_learning_rate: float = Field(4e-4, gt=0, description="TTUR: four times the generator's")
    pretraining_factor: float = Field(
        12.0, gt=0, description="on the generator's rate while it learns by L1 alone"
    )
    coarse_share: float = Field(0.4, ge=0, le=1, description="share of the epochs at half the size")
    pretraining_share: float = Field(0.85, ge=0, le=1, description="share of the epochs with L1 alone")
    ema_decay: float = Field(0.995, ge=0, lt=1)
    validate_every: int = Field(5, ge=1)
    learn_from: Literal["jsrt", "phantom", "both"] = Field("jsrt", description="whose films are learned from")
    l1_weight: float = Field(100.0, ge=0)
    edge_weight: float = Field(1.0, ge=0)
    adversarial: Adversarial = "hinge"
    adversarial_weight: float = Field(1.0, ge=0, description="0 trains the generator by L1 alone")
    base: int = Field(
        32, ge=8, le=128, description="channels of the generator's first block; 64 is published"
    )
    discriminator_base: int = Field(32, ge=8, le=128)
    attention: bool = True
    spectral_norm: bool = True
    side_heads: bool = True
    gradients: bool = Field(True, description="Sobel planes for the discriminator")


class BoneTask(Task):
    """Learns from ``jsrt`` (BSE-JSRT bone layers), from ``phantom`` (true bone layers), or both."""

    name = "bone"
    recipe_type: ClassVar[type[Recipe]] = BoneRecipe
    datasets = ("jsrt", "phantom")
    monitor = ("psnr", "max")
    recipe: BoneRecipe

    def build(self) -> None:
        recipe = self.recipe
        self.modules["model"] = MultiScaleGenerator(**self.architecture())
        self.modules["discriminator"] = GradientDiscriminator(
            recipe.discriminator_base, recipe.gradients, recipe.attention, recipe.spectral_norm
        )
        self._l1 = BoneL1(recipe.edge_weight)
        self._adversarial = False

    def architecture(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "base": recipe.base,
            "attention": recipe.attention,
            "side_heads": recipe.side_heads,
            "normalise": recipe.spectral_norm,
        }

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Bone-subtracted and bone-suppressed images from one film",
            "intended_use": "A second look beside the film, for research; never instead of it.",
            "limits": "BSE-JSRT's layer is an algorithm's output, not dual energy, and covers the lungs "
            "only: bones outside the lungs stay. Breaks of ribs may be healed.",
            "licence": "research use only: learned from JSRT films and BSE-JSRT layers",
            "sources": [
                "Zhou et al. 2018 (MCA-Net)",
                "Zhang et al. 2019 (SAGAN)",
                "BSE-JSRT: Juhász et al. 2010",
            ],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        return {
            "model": Adam(self.modules["model"].parameters(), lr=recipe.learning_rate, betas=(0.5, 0.99)),
            "discriminator": Adam(
                self.modules["discriminator"].parameters(),
                lr=recipe.discriminator_learning_rate,
                betas=(0.0, 0.9),
            ),
        }

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        """The generator cools from its pretraining rate to 1; the discriminator keeps its own."""
        if name == "discriminator":
            return 1.0
        pretraining = max(1, round(self.recipe.pretraining_share * total))
        if step >= pretraining:
            return 1.0
        factor = learning_rate_factor(step, pretraining, self.recipe.warmup, floor=0.0)
        return 1.0 + (self.recipe.pretraining_factor - 1.0) * factor

    def start_epoch(self, epoch: int) -> None:
        """About half size first, the full size for the last epochs; the discriminator joins in the end."""
        recipe = self.recipe
        coarse = epoch < recipe.coarse_share * recipe.epochs and recipe.size >= 512
        self._pairs.size = recipe.size // 2 // OUTPUT_STRIDE * OUTPUT_STRIDE if coarse else recipe.size
        self._adversarial = (
            epoch >= recipe.pretraining_share * recipe.epochs and recipe.adversarial_weight > 0
        )

    def training_set(self) -> Dataset[Batch]:
        self._pairs = PairSet(self._part("train"), self.recipe.size, augmented=True)
        return self._pairs

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        """The part of all sets that are learned from."""
        sets = ("jsrt", "phantom") if self.recipe.learn_from == "both" else (self.recipe.learn_from,)
        records = tuple(record for each in sets for record in self._part_of(each, name))
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        if dataset not in self.data:
            raise RecipeError(
                f"recipe bone learns from {dataset}, which is not given; add --data {dataset}=DIR."
            )
        return self.data[dataset].with_target("bone").split(self.recipe.split_seed)[name]

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        film = batch["film"].contiguous(memory_format=torch.channels_last)
        fake = wrapped["model"](film)
        l1 = self._l1.to(fabric.device)(fake, batch["bone"], batch["trust"])
        loss = self.recipe.l1_weight * l1
        losses = {"l1": float(l1.detach())}
        if self._adversarial:
            losses["discriminator"] = self._discriminator_step(
                fabric, wrapped, optimizers, batch, fake.detach()
            )
            wrapped["discriminator"].requires_grad_(False)
            adversarial = generator_loss(
                wrapped["discriminator"](fake * batch["trust"], film), self.recipe.adversarial
            )
            loss = loss + self.recipe.adversarial_weight * adversarial
            losses["generator"] = float(adversarial.detach())
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        wrapped["discriminator"].requires_grad_(True)
        return losses

    def _discriminator_step(
        self,
        fabric: Fabric,
        wrapped: Mapping[str, Any],
        optimizers: Mapping[str, Any],
        batch: Batch,
        fake: torch.Tensor,
    ) -> float:
        # outside the lungs the target is empty by design: hidden on both sides, or that alone would tell
        seen = batch["trust"]
        real_logits = wrapped["discriminator"](batch["bone"] * seen, batch["film"])
        fake_logits = wrapped["discriminator"](fake * seen, batch["film"])
        loss = discriminator_loss(real_logits, fake_logits, self.recipe.adversarial)
        optimizers["discriminator"].zero_grad()
        fabric.backward(loss)
        optimizers["discriminator"].step()
        return float(loss.detach())

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Scores inside the lungs at the film's own resolution, and those of doing nothing beside them."""
        rng = np.random.default_rng(self.recipe.seed)
        if split != "test":
            rows = [self._row(model, record) for record in self._part(split)]
            return Evaluation(_figures(rows, "", rng), rows)
        figures: dict[str, Figure] = {}
        rows = []
        for dataset in self.data:
            own = [self._row(model, record) for record in self._part_of(dataset, split)]
            figures |= _figures(own, "" if dataset == "jsrt" else f"{dataset}_", rng)
            rows += own
        notes = (
            "Bone-suppressed image against the true one inside the lungs, peak 1; identity: the film itself.",
        )
        return Evaluation(figures, rows, notes, spread=("psnr", "identity_psnr"))

    def _row(self, model: nn.Module, record: Record) -> dict[str, Any]:
        pair = pair_of(record)
        device = next(model.parameters()).device
        bone, _ = bone_layer(model, pair.film, self.recipe.size, device, pair.lungs)
        truth = np.clip(pair.film - pair.bone, 0.0, 1.0)
        own = suppression_scores(pair.film, truth, pair.film - bone, pair.lungs)
        identity = suppression_scores(pair.film, truth, pair.film, pair.lungs)
        return {
            "film": record.id,
            "patient": record.patient_id,
            **own,
            **{f"identity_{key}": value for key, value in identity.items()},
            "psnr_gain": own["psnr"] - identity["psnr"],
        }


def _figures(rows: list[dict[str, Any]], prefix: str, rng: np.random.Generator) -> dict[str, Figure]:
    owners = [row["patient"] for row in rows]
    keys = (*SCORES, *(f"identity_{name}" for name in SCORES), "psnr_gain")
    columns = {key: np.array([row[key] for row in rows], dtype=np.float64) for key in keys}
    return {f"{prefix}{key}": mean_figure(values, owners, rng) for key, values in columns.items()}
