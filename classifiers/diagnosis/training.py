"""Training of the diagnosis network: 13 heads, unknown labels left out, maps taught by known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from classifiers.densenet import load_imagenet
from classifiers.diagnosis.asked_heatmaps import asked_maps, check_asked, located_studies
from classifiers.diagnosis.batches import RowSet, study_batch
from classifiers.diagnosis.channels import planes_of
from classifiers.diagnosis.evaluation import AskedMaps, measured, validated
from classifiers.diagnosis.films import FilmSettings, StudyFilms, check_films, input_weights
from classifiers.diagnosis.head_calibration import MIN_TRAINING_POSITIVES, is_computed_only, trained_heads
from classifiers.diagnosis.losses import class_weights
from classifiers.diagnosis.network import DualBranchDenseNet, same_start
from classifiers.diagnosis.objective import Objective
from classifiers.diagnosis.parts import halved_validation, is_chest, stated_positives, training_positives
from classifiers.diagnosis.predictions import Predictions, predict
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.uncertain import UncertainPolicy
from classifiers.diagnosis.withdrawal import shown_heads
from classifiers.learned_sets import LearnedSets, doubts
from classifiers.parameters import adamw
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import KINDS, citations_of, is_computed, terms_of
from suite.errors import DatasetError, RecipeError
from suite.findings import CODES
from suite.stages.weights import load_into, load_state, read_card
from suite.training.evaluation import Evaluation
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

_LOSSES_EVERY = 10
"""Steps on a GPU between two readings of the losses: each waits until the GPU is done."""

RENEWED = (
    "In training its lungs or bones were drawn by other weights; calibrations and figures are of those that "
    "the card names."
)
"""Said in the card of weights whose heads were calibrated anew."""


class DiagnosisTask(Task):
    """Learns from any set with labels, with the lung mask and bone image that the installed stages make.

    ``films`` are studies that were decoded before, as the runs of an ablation share them.
    """

    name = "diagnosis"
    recipe_type: ClassVar[type[Recipe]] = DiagnosisRecipe
    datasets = tuple(kind.name for kind in KINDS)
    initial_weights = ("triage_weights", "imagenet_weights", "start_from")
    companion_weights = ("bone_weights",)
    renewable = True
    monitor = ("mean_auc", "max")
    recipe: DiagnosisRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest], films: StudyFilms | None = None) -> None:
        super().__init__(recipe, data)
        own = self.recipe
        self.planes = planes_of(own.configuration, own.bone_source, own.without)
        if not self.planes:
            raise RecipeError(
                f"configuration {own.configuration} without {own.without} has no frontal plane."
            )
        self.channels = len(self.planes)  # type: ignore[misc]
        self.policy = UncertainPolicy.parse(own.uncertain)
        self._also_heatmaps = check_asked(own.also_heatmaps)
        self._input_weights = input_weights(self.film_settings(), self.planes)
        self._given = films
        self._decoded: dict[tuple[str, ...], StudyFilms] = {}
        self.losses = Objective(own, self.policy)
        self._unlearned: frozenset[str] = frozenset()
        self._steps = 0
        self._last_losses: dict[str, float] = {}

    @property
    def _sets(self) -> LearnedSets:
        return LearnedSets.of_task(self, is_chest)

    def build(self) -> None:
        recipe = self.recipe
        whole = {**self.architecture(), "frontal_channels": 3, "lateral": True}
        network = reference = DualBranchDenseNet(**whole)
        if whole != self.architecture():
            network = DualBranchDenseNet(**self.architecture())
            same_start(network, reference)
        if recipe.imagenet_weights:
            network.start_from_imagenet(load_imagenet(Path(recipe.imagenet_weights)))
        if recipe.triage_weights:
            network.start_from_triage(load_state(read_card(Path(recipe.triage_weights))))
        if recipe.start_from:
            load_into(network, read_card(Path(recipe.start_from)))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        recipe = self.recipe
        return {
            "frontal_channels": len(self.planes),
            "dropout": recipe.dropout,
            "lateral": recipe.configuration != "single" and recipe.without != "lateral",
            "map_stride": recipe.map_stride,
            "pooling": recipe.pooling,
            "fuse_branches": recipe.fuse_branches,
            "multiclass": self.policy.multiclass,
        }

    def trained_by(self) -> dict[str, Any]:
        """The whole recipe: the generator's weights make the bone channel."""
        return self.recipe.model_dump()

    def learned_from(self) -> tuple[str, ...]:
        return self._sets.names

    def describe(self) -> dict[str, Any]:
        sets = self._sets
        positives = training_positives(sets)
        trained = [code for code in trained_heads(positives) if code not in self._unlearned]
        computed = [code for code in trained if is_computed_only(positives[code])]
        films = len(self.part("train"))
        laterals = sum(record.lateral is not None for record in self.part("train"))
        reads_lateral = bool(self.architecture()["lateral"] and laterals >= MIN_TRAINING_POSITIVES)
        computed_laterals = reads_lateral and all(
            record.lateral is None for name in sets.names if not is_computed(name)
            for record in sets.part_of(name, "train")
        )  # fmt: skip
        return {
            "title": "13 findings on chest radiographs, with heatmaps",
            "intended_use": "Suggestions for a radiologist to accept or reject, for research.",
            "limits": f"Learned from {films} studies of {', '.join(sets.names)}; not trained: "
            + (", ".join(code for code in CODES if code not in trained) or "none")
            + (f"; learned from computed films only: {', '.join(computed)}" if computed else "")
            + ". Heatmaps show what the branch looked at, not outlines."
            + (" Laterals were learned from computed films alone." if computed_laterals else ""),
            "licence": f"research use only: {terms_of(sets.names)}",
            "sources": [
                "Avramescu et al. (network)",
                "Huang et al. 2017 (DenseNet)",
                *citations_of(sets.names),
            ],
            "views": {
                "frontal": {"trained": True, "studies": films},
                "lateral": {"trained": reads_lateral, "studies": laterals},
            },
            "planes": list(self.planes),
            "input_weights": self._input_weights,
        }

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        return {"model": adamw(self.modules["model"], recipe.learning_rate, recipe.weight_decay)}

    # data

    def part(self, name: SplitName) -> tuple[Record, ...]:
        """Chest studies of one part of all sets that are learned from."""
        return self._sets.part(name)

    def film_settings(self) -> FilmSettings:
        """What the films are made of."""
        recipe = self.recipe
        uses_bone = any(plane not in ("x-ray", "lung-segmented") for plane in self.planes)
        bones = (recipe.bone_source,) if uses_bone else ()
        return FilmSettings(recipe.size, bones, recipe.lung_source, recipe.bone_weights)

    def films(self, records: Sequence[Record], device: torch.device) -> StudyFilms:
        """The decoded ``records``, decoded once."""
        if self._given is not None:
            check_films(self._given, records)
            return self._given
        key = (str(device), *(str(record.frontal) for record in records))
        if key not in self._decoded:
            calibration = self.part("train") or records
            self._decoded[key] = StudyFilms.decode(records, self.film_settings(), str(device), calibration)
        return self._decoded[key]

    def training_set(self) -> Dataset[Batch]:
        sets = self._sets
        sets.check_apart()  # said before anything is trained
        measured_on: tuple[SplitName, ...] = ("validation", "test")
        for split in measured_on:
            if not sets.part(split):
                names = ", ".join(sets.names)
                raise DatasetError(f"the {split} part of {names} has no film; give more patients.")
        records = self.part("train")
        device = next(self.modules["model"].parameters()).device
        labels = torch.tensor([record.labels for record in records]).reshape(-1, len(CODES))
        weights = class_weights(labels, self.recipe.class_weighting)
        self.losses.positive_weight = None if weights is None else weights.to(device)
        self._training_films = self.films(records, device)
        laterals = [record.lateral is not None for record in records]
        self._every_lateral, self._any_lateral = all(laterals), any(laterals)  # the GPU need not be asked
        return RowSet(self._training_films.rows_of(records), self.recipe.passes)

    # learning

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        studies = study_batch(self._training_films, batch["index"], self.planes, augmented=True)
        shown = torch.rand(len(studies.labels), device=studies.labels.device) >= self.recipe.lateral_dropout
        has_lateral = None if self._every_lateral else studies.has_lateral
        lateral = studies.lateral if self._any_lateral else None
        output = wrapped["model"](studies.frontal, lateral, has_lateral, shown)
        parts = self.losses(output, studies)
        optimizers["model"].zero_grad()
        fabric.backward(torch.stack(list(parts.values())).sum())
        optimizers["model"].step()
        if self._steps % _LOSSES_EVERY == 0 or fabric.device.type == "cpu":
            self._last_losses = {name: float(value.detach()) for name, value in parts.items()}
        self._steps += 1
        return self._last_losses

    # measuring

    def predict(
        self,
        model: nn.Module,
        records: Sequence[Record],
        *,
        keep_maps: bool = False,
        compare_lateral: bool = False,
    ) -> Predictions:
        """Scores of ``model`` on ``records``."""
        films = self.films(records, next(model.parameters()).device)
        return predict(
            model, films, records, self.planes, keep_maps=keep_maps, compare_lateral=compare_lateral
        )

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """On the validation part the mean area alone; on the test part all of ``evaluation.measured``."""
        sets = self._sets
        halves = halved_validation(sets) if self.recipe.validation_halves else {}
        if split != "test":
            chosen = {
                name: halves[name].choosing if halves else sets.part_of(name, split) for name in sets.names
            }
            return validated({name: self.predict(model, records) for name, records in chosen.items()})
        evaluation = measured(
            self._predictions(model, sets.names, split, whole=True),
            self._predictions(model, sets.names, "validation"),
            stated_positives(self.measured_card) or training_positives(sets),
            beside=self._predictions(model, sets.others, split, whole=True),
            size=self.recipe.size,
            seed=self.recipe.seed,
            shown=shown_heads(self.measured_card, self._input_weights),
            also=self._asked_maps(model, [*sets.names, *sets.others], split),
            halves=halves,
        )
        heads = evaluation.extras["heads"]
        self._unlearned = frozenset(code for code in CODES if not heads[code]["trained"])
        return replace(evaluation, notes=[*evaluation.notes, *doubts(self.measured_card, sorted(self.data))])

    def renewed(self, card: Mapping[str, Any], evaluation: Evaluation) -> dict[str, Any]:
        """The card with heads and figures of ``evaluation``, by the lungs and bones that are installed."""
        content = {**super().renewed(card, evaluation), "input_weights": self._input_weights}
        if card["input_weights"] != self._input_weights:
            content["notes"] = list(dict.fromkeys([*content["notes"], RENEWED]))
        return content

    def _predictions(
        self, model: nn.Module, names: Sequence[str], split: SplitName, *, whole: bool = False
    ) -> dict[str, Predictions]:
        """Of one part of each set; ``whole``: with maps, and what the laterals added."""
        parts = {name: self._sets.part_of(name, split) for name in names}
        return {
            name: self.predict(model, records, keep_maps=whole, compare_lateral=whole)
            for name, records in parts.items()
        }

    def _asked_maps(self, model: nn.Module, names: Sequence[str], split: SplitName) -> AskedMaps | None:
        """Maps by the method of ``also_heatmaps`` of the located findings of a few films of each set."""
        if not self._also_heatmaps:
            return None
        own, device = self.recipe, next(model.parameters()).device
        found = {}
        for name in names:
            records = self._sets.part_of(name, split)
            films = self.films(records, device)
            studies = located_studies(films, records, self.planes, own.also_heatmaps_films)
            found[name] = asked_maps(model, self._also_heatmaps, studies, own.size)
        return AskedMaps(self._also_heatmaps, found)
