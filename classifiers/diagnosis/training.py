"""Training of the diagnosis network: 13 heads, unknown labels left out, branch heads beside the main one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import AdamW, Optimizer
from torch.utils.data import Dataset

from classifiers.calibration import expected_calibration_error, fit_calibration
from classifiers.diagnosis.films import ChannelFilms, ChannelSet
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.parameters import decay_groups
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.findings import CODES
from suite.stages.weights import load_state, read_card
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import auc_figure
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

FRACTIONS = (0.65, 0.15, 0.2)

MIN_TRAINING_POSITIVES = 20
"""A head with fewer positive films to learn from is not trained, and says so."""


class DiagnosisRecipe(Recipe):
    """Defaults are the recipe of the shipped weights; the paper's size is 512."""

    size: int = Field(224, ge=64, le=1024, multiple_of=32)
    epochs: int = Field(8, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    branch_weight: float = Field(
        0.4, ge=0, description="weight of the branch heads' loss beside the main head's"
    )
    triage_weights: str = Field(
        "", description="model card of the triage network to start from; empty: from scratch"
    )


def masked_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the known labels; unknown ones (NaN) have no gradient.

    Shape:
        - **logits**, **labels** - (B, 13); labels 1, 0 or NaN
    """
    known = ~labels.isnan()
    loss = binary_cross_entropy_with_logits(logits, labels.nan_to_num(0.0), reduction="none")
    return (loss * known).sum() / known.sum().clamp_min(1)


class DiagnosisTask(Task):
    """Learns from ``nih``, with the lung mask and bone image that the installed stages make of each film."""

    name = "diagnosis"
    recipe_type: ClassVar[type[Recipe]] = DiagnosisRecipe
    datasets = ("nih",)
    required = ("nih",)
    initial_weights = ("triage_weights",)
    channels = 3
    monitor = ("mean_auc", "max")
    recipe: DiagnosisRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        self._films = ChannelFilms(self.recipe.size)

    def build(self) -> None:
        network = DualBranchDenseNet(**self.architecture())
        if self.recipe.triage_weights:
            network.start_from_triage(load_state(read_card(Path(self.recipe.triage_weights))))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        return {"frontal_channels": 3, "dropout": self.recipe.dropout}

    def describe(self) -> dict[str, Any]:
        trained = [code for code, count in self._positives().items() if count >= MIN_TRAINING_POSITIVES]
        return {
            "title": "13 findings on chest radiographs, with heatmaps",
            "intended_use": "Suggestions for a radiologist to accept or reject, for research.",
            "limits": "Learned from about 700 films with labels mined from reports; not trained: "
            + ", ".join(code for code in CODES if code not in trained)
            + ". Heatmaps show what the branch looked at, not outlines.",
            "licence": "research use only: learned from NIH ChestX-ray14 films",
            "sources": [
                "Avramescu et al. (network)",
                "Huang et al. 2017 (DenseNet)",
                "Wang et al. 2017 (ChestX-ray14)",
            ],
            "views": {"frontal": {"trained": True}, "lateral": {"trained": False}},
        }

    def optimizers(self) -> dict[str, Optimizer]:
        groups = decay_groups(self.modules["model"], self.recipe.weight_decay)
        return {"model": AdamW(groups, lr=self.recipe.learning_rate)}

    def training_set(self) -> Dataset[Batch]:
        return ChannelSet(self._part("train"), self._films, augmented=True)

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        records = self.data["nih"].split(self.recipe.split_seed, FRACTIONS)[name]
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _positives(self) -> dict[str, int]:
        labels = np.array([record.labels for record in self._part("train")]).reshape(-1, len(CODES))
        return {code: int(np.nansum(labels[:, index])) for index, code in enumerate(CODES)}

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        frontal = batch["frontal"].contiguous(memory_format=torch.channels_last)
        output = wrapped["model"](frontal)
        labels = batch["labels"]
        main = masked_bce(output.logits, labels)
        branch = masked_bce(output.frontal_maps.mean((-2, -1)), labels)
        loss = main + self.recipe.branch_weight * branch
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(main.detach()), "branch": float(branch.detach())}

    def _scores(self, model: nn.Module, records: Sequence[Record]) -> Any:
        device = next(model.parameters()).device
        rows = []
        for record in records:
            film = torch.from_numpy(self._films(record))[None].to(device, memory_format=torch.channels_last)
            with torch.inference_mode():
                rows.append(model(film).logits[0].float().cpu().numpy())
        return np.array(rows, dtype=np.float64).reshape(-1, len(CODES))

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """AUC of each finding with its interval; on the test part also the calibration of each head."""
        records = self._part(split)
        truth = np.array([record.labels for record in records]).reshape(-1, len(CODES))
        scores = self._scores(model, records)
        owners = [record.patient_id for record in records]
        rng = np.random.default_rng(self.recipe.seed)
        figures = {
            f"auc_{code}": auc_figure(truth[:, i], scores[:, i], owners, rng) for i, code in enumerate(CODES)
        }
        known = [figure.value for figure in figures.values() if not np.isnan(figure.value)]
        figures = {"mean_auc": Figure(float(np.mean(known)) if known else math.nan, n=len(known)), **figures}
        extras: dict[str, Any] = {}
        if split == "test":
            heads, calibration_figures = self._calibrate(model, truth, scores)
            extras["heads"] = heads
            figures |= calibration_figures
        rows = [
            {
                "film": record.id,
                "patient": record.patient_id,
                **dict(zip(CODES, map(float, row), strict=True)),
            }
            for record, row in zip(records, scores, strict=True)
        ]
        curves = {code: (truth[:, index], scores[:, index]) for index, code in enumerate(CODES)}
        return Evaluation(figures, rows, ("Held-out patients; scores are logits.",), extras, curves)

    def _calibrate(
        self, model: nn.Module, truth: Any, scores: Any
    ) -> tuple[dict[str, Any], dict[str, Figure]]:
        """Each head's calibration, fitted on the validation part, and its error on the test part."""
        held_out = self._part("validation")
        held_labels = np.array([record.labels for record in held_out]).reshape(-1, len(CODES))
        held_scores = self._scores(model, held_out)
        source = f"{len(held_out)} held-out ChestX-ray14 films"
        heads: dict[str, Any] = {}
        figures: dict[str, Figure] = {}
        for index, (code, positives) in enumerate(self._positives().items()):
            trained = positives >= MIN_TRAINING_POSITIVES
            fitted = (
                fit_calibration(held_labels[:, index], held_scores[:, index], source) if trained else None
            )
            calibration = None if fitted is None else fitted.as_json()
            heads[code] = {"trained": trained, "training_positives": positives, "calibration": calibration}
            if fitted is not None:
                known = ~np.isnan(truth[:, index])
                probability = np.array([fitted.probability(score) for score in scores[known, index]])
                error = expected_calibration_error(truth[known, index], probability)
                figures[f"ece_{code}"] = Figure(error, n=int(known.sum()))
        return heads, figures
