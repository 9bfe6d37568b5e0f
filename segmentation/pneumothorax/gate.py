"""Training of the gate: soft F1 over a batch, rectified Adam, Cutout in the last part (table 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from sklearn.metrics import precision_recall_curve
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer, RAdam
from torch.utils.data import Dataset

from segmentation.losses.soft_f1 import soft_f1_loss
from segmentation.pneumothorax.augmentation import training_transform
from segmentation.pneumothorax.cascade import gate_probability
from segmentation.pneumothorax.cases import PneumothoraxRecipe, label, part
from segmentation.pneumothorax.network import GATE_BACKBONES, PneumothoraxGate, load_backbone
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.errors import RecipeError
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import FilmSet, FramedFilms
from suite.training.intervals import auc_figure, bootstrap
from suite.training.plots import Curve
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

Numbers = Any

COMPUTED_ONLY = (
    "Learned from computed films only and not validated on real ones: nih_auc says how well it tells real "
    "films apart. Its output is no calibrated probability."
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
    cutout_from: float = Field(
        0.55, ge=0, le=1, description="share of the epochs before Cutout; paper: 70 / 127"
    )


class GateTask(Task):
    """Learns from ``phantom``, ``siim`` or both; ``nih``, where given, is measured on as real films."""

    name = "pneumothorax-gate"
    recipe_type: ClassVar[type[Recipe]] = GateRecipe
    datasets = ("phantom", "siim", "nih")
    initial_weights = ("encoder_weights",)
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
        self._framed = FramedFilms(recipe.size)
        self._training: FilmSet | None = None

    def build(self) -> None:
        network = PneumothoraxGate(**self.architecture())
        if self.recipe.encoder_weights:
            load_backbone(network, Path(self.recipe.encoder_weights))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        return {"backbone": self.recipe.backbone, "width": self.recipe.width}

    def describe(self) -> dict[str, Any]:
        learned = " and ".join(name for name in ("phantom", "siim") if name in self.data)
        computed = "siim" not in self.data
        return {
            "title": "Gate of the pneumothorax cascade: is there gas in the pleural space",
            "intended_use": "To empty the masks of films without pneumothorax, for research.",
            "limits": COMPUTED_ONLY if computed else f"Learned from {learned}; no calibrated probability.",
            "licence": "Apache-2.0" if computed else "research use only: learned from SIIM-ACR films",
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
        self._training = FilmSet(
            part(self.data, self.recipe, "train"),
            self.recipe.size,
            labels=lambda record: (label(record),),
            transform=training_transform(self.recipe.appearance),
        )
        return self._training

    def start_epoch(self, epoch: int) -> None:
        """Cutout comes when the network has learned whole films."""
        if self._training is not None:
            late = epoch >= self.recipe.cutout_from * self.recipe.epochs
            self._training.transform = training_transform(self.recipe.appearance, cutout=late)

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        film = batch["film"].contiguous(memory_format=torch.channels_last)
        logits, target = wrapped["model"](film), batch["labels"][:, 0]
        loss = soft_f1_loss(logits, target)
        if self.recipe.loss == "soft_f1+bce":
            loss = loss + binary_cross_entropy_with_logits(logits.float(), target)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def _told(self, model: nn.Module, records: Sequence[Record], *, tta: bool) -> Numbers:
        return np.array([gate_probability(model, self._framed(record), tta=tta) for record in records])

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """AUC with its interval; on the test part also at the operating point, and on real films."""
        rng = np.random.default_rng(self.recipe.seed)
        records = part(self.data, self.recipe, split)
        truth, owners = _truth(records), [record.patient_id for record in records]
        told = self._told(model, records, tta=split == "test")
        found = {"auc": auc_figure(truth, told, owners, rng)}
        rows = _rows(records, truth, told)
        if split != "test":
            return Evaluation(found, rows)
        kept = part(self.data, self.recipe, "validation")
        cut, extras = operating_point(_truth(kept), self._told(model, kept, tta=True))
        found |= _decisions(truth, told >= cut, owners, rng)
        curves: dict[str, Curve] = {"pneumothorax": (truth, told)}
        if "nih" in self.data:
            figure, real_rows, curves["real films"] = self._on_real_films(model, rng)
            found["nih_auc"] = figure
            rows += real_rows
        notes = (
            "Mean of the film and its mirror image; intervals by bootstrap over patients.",
            "nih_auc: films the network has never seen, labels mined from reports.",
        )
        return Evaluation(found, rows, notes, {"operating_point": extras}, curves)

    def _on_real_films(
        self, model: nn.Module, rng: np.random.Generator
    ) -> tuple[Figure, list[dict[str, Any]], Curve]:
        records = [record for record in self.data["nih"] if label(record) in (0.0, 1.0)]
        truth, owners = _truth(records), [record.patient_id for record in records]
        told = self._told(model, records, tta=True)
        return auc_figure(truth, told, owners, rng), _rows(records, truth, told), (truth, told)


def operating_point(truth: Numbers, told: Numbers) -> tuple[float, dict[str, Any]]:
    """The threshold with the highest F1 on kept-back films, and the card's entry for it.

    It lies halfway between the lowest output that counts and the highest that does not.
    """
    if truth.min() == truth.max():
        return 0.5, {"threshold": 0.5, "rule": "one half: the validation part has one kind of film only"}
    precision, recall, cuts = precision_recall_curve(truth, told)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    lowest = float(cuts[int(np.argmax(f1[:-1]))])
    below = told[told < lowest]
    cut = (lowest + float(below.max())) / 2 if below.size else lowest
    rule = f"highest F1 on {len(truth)} validation films, {int(truth.sum())} of them positive"
    return cut, {"threshold": cut, "rule": rule}


def _truth(records: Sequence[Record]) -> Numbers:
    return np.array([label(record) for record in records])


def _rows(records: Sequence[Record], truth: Numbers, told: Numbers) -> list[dict[str, Any]]:
    return [
        {"film": record.id, "patient": record.patient_id, "pneumothorax": value, "gate": float(output)}
        for record, value, output in zip(records, truth, told, strict=True)
    ]


def _decisions(
    truth: Numbers, yes: Numbers, owners: list[str], rng: np.random.Generator
) -> dict[str, Figure]:
    def share(kind: float) -> Any:
        def statistic(rows: Any) -> float:
            own = truth[rows] == kind
            return float((yes[rows] == (kind == 1.0))[own].mean()) if own.any() else float("nan")

        return statistic

    def f1(rows: Any) -> float:
        hits = float((yes[rows] & (truth[rows] == 1)).sum())
        total = float(yes[rows].sum() + truth[rows].sum())
        return 2 * hits / total if total else float("nan")

    return {
        "sensitivity": bootstrap(share(1.0), owners, rng),
        "specificity": bootstrap(share(0.0), owners, rng),
        "f1": bootstrap(f1, owners, rng),
    }
