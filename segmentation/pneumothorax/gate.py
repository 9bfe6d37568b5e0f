"""Training of the gate: soft F1 over a batch, rectified Adam, Cutout in the last part (table 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, binary_cross_entropy_with_logits
from torch.optim import Optimizer, RAdam
from torch.utils.data import Dataset

from segmentation.companions import companion
from segmentation.dealing import Dealt
from segmentation.films import over_films
from segmentation.losses.bce import bce_loss
from segmentation.losses.soft_f1 import soft_f1_loss
from segmentation.pneumothorax import fusion
from segmentation.pneumothorax.augmentation import placed, shown
from segmentation.pneumothorax.cascade import gate_probability
from segmentation.pneumothorax.cases import (
    OUTLINED,
    PneumothoraxRecipe,
    cases,
    check_parts,
    label,
    measured,
    origins,
    part,
    provenance,
)
from segmentation.pneumothorax.gate_scores import (
    Numbers,
    decisions,
    figures_by_dataset,
    gallery,
    operating_point,
    rows_of,
    truth_of,
    validation_area,
)
from segmentation.pneumothorax.network import GATE_BACKBONES, PneumothoraxGate, load_backbone
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.errors import RecipeError
from suite.framing import frame
from suite.training.bank import Bank
from suite.training.batch_augment import warp
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import load_film
from suite.training.intervals import auc_figure
from suite.training.plots import Curve
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

NO_PROBABILITY = (
    "nih_auc, where there is one, says how well it tells real films apart; its output is not calibrated."
)

SMALLEST_RESNEXT = 0.25
"""One channel in each of the 32 groups of its first stage, which has four at width 1."""


class GateRecipe(PneumothoraxRecipe):
    """Defaults are the published network; the card of the shipped weights says what they changed."""

    size: int = Field(224, ge=64, le=1024)
    epochs: int = Field(127, ge=1)
    batch_size: int = Field(16, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    backbone: Literal[GATE_BACKBONES] = "resnext50_32x4d"  # type: ignore[valid-type]
    loss: Literal["soft_f1", "soft_f1+bce"] = Field(
        "soft_f1", description="the paper's, or with cross-entropy, which has a slope without positives too"
    )
    localised: bool = Field(
        False, description="learns from outlines too: a map of where, whose surest places count in the answer"
    )
    positive_share: float = Field(
        0.0, ge=0, lt=1, description="share of films with gas in an epoch; 0: as they come"
    )
    cutout_from: float = Field(
        0.55, ge=0, le=1, description="share of the epochs before Cutout; paper: 70 / 127"
    )
    mask_weights: str = Field(
        "", description="weights of pneumothorax-mask, to measure the gate fused with the area they outline"
    )


class GateTask(Task):
    """Learns from the ``OUTLINED`` sets given; ``nih``, where given, is measured on as real films."""

    name = "pneumothorax-gate"
    recipe_type: ClassVar[type[Recipe]] = GateRecipe
    datasets = (*OUTLINED, "nih")
    initial_weights = ("encoder_weights",)
    companion_weights = ("mask_weights",)
    monitor = ("auc", "max")
    recipe: GateRecipe

    def __init__(self, recipe: GateRecipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        part(data, recipe, "train")  # says what is missing before anything is built
        if recipe.backbone == "resnext50_32x4d" and recipe.width < SMALLEST_RESNEXT:
            raise RecipeError(
                f"width {recipe.width} leaves resnext50_32x4d no channel in some of its groups; "
                f"use {SMALLEST_RESNEXT} or more."
            )
        if recipe.mask_weights:
            companion("mask_weights", recipe.mask_weights, "pneumothorax-mask")
        self._banks: dict[SplitName, Bank] = {}
        self._dealt: Dealt | None = None
        self._late = False

    def learned_from(self) -> tuple[str, ...]:
        return tuple(name for name in OUTLINED if name in self.data)

    def build(self) -> None:
        network = PneumothoraxGate(**self.architecture())
        if self.recipe.encoder_weights:
            load_backbone(network, Path(self.recipe.encoder_weights))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        recipe = self.recipe
        return {"backbone": recipe.backbone, "width": recipe.width, "localised": recipe.localised}

    def describe(self) -> dict[str, Any]:
        films = provenance(self.data, self.recipe)
        return {
            "title": "Gate of the pneumothorax cascade: is there gas in the pleural space",
            "intended_use": "To empty the masks of films without pneumothorax, for research.",
            "limits": f"{films['limits']} {NO_PROBABILITY}",
            "licence": films["licence"],
            "sources": [
                "One-Case cascade: CNN filter (table 4.3)",
                "Xie et al. 2017 (ResNeXt)",
                "Liu et al. 2020 (RAdam)",
                "DeVries and Taylor 2017 (Cutout)",
            ],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        parameters = self.modules["model"].parameters()
        return {
            "model": RAdam(parameters, lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay)
        }

    def training_set(self) -> Dataset[Batch]:
        self._bank("train")
        check_parts(self.data, self.recipe)
        truth = truth_of(part(self.data, self.recipe, "train"))
        kinds = [np.flatnonzero(truth == kind).tolist() for kind in (1.0, 0.0)]
        share = self.recipe.positive_share or float(truth.mean())
        self._dealt = Dealt(kinds, (share, 1 - share), self.recipe.films_per_epoch, self.recipe.seed)
        return self._dealt

    def _bank(self, name: SplitName) -> Bank:
        """The films of a part, decoded once."""
        if name not in self._banks:
            self._banks[name] = cases(part(self.data, self.recipe, name), self.recipe.size)
        return self._banks[name]

    def start_epoch(self, epoch: int) -> None:
        """Cutout comes when the network has learned whole films."""
        self._late = epoch >= self.recipe.cutout_from * self.recipe.epochs
        if self._dealt is not None:
            self._dealt.deal(epoch)

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        drawn = self._bank("train").to(fabric.device).gather(batch["index"])
        grid = placed(drawn["film"])
        film = shown(warp(drawn["film"], grid), self.recipe.appearance, late=self._late)
        film, target = film.contiguous(memory_format=torch.channels_last), drawn["label"][:, 0]
        if self.recipe.localised:
            logits, places = wrapped["model"](film, places=True)
            loss = place_loss(places, warp(drawn["mask"], grid, nearest=True))
        else:
            logits, loss = wrapped["model"](film), torch.zeros((), device=film.device)
        loss = loss + soft_f1_loss(logits, target)
        if self.recipe.loss == "soft_f1+bce":
            loss = loss + binary_cross_entropy_with_logits(logits.float(), target)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def _told(self, model: nn.Module, records: Sequence[Record]) -> Numbers:
        """The output for each film, the mean with its mirror image."""

        def told(record: Record) -> float:
            return gate_probability(
                model, frame(load_film(record.frontal), self.recipe.size).pixels, tta=True
            )

        return np.array(over_films(told, records))

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Validation: AUC. Test: with its interval, at the operating point, and on real films."""
        if split != "test":
            return validation_area(model, self._bank(split))
        rng = np.random.default_rng(self.recipe.seed)
        records = measured(self.data, self.recipe, split)
        truth, owners = truth_of(records), [record.patient_id for record in records]
        told = self._told(model, records)
        found = {"auc": auc_figure(truth, told, owners, rng)}
        rows = rows_of(records, origins(self.data, self.recipe, split), truth, told)
        worst = gallery(model, self.recipe.size, records, rows)
        kept = measured(self.data, self.recipe, "validation")
        told_of_kept = self._told(model, kept)
        cut, extras = operating_point(truth_of(kept), told_of_kept)
        found |= decisions(truth, told >= cut, owners, rng)
        curves: dict[str, Curve] = {"pneumothorax": (truth, told)}
        real: tuple[Record, ...] = ()
        if "nih" in self.data:
            real = tuple(self.real_films())
            figures, real_rows, curves["real films"] = self._on_real_films(model, real, cut, rng)
            found |= figures
            rows += real_rows
            worst += gallery(model, self.recipe.size, real, real_rows)
        notes = (
            "Mean of the film and its mirror image; intervals by bootstrap over patients.",
            "nih_: films of patients the network has never seen, labels mined from reports.",
            "worst.png: the films on which the output is furthest from the truth, and 1 less that distance.",
        )
        evaluation = Evaluation(
            found,
            rows,
            notes,
            {"operating_point": extras},
            curves,
            gallery=worst,
            by_dataset=figures_by_dataset(rows, cut, self.recipe.seed),
        )
        if not self.recipe.mask_weights:
            return evaluation
        device = next(model.parameters()).device
        fused = fusion.Fusion.settled(Path(self.recipe.mask_weights), device, kept, told_of_kept)
        return self._with_fusion(evaluation, fused, (*records, *real))

    def _with_fusion(self, alone: Evaluation, fused: fusion.Fusion, films: Sequence[Record]) -> Evaluation:
        """The evaluation with the figures of the gate and the mask network together."""
        seed, rows = self.recipe.seed, fused.added(alone.rows, films)
        by_set = fusion.figures_by_dataset(rows, seed)
        own = fusion.figures([row for row in rows if row["dataset"] in OUTLINED], seed)
        real = {f"nih_{name}": figure for name, figure in by_set.get("nih", {}).items()}
        return replace(
            alone,
            figures={**alone.figures, **own, **real},
            rows=rows,
            notes=(*alone.notes, fusion.NOTE),
            by_dataset={name: {**each, **by_set[name]} for name, each in alone.by_dataset.items()},
        )

    def real_films(self) -> list[Record]:
        """The films of ``nih`` that are measured on: of no patient who taught or chose the weights."""
        known = {
            record.patient_id
            for name in ("train", "validation")
            for record in part(self.data, self.recipe, name)
        }
        return [
            record
            for record in self.data["nih"]
            if label(record) in (0.0, 1.0) and record.patient_id not in known
        ]

    def _on_real_films(
        self, model: nn.Module, records: Sequence[Record], cut: float, rng: np.random.Generator
    ) -> tuple[dict[str, Figure], list[dict[str, Any]], Curve]:
        truth, owners = truth_of(records), [record.patient_id for record in records]
        told = self._told(model, records)
        figures = {"nih_auc": auc_figure(truth, told, owners, rng)}
        decided = decisions(truth, told >= cut, owners, rng)
        figures |= {f"nih_{name}": decided[name] for name in ("sensitivity", "specificity")}
        return figures, rows_of(records, ["nih"] * len(records), truth, told), (truth, told)


def place_loss(places: Tensor, gas: Tensor, weight: float = 5.0) -> Tensor:
    """Cross-entropy of a coarse map (B, 1, h, w) against gas (B, 1, H, W): a cell with any gas is positive.

    Args:
        weight: of cells with gas, of which there are few.
    """
    cells = adaptive_max_pool2d(gas, places.shape[-2:])
    return bce_loss(places, cells, positive_weight=weight)
