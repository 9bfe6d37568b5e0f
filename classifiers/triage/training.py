"""Training of the triage network on normal and abnormal films, and its calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer
from torch.utils.data import Dataset

from classifiers.calibration_methods import HeadFilms
from classifiers.densenet import load_imagenet
from classifiers.learned_sets import LearnedSets, doubts
from classifiers.parameters import adamw
from classifiers.triage.evaluation import HEAD, MeasuredSet, measured, validated
from classifiers.triage.network import TriageNetwork
from classifiers.validation_halves import ValidationHalves
from suite.datasets.manifest import Record, SplitName
from suite.datasets.registry import KINDS, citations_of, is_computed, terms_of
from suite.errors import DatasetError
from suite.framing import frame
from suite.stages.weights import load_into, read_card
from suite.training.bank import Bank
from suite.training.batch_augment import Geometry, light_appearance, warp
from suite.training.evaluation import Evaluation
from suite.training.films import load_film
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

GEOMETRY = Geometry(degrees=7, shift=0.06, scale=(0.9, 1.15))
SCORING_BATCH = 32


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
    learn_from: str = Field(
        "", description="data sets to learn from, comma between; empty: all that are given"
    )
    validation_halves: bool = Field(
        True, description="choose the epoch on one half of the validation patients, calibrate on the other"
    )
    start_from: str = Field("", description="model card of a triage network to go on from")
    imagenet_weights: str = Field("", description="timm's densenet121 as a safetensors file, to start from")


class TriageTask(Task):
    """Learns from any set that says which films are normal; those that do not say are left out."""

    name = "triage"
    recipe_type: ClassVar[type[Recipe]] = TriageRecipe
    datasets = tuple(kind.name for kind in KINDS)
    initial_weights = ("start_from", "imagenet_weights")
    older_cards: ClassVar[Mapping[str, Any]] = {"validation_halves": False}
    monitor = ("auc", "max")
    recipe: TriageRecipe

    def build(self) -> None:
        network = TriageNetwork(self.recipe.dropout)
        if self.recipe.imagenet_weights:
            network.start_from_imagenet(load_imagenet(Path(self.recipe.imagenet_weights)))
        if self.recipe.start_from:
            load_into(network, read_card(Path(self.recipe.start_from)))
        self.modules["model"] = network
        self._banks: dict[tuple[str, ...], Bank] = {}

    def architecture(self) -> dict[str, Any]:
        return {"dropout": self.recipe.dropout}

    def learned_from(self) -> tuple[str, ...]:
        return self._sets.names

    @property
    def _sets(self) -> LearnedSets:
        return LearnedSets.of_task(self, _is_judged)

    def describe(self) -> dict[str, Any]:
        sets = self.learned_from()
        return {
            "title": "Normal or abnormal frontal chest radiograph",
            "intended_use": "To order a worklist, raising priority only, for research.",
            "limits": f"Learned from {len(self._sets.part('train'))} films of {', '.join(sets)}; "
            "abnormal is what their labels call so, and those of reports are wrong now and then."
            + self._limit_of_calibration(),
            "licence": f"research use only; learned from {terms_of(sets)}",
            "sources": ["Huang et al. 2017 (DenseNet)", *citations_of(sets)],
        }

    def _limit_of_calibration(self) -> str:
        """Readers see a probability whatever it was fitted on, so the card says where it does not hold."""
        chief = self._measured_on()
        if not is_computed(chief):
            return ""
        return (
            f" Calibrated on computed films of {chief} alone: its probabilities and operating point hold for "
            "such films only, and for real ones after radsuite calibrate."
        )

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        return {"model": adamw(self.modules["model"], recipe.learning_rate, recipe.weight_decay)}

    def training_set(self) -> Dataset[Batch]:
        sets = self._sets
        sets.check_apart()  # both before anything is trained
        for split in ("validation", "test"):
            self._measured_part(split)
        device = next(self.modules["model"].parameters()).device
        self._training_bank = self._bank(sets.part("train"), device)
        return self._training_bank

    def _measured_part(self, split: SplitName) -> tuple[Record, ...]:
        chief = self._measured_on()
        records = self._sets.part_of(chief, split)
        if not records:
            raise DatasetError(
                f"the {split} part of {chief} has no film that is known to be normal or abnormal; give more "
                "patients."
            )
        return records

    def _halves(self) -> ValidationHalves:
        """What chooses the epoch, and what calibrates."""
        chief = self._measured_on()
        records = self._sets.part_of(chief, "validation")
        if not self.recipe.validation_halves:
            return ValidationHalves(chief, records)
        labels = {HEAD: np.array([record.abnormal for record in records], dtype=np.float64)}
        return ValidationHalves.of(chief, self.data[chief].name, records, labels, self.recipe.split_seed)

    def _bank(self, records: Sequence[Record], device: torch.device) -> Bank:
        """The framed films of ``records`` and whether each is abnormal, decoded once."""
        key = (str(device), *(str(record.frontal) for record in records))
        if key not in self._banks:
            self._banks[key] = Bank.decode(records, self._read).to(device)
        return self._banks[key]

    def _read(self, record: Record) -> dict[str, Any]:
        film = frame(load_film(record.frontal), self.recipe.size).pixels
        return {"film": film[None], "labels": np.array([record.abnormal], dtype=np.float32)}

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        stored = self._training_bank.gather(batch["index"])
        film = light_appearance(warp(stored["film"], GEOMETRY.grid(stored["film"])))
        smoothing = self.recipe.label_smoothing
        target = stored["labels"][:, 0] * (1 - smoothing) + smoothing / 2
        logits = wrapped["model"](film.contiguous(memory_format=torch.channels_last))
        loss = binary_cross_entropy_with_logits(logits, target)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def _scores(self, model: nn.Module, records: Sequence[Record]) -> Any:
        if not records:
            return np.zeros(0)
        device = next(model.parameters()).device
        bank = self._bank(records, device)
        parts = []
        with torch.inference_mode():
            for rows in torch.arange(len(records), device=device).split(SCORING_BATCH):
                film = bank.gather(rows)["film"].contiguous(memory_format=torch.channels_last)
                parts.append(model(film).float().cpu().numpy())
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """On the validation part the area alone; on the test part all of ``evaluation.measured``.

        Where the recipe halves the validation patients, the area is of the half that chooses. Of several sets
        the real one is measured and calibrated on; the others' areas stand beside it.
        """
        chief, halves = self._measured_on(), self._halves()
        records = self._measured_part(split)
        if split != "test":
            return validated(self._scored(model, halves.choosing))
        others = sorted(set(self.data) - {chief})
        return measured(
            MeasuredSet(chief, records, self._scored(model, records)),
            self._scored(model, halves.calibrating(HEAD)),
            {name: self._scored(model, self._sets.part_of(name, split)) for name in others},
            seed=self.recipe.seed,
            card=self.measured_card,
            notes=[
                *([halves.note()] if self.recipe.validation_halves else []),
                *doubts(self.measured_card, sorted(self.data)),
            ],
        )

    def _scored(self, model: nn.Module, records: Sequence[Record]) -> HeadFilms:
        """``records``, of which each is known to be normal or abnormal, as the network scores them."""
        truth = np.array([record.abnormal for record in records], dtype=np.float64)
        patients = np.array([record.patient_id for record in records], dtype=np.str_)
        return HeadFilms(truth, self._scores(model, records), patients)

    def _measured_on(self) -> str:
        """The set whose held-out films count: real films before computed ones."""
        sets = self._sets
        order = (*sets.names, *sets.others)
        real = [name for name in order if not is_computed(name) and any(map(_is_judged, self.data[name]))]
        return (real or list(sets.names))[0]


def _is_judged(record: Record) -> bool:
    """Whether a set says of a film that it is normal or abnormal."""
    return not math.isnan(record.abnormal)
