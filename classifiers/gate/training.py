"""Training of the gate, the choice of its thresholds, and what it misses and wrongly refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim import Optimizer
from torch.utils.data import Dataset

from classifiers.gate.benchmark import CHANGED, Picture, accepted, plain_rows, refused
from classifiers.gate.network import GateNetwork, split
from classifiers.gate.samples import FilmStore, GateSet, open_small, phantom_films, read_films
from classifiers.gate.scores import QUESTIONS, GateScores, batch_scores
from classifiers.learned_sets import FRACTIONS
from classifiers.parameters import adamw
from suite.datasets.manifest import Record, SplitName
from suite.datasets.registry import citations_of, terms_of
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import mean_figure
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

LATERAL_FRACTIONS = (0.5, 0.1, 0.4)
PHANTOM_SEEDS: Mapping[SplitName, tuple[int, int]] = {
    "train": (100_000, 120),
    "validation": (200_000, 12),
    "test": (300_000, 30),
}
"""First seed and number of computed thoraces of each part."""


TAUGHT = ("nih", "jsrt", "frontal-lateral")
"""Sets that are learned from where they are given: frontal films of two, laterals of the third."""


class GateRecipe(Recipe):
    """Defaults are the recipe of the shipped weights."""

    size: int = Field(128, ge=128, le=128)
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=1)
    pictures: int = Field(3200, ge=1, description="drawn anew for each epoch")
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    ema_decay: float = Field(0.98, ge=0, lt=1)
    precision: Any = "32-true"
    validate_every: int = Field(10, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    label_smoothing: float = Field(0.02, ge=0, lt=0.5)
    phantoms: float = Field(1.0, gt=0, le=1, description="share of the computed thoraces to use")
    spare: float = Field(1.0, ge=0, description="log-odds between a threshold and the films it must let pass")
    budget: float = Field(0.002, ge=0, lt=1, description="share of changed good films a threshold may refuse")


class GateTask(Task):
    """Learns from the sets in ``TAUGHT`` and from phantoms; ``covid-lungs`` is for testing."""

    name = "gate"
    recipe_type: ClassVar[type[Recipe]] = GateRecipe
    datasets = (*TAUGHT, "covid-lungs")
    monitor = ("balanced_accuracy", "max")
    recipe: GateRecipe

    def build(self) -> None:
        self.modules["model"] = GateNetwork(self.recipe.dropout)
        self._stores: dict[str, FilmStore] = {}
        self._pictures: dict[str, list[Picture]] = {}

    def architecture(self) -> dict[str, Any]:
        return {"dropout": self.recipe.dropout}

    def learned_from(self) -> tuple[str, ...]:
        return tuple(name for name in TAUGHT if name in self.data)

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Gate: is this an upright, right-way-round frontal chest radiograph",
            "intended_use": "To keep films that the other networks cannot read away from them, for research.",
            "limits": (
                "Films other than chests are drawn or computed, and only a few real laterals were seen. "
                "A mirrored film is told by heart and aorta, so situs inversus looks mirrored. "
                "It does not judge positioning, breath or exposure."
            ),
            "licence": f"research use only; learned from {terms_of(self.learned_from())}",
            "sources": [*citations_of(self.learned_from()), "photographs: scikit-image"],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        return {"model": adamw(self.modules["model"], recipe.learning_rate, recipe.weight_decay)}

    def training_set(self) -> Dataset[Batch]:
        return GateSet(self._store("train"), self.recipe.pictures, self.recipe.size)

    def records(self, dataset: str, split: SplitName) -> tuple[Record, ...]:
        """The records of one part; empty where the data set was not given."""
        if dataset not in self.data:
            return ()
        fractions = LATERAL_FRACTIONS if dataset == "frontal-lateral" else FRACTIONS
        records = self.data[dataset].split(self.recipe.split_seed, fractions)[split]
        return records[: self.recipe.limit] if self.recipe.limit and split == "train" else records

    def _store(self, split: SplitName) -> FilmStore:
        if split not in self._stores:
            store = FilmStore()
            frontals = [record for name in ("nih", "jsrt") for record in self.records(name, split)]
            store.frontal = read_films(record.frontal for record in frontals)
            pairs = self.records("frontal-lateral", split)
            store.lateral = read_films(record.lateral for record in pairs if record.lateral is not None)
            first, count = PHANTOM_SEEDS[split]
            seeds = range(first, first + max(2, round(count * self.recipe.phantoms)))
            store.phantom_frontal, store.phantom_lateral = phantom_films(seeds)
            self._stores[split] = store
        return self._stores[split]

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        named = split(wrapped["model"](batch["film"].contiguous(memory_format=torch.channels_last)))
        smooth = self.recipe.label_smoothing
        losses = {
            "view": cross_entropy(named.view, batch["view"], label_smoothing=smooth),
            "turn": _known_turns(named.turn, batch["turn"], smooth),
            "inverted": _known(named.inverted, batch["inverted"], smooth),
            "mirrored": _known(named.mirrored, batch["mirrored"], smooth),
        }
        optimizers["model"].zero_grad()
        fabric.backward(torch.stack(list(losses.values())).sum())
        optimizers["model"].step()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """How many good films are refused and how many others found, at thresholds from validation."""
        pictures = self._benchmark(split)
        scores = score_pictures(model, pictures)
        if split != "test":
            return Evaluation({"balanced_accuracy": Figure(_balanced_accuracy(pictures, scores))})
        held_out = self._benchmark("validation")
        thresholds = choose_thresholds(
            held_out, score_pictures(model, held_out), self.recipe.spare, self.recipe.budget
        )
        rows = [_row(picture, score, thresholds) for picture, score in zip(pictures, scores, strict=True)]
        rows += self._plain_rows(split)
        rng = np.random.default_rng(self.recipe.seed)
        figures = {}
        for group in dict.fromkeys(str(row["group"]) for row in rows):
            mine = [row for row in rows if row["group"] == group]
            found = np.array([row["refused"] for row in mine], dtype=np.float64)
            figures[f"refused_{group}"] = mean_figure(found, [str(row["patient"]) for row in mine], rng)
        notes = (
            "Share of films refused: low is good for the groups called accept_*, high for the others.",
            "Thresholds are chosen on the validation part; intervals by bootstrap over patients.",
            "Groups with plain in their names are of the checks of grey levels, the others of the network.",
        )
        return Evaluation(figures, rows, notes, {"thresholds": thresholds})

    def _benchmark(self, split: SplitName) -> list[Picture]:
        if split not in self._pictures:
            rng = np.random.default_rng([self.recipe.split_seed, split == "test"])
            store, size = self._store(split), self.recipe.size
            owners = self._owners(split)
            pictures = accepted(store, owners, size, rng) + refused(store, owners, size, split, rng)
            if split == "test":
                pictures += self._outside(size)
            self._pictures[split] = pictures
        return self._pictures[split]

    def _owners(self, split: SplitName) -> list[str]:
        """Patients of the frontal films of the part's store."""
        return [record.patient_id for name in ("nih", "jsrt") for record in self.records(name, split)]

    def _plain_rows(self, split: SplitName) -> list[dict[str, Any]]:
        """What the plain checks say of the part's frontal films, exported well and badly."""
        films = [open_small(film) for film in self._store(split).frontal]
        rng = np.random.default_rng([self.recipe.split_seed, 2])
        return plain_rows(films, self._owners(split), rng)

    def _outside(self, size: int) -> list[Picture]:
        """Frontal films of sources whose frontal films were never trained on.

        Of the pairs only those of the test part, because laterals of the others' patients were.
        """
        out = []
        pairs = self.records("frontal-lateral", "test")
        for name, records in (("covid-lungs", self.data.get("covid-lungs", ())), ("frontal-lateral", pairs)):
            for record in records:
                film = read_films([record.frontal])[0]
                out.append(Picture.of(f"accept_{name}", record.patient_id, film, size, ()))
        return out


def _known_turns(logits: Tensor, turns: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy over the pictures that have a right way up; 0 where none has."""
    known = turns >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return cross_entropy(logits[known], turns[known], label_smoothing=smoothing)


def _known(logits: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy over the pictures for which the question arises; 0 where for none."""
    known = ~torch.isnan(truth)
    if not bool(known.any()):
        return logits.sum() * 0.0
    return binary_cross_entropy_with_logits(logits[known], truth[known] * (1 - smoothing) + smoothing / 2)


def score_pictures(model: nn.Module, pictures: Sequence[Picture]) -> list[GateScores]:
    """Scores of all pictures, 64 at a time."""
    device = next(model.parameters()).device
    scores: list[GateScores] = []
    for start in range(0, len(pictures), 64):
        films = np.stack([picture.film() for picture in pictures[start : start + 64]])
        scores += batch_scores(model, films, device)
    return scores


def choose_thresholds(
    pictures: Sequence[Picture], scores: Sequence[GateScores], spare: float, budget: float
) -> dict[str, float]:
    """For each question the log-odds above which a film is refused, never below even odds.

    No validation film that is shown as it came may reach it, with ``spare`` to the worst of them, and of the
    films changed as films may be at most the share ``budget``.
    """
    good = [(picture, score) for picture, score in zip(pictures, scores, strict=True) if not picture.faults]
    thresholds = {}
    for question in QUESTIONS:
        untouched = [score.odds[question] for picture, score in good if picture.group != CHANGED]
        changed = [score.odds[question] for picture, score in good if picture.group == CHANGED]
        most = max(max(untouched) + spare, _quantile(changed, 1.0 - budget), 0.0)
        thresholds[question] = round(most, 4)
    return thresholds


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else 0.0


def _balanced_accuracy(pictures: Sequence[Picture], scores: Sequence[GateScores]) -> float:
    """Mean over the questions of the mean of sensitivity and specificity at even odds."""
    shares = []
    for question in QUESTIONS:
        for faulty in (False, True):
            asked = [
                score.odds[question] > 0
                for picture, score in zip(pictures, scores, strict=True)
                if (question in picture.faults) is faulty and (faulty or not picture.faults)
            ]
            if asked:
                shares.append(float(np.mean([answer is faulty for answer in asked])))
    return float(np.mean(shares))


def _row(picture: Picture, score: GateScores, thresholds: Mapping[str, float]) -> dict[str, Any]:
    over = [question for question in QUESTIONS if score.odds[question] > thresholds[question]]
    # What is no frontal chest has no right way up: the other questions are not asked of it.
    reasons = ["not_frontal"] if "not_frontal" in over else over
    return {
        "group": picture.group,
        "patient": picture.patient,
        "refused": float(bool(reasons)),
        "reasons": " ".join(reasons),
        "other_view": score.other_view,
        **{question: float(score.odds[question]) for question in QUESTIONS},
    }
