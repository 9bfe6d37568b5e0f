"""Training of the triage network on normal and abnormal films, and its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import AdamW, Optimizer
from torch.utils.data import Dataset

from classifiers.calibration import expected_calibration_error, fit_calibration
from classifiers.parameters import decay_groups
from classifiers.triage.network import TriageNetwork
from classifiers.triage.stage import triage_score
from suite.datasets.manifest import Record, SplitName
from suite.training import augment
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import FilmSet, FramedFilms
from suite.training.intervals import auc_figure, bootstrap
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

FRACTIONS = (0.65, 0.15, 0.2)


class TriageRecipe(Recipe):
    """Defaults are the recipe of the shipped weights; the paper's size is 512."""

    size: int = Field(224, ge=64, le=1024)
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    label_smoothing: float = Field(0.05, ge=0, lt=0.5, description="labels mined from reports are noisy")


class TriageTask(Task):
    """Learns from ``nih``: "No Finding" is normal, everything else abnormal."""

    name = "triage"
    recipe_type: ClassVar[type[Recipe]] = TriageRecipe
    datasets = ("nih",)
    required = ("nih",)
    monitor = ("auc", "max")
    recipe: TriageRecipe

    def build(self) -> None:
        self.modules["model"] = TriageNetwork(self.recipe.dropout)
        self._films = FramedFilms(self.recipe.size)

    def architecture(self) -> dict[str, Any]:
        return {"dropout": self.recipe.dropout}

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Normal or abnormal frontal chest radiograph",
            "intended_use": "To order a worklist, raising priority only, for research.",
            "limits": "Learned from about 700 films with labels mined from reports; "
            "abnormal is what those reports name.",
            "licence": "research use only: learned from NIH ChestX-ray14 films",
            "sources": ["Huang et al. 2017 (DenseNet)", "Wang et al. 2017 (ChestX-ray14)"],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        groups = decay_groups(self.modules["model"], self.recipe.weight_decay)
        return {"model": AdamW(groups, lr=self.recipe.learning_rate)}

    def training_set(self) -> Dataset[Batch]:
        return FilmSet(
            self._part("train"), self.recipe.size, labels=lambda r: (r.abnormal,), transform=augment.light()
        )

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        records = self.data["nih"].split(self.recipe.split_seed, FRACTIONS)[name]
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        film = batch["film"].contiguous(memory_format=torch.channels_last)
        smoothing = self.recipe.label_smoothing
        target = batch["labels"][:, 0] * (1 - smoothing) + smoothing / 2
        loss = binary_cross_entropy_with_logits(wrapped["model"](film), target)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def _scores(self, model: nn.Module, records: Sequence[Record]) -> Any:
        device = next(model.parameters()).device
        return np.array(
            [triage_score(model, self._films(record), device) for record in records], dtype=np.float64
        )

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """AUC with its interval; on the test part also calibration, fitted on the validation part."""
        records = self._part(split)
        truth = np.array([record.abnormal for record in records])
        scores = self._scores(model, records)
        owners = [record.patient_id for record in records]
        rng = np.random.default_rng(self.recipe.seed)
        figures = {"auc": auc_figure(truth, scores, owners, rng)}
        extras: dict[str, Any] = {}
        if split == "test":
            held_out = self._part("validation")
            calibration = fit_calibration(
                np.array([record.abnormal for record in held_out]),
                self._scores(model, held_out),
                f"{len(held_out)} held-out ChestX-ray14 films",
            )
            if calibration is not None:
                probability = np.array([calibration.probability(score) for score in scores])
                figures |= _decision_figures(truth, probability, calibration.operating_point, owners, rng)
                extras["calibration"] = calibration.as_json()
        rows = [
            {
                "film": record.id,
                "patient": record.patient_id,
                "abnormal": record.abnormal,
                "score": float(score),
            }
            for record, score in zip(records, scores, strict=True)
        ]
        return Evaluation(
            figures,
            rows,
            ("Held-out patients; intervals by bootstrap over patients.",),
            extras,
            {"abnormal": (truth, scores)},
        )


def _decision_figures(
    truth: Any, probability: Any, cut: float, owners: list[str], rng: Any
) -> dict[str, Figure]:
    def share(of: float) -> Any:
        def statistic(rows: Any) -> float:
            kind = truth[rows] == of
            return float(((probability[rows] >= cut) == of)[kind].mean()) if kind.any() else float("nan")

        return statistic

    return {
        "sensitivity": bootstrap(share(1.0), owners, rng),
        "specificity": bootstrap(share(0.0), owners, rng),
        "brier": bootstrap(lambda rows: float(((probability[rows] - truth[rows]) ** 2).mean()), owners, rng),
        "ece": bootstrap(
            lambda rows: expected_calibration_error(truth[rows], probability[rows]), owners, rng
        ),
    }
