"""Training of the mask network: Jaccard loss on positives only, one cycle of rate and momentum (table 4.4).

``learn_from=all`` is the baseline (table 4.2): the same network, loss and schedule on every film.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset

from segmentation.companions import companion
from segmentation.dealing import Dealt
from segmentation.films import answers, plane_dice
from segmentation.losses.bce import bce_loss
from segmentation.losses.jaccard import jaccard_loss
from segmentation.pneumothorax.augmentation import placed, shown
from segmentation.pneumothorax.cases import (
    OUTLINED,
    PneumothoraxRecipe,
    cases,
    check_parts,
    label,
    measured,
    origins,
    outline,
    part,
    provenance,
)
from segmentation.pneumothorax.comparison import dices, figures, figures_by_dataset, rows_of
from segmentation.pneumothorax.network import (
    DECODER,
    MASK_ENCODERS,
    PneumothoraxUNet,
    load_backbone,
    unfreeze,
)
from segmentation.pneumothorax.reading import System
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.errors import DatasetError, RecipeError
from suite.training.bank import Bank
from suite.training.batch_augment import warp
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import load_film
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.recipe import Recipe
from suite.training.schedule import OneCycle
from suite.training.task import Batch, Task

NOTES = (
    "Dice per image: 1 where prediction and truth are both empty; all_empty is what no mask at all scores.",
    "argmax: 0.5; threshold: the best of 0.01 to 1 on the validation part; tta: the same, and the mean with "
    "the mirrored film; triplet: as tta, but gas only where enough of the film is certain, chosen likewise. "
    "Intervals by bootstrap over patients; gains are paired, film by film.",
)


class MaskRecipe(PneumothoraxRecipe):
    """Defaults are the published network; the card of the shipped weights says what they changed."""

    size: int = Field(256, ge=64, le=1024, multiple_of=32)
    epochs: int = Field(18, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-3, gt=0, description="the highest of the cycle")
    weight_decay: float = Field(0.0, ge=0)
    encoder: Literal[MASK_ENCODERS] = "resnet34"  # type: ignore[valid-type]
    decoder: tuple[int, ...] = Field(
        DECODER, min_length=5, max_length=5, description="channels, deepest first"
    )
    loss: Literal["jaccard", "jaccard+bce"] = Field(
        "jaccard", description="the paper's, or with cross-entropy, which finds small masks sooner"
    )
    frozen_epochs: int = Field(0, ge=0, description="first epochs in which the encoder is held; paper: 6")
    learn_from: Literal["positives", "all"] = Field("positives", description="all: the baseline")
    gate_weights: str = Field("", description="weights of pneumothorax-gate, to measure the cascade")
    baseline_weights: str = Field("", description="weights of a run with learn_from=all, to compare with")

    @classmethod
    def checked(cls, values: object) -> MaskRecipe:
        """As for every recipe; ``decoder`` may be given as ``128,64,32,16,16``."""
        if isinstance(values, dict) and isinstance(values.get("decoder"), str):
            words = values["decoder"].strip("()[] ").split(",")
            values = {**values, "decoder": [word.strip() for word in words if word.strip()]}
        return super().checked(values)


class MaskTask(Task):
    """Learns from the ``OUTLINED`` sets given."""

    name = "pneumothorax-mask"
    recipe_type: ClassVar[type[Recipe]] = MaskRecipe
    datasets = OUTLINED
    initial_weights = ("encoder_weights",)
    companion_weights = ("gate_weights", "baseline_weights")
    monitor = ("dice", "max")
    cycle = OneCycle()
    recipe: MaskRecipe

    def __init__(self, recipe: MaskRecipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        self._banks: dict[SplitName, Bank] = {}
        self._dealt: Dealt | None = None
        if not self._part("train"):
            raise RecipeError("the data has no film with a pneumothorax to learn from; give other data.")
        if recipe.gate_weights:
            companion("gate_weights", recipe.gate_weights, "pneumothorax-gate")
        if recipe.baseline_weights:
            companion("baseline_weights", recipe.baseline_weights, self.name, learn_from="all")

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        """The films of a part that are of a kind that is learned from."""
        records = part(self.data, self.recipe, name)
        return (
            records
            if self.recipe.learn_from == "all"
            else tuple(record for record in records if label(record) == 1.0)
        )

    def build(self) -> None:
        network = PneumothoraxUNet(**self.architecture())
        if self.recipe.encoder_weights:
            load_backbone(network, Path(self.recipe.encoder_weights))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        return {
            "encoder": self.recipe.encoder,
            "width": self.recipe.width,
            "decoder": list(self.recipe.decoder),
        }

    def describe(self) -> dict[str, Any]:
        baseline, films = self.recipe.learn_from == "all", provenance(self.data, self.recipe)
        shown = "With and without gas." if baseline else "With gas: without its gate it sees gas everywhere."
        return {
            "title": "Outline of a pneumothorax" + (", baseline without a gate" if baseline else ""),
            "intended_use": "Area and place of pleural gas on frontal films, for research.",
            "limits": f"{films['limits']} {shown}",
            "licence": films["licence"],
            "sources": [
                "One-Case cascade: U-Net (tables 4.2 and 4.4)",
                "Ronneberger et al. 2015 (U-Net)",
                "He et al. 2015 (ResNet)",
                "Smith 2018 (one cycle)",
            ],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        parameters = self.modules["model"].parameters()
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return {"model": Adam(parameters, lr=rate, weight_decay=decay)}

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        return self.cycle.rate(step, total)

    def momentum(self, name: str, step: int, total: int) -> float | None:
        return self.cycle.momentum_at(step, total)

    def start_epoch(self, epoch: int) -> None:
        unfreeze(self.modules["model"], epoch >= self.recipe.frozen_epochs)
        if self._dealt is not None:
            self._dealt.deal(epoch)

    def training_set(self) -> Dataset[Batch]:
        rows = range(len(self._bank("train")))
        check_parts(self.data, self.recipe)
        self._chosen_by()
        self._dealt = Dealt([rows], [1.0], self.recipe.films_per_epoch, self.recipe.seed)
        return self._dealt

    def _chosen_by(self) -> tuple[Record, ...]:
        """The validation films, with gas and without, on which epoch and thresholds are chosen.

        Raises:
            DatasetError: none of them has gas, so that the best mask would be none at all.
        """
        records = measured(self.data, self.recipe, "validation")
        if not any(label(record) == 1.0 for record in records):
            raise DatasetError(
                "the validation part has no film with a pneumothorax to choose by; give more patients."
            )
        return records

    def _bank(self, name: SplitName) -> Bank:
        """The films of a part that are learned from, decoded once."""
        if name not in self._banks:
            self._banks[name] = cases(self._part(name), self.recipe.size)
        return self._banks[name]

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        drawn = self._bank("train").to(fabric.device).gather(batch["index"])
        grid = placed(drawn["film"])
        film = shown(warp(drawn["film"], grid), self.recipe.appearance)
        gas = warp(drawn["mask"], grid, nearest=True)
        logits = wrapped["model"](film.contiguous(memory_format=torch.channels_last))
        loss = jaccard_loss(logits, gas)
        if self.recipe.loss == "jaccard+bce":
            loss = loss + bce_loss(logits, gas)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Validation: Dice at 0.5 on the network's own grid. Test: every figure of ``comparison.figures``."""
        if split != "test":
            return self._validated(model, self._bank(split))
        own = System(model, self.recipe.size)
        systems = self._systems(own)
        test = measured(self.data, self.recipe, "test")
        rows, chosen = rows_of(systems, self._chosen_by(), test, origins(self.data, self.recipe, "test"))
        found = figures(rows, np.random.default_rng(self.recipe.seed))
        name, system = next(iter(systems.items()))
        scores = dices(rows, f"{name}_tta")
        gallery = [
            GalleryFilm(
                f"{row['dataset']} {record.id}",
                float(score),
                partial(_overlay, system, record, chosen[name]["tta_threshold"]),
            )
            for record, row, score in zip(test, rows, scores, strict=True)
        ]
        return Evaluation(
            found,
            rows,
            NOTES,
            {"operating_point": chosen[name]},
            gallery=gallery,
            by_dataset=figures_by_dataset(rows, self.recipe.seed),
        )

    def _validated(self, model: nn.Module, bank: Bank) -> Evaluation:
        """Dice per film of a kind that is learned from; 1 for an empty mask of a film without gas."""
        found = [
            plane_dice(logits > 0, batch["mask"] > 0.5)[:, 0].cpu() for batch, logits in answers(model, bank)
        ]
        dice = torch.cat(found) if found else torch.full((1,), torch.nan)
        return Evaluation({"dice": Figure(float(dice.mean()), n=len(bank))})

    def _systems(self, own: System) -> dict[str, System]:
        """This network, as what it was trained for, and those it is compared with."""
        recipe = self.recipe
        if recipe.learn_from == "all":
            return {"baseline": own}
        gate = recipe.gate_weights
        systems = {"one_case": own.behind(Path(gate))} if gate else {"positives": own}
        if recipe.baseline_weights:
            systems["baseline"] = System.load(Path(recipe.baseline_weights), own.device)
        return systems


def _overlay(system: System, record: Record, threshold: float) -> Overlay:
    film = load_film(record.frontal)
    return Overlay(film, outline(record), system.outlined(film, threshold))
