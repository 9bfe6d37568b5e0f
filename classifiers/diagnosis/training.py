"""Training of the diagnosis network: 13 heads, unknown labels left out, maps taught by known truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import Dataset

from classifiers.cam import heatmap_from
from classifiers.densenet import load_imagenet
from classifiers.diagnosis.batches import RowSet, StudyBatch, study_batch
from classifiers.diagnosis.channels import BoneSource, Configuration, planes_of
from classifiers.diagnosis.films import FilmSettings, LungSource, StudyFilms, check_films, input_weights
from classifiers.diagnosis.head_calibration import (
    MIN_TRAINING_POSITIVES,
    HeadCalibrations,
    SetCalibration,
    figures_by_card,
    is_computed_only,
    trained_heads,
    unlearned_heads,
)
from classifiers.diagnosis.losses import (
    class_weights,
    map_loss,
    map_targets,
    masked_bce,
    multiclass_loss,
    smooth,
)
from classifiers.diagnosis.network import DiagnosisOutput, DualBranchDenseNet, same_start
from classifiers.diagnosis.pooling import Pooling
from classifiers.diagnosis.predictions import Predictions, predict
from classifiers.diagnosis.uncertain import UncertainPolicy
from classifiers.localisation import LocatedMap, framed_heatmap, localisation_figures, located_rows
from classifiers.parameters import decay_groups
from suite.datasets.finding_places import known_places
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import KINDS, is_computed
from suite.errors import DatasetError, RecipeError
from suite.findings import CODES
from suite.stages.artifacts import Heatmap
from suite.stages.weights import load_into, load_state, read_card
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import auc, auc_figure
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

FRACTIONS = (0.65, 0.15, 0.2)

_LOSSES_EVERY = 10
"""Steps on a GPU between two readings of the losses: each waits until the GPU is done."""


class DiagnosisRecipe(Recipe):
    """Defaults are the recipe of the shipped weights; the paper's size is 512."""

    size: int = Field(256, ge=64, le=1024, multiple_of=32)
    epochs: int = Field(8, ge=1)
    passes: int = Field(1, ge=1, description="times each study is seen in an epoch")
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    learn_from: str = Field(
        "", description="data sets to learn from, comma between; empty: all that are given"
    )
    configuration: Configuration = Field("dual+lungs+bone", description="the paper's four networks")
    bone_source: BoneSource = Field("gan", description="what the bone channel shows; copy is a placebo")
    bone_weights: str = Field("", description="model card of the generator; empty: the shipped one")
    lung_source: LungSource = Field("stage", description="true: the set's own lung mask")
    without: Literal["", "x-ray", "lung-segmented", "bone-subtracted", "lateral"] = Field(
        "", description="an input to leave out of the configuration"
    )
    lateral_dropout: float = Field(
        0.3, ge=0, lt=1, description="share of laterals hidden from the shared blocks"
    )
    map_stride: int = Field(
        8,
        ge=8,
        le=16,
        multiple_of=8,
        description="pixels of the input for a cell of the maps; 16 is published",
    )
    pooling: Pooling = Field("lse", description="how a branch's map becomes its logit: soft maximum or mean")
    fuse_branches: bool = Field(True, description="the branches' logits count in the final one")
    branch_weight: float = Field(
        0.4, ge=0, description="weight of the branch heads' loss beside the main head's"
    )
    map_weight: float = Field(
        1.0, ge=0, description="weight of the maps' loss where the truth is known; 0: image labels alone"
    )
    map_balance: float = Field(
        0.75, ge=0, le=1, description="how far rare cells are weighted up; 1: to equality"
    )
    uncertain: str = Field("ignore", description="policy for uncertain labels: POLICY, CODE:POLICY, ...")
    class_weighting: Literal["none", "sqrt", "balanced"] = Field("none", description="of rare findings")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    triage_weights: str = Field(
        "", description="model card of the triage network to start from; empty: from scratch"
    )
    imagenet_weights: str = Field("", description="timm's densenet121 as a safetensors file, to start from")
    start_from: str = Field("", description="model card of a diagnosis network to go on from")


class DiagnosisTask(Task):
    """Learns from any set with labels, with the lung mask and bone image that the installed stages make.

    ``films`` are studies that were decoded before, as the runs of an ablation share them.
    """

    name = "diagnosis"
    recipe_type: ClassVar[type[Recipe]] = DiagnosisRecipe
    datasets = tuple(kind.name for kind in KINDS)
    initial_weights = ("triage_weights", "imagenet_weights", "start_from")
    companion_weights = ("bone_weights",)
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
        self._sets = self._learned_sets()
        self._input_weights = input_weights(self.film_settings(), self.planes)
        self._given = films
        self._decoded: dict[tuple[str, ...], StudyFilms] = {}
        self._positive_weight: Tensor | None = None
        self._steps = 0
        self._losses: dict[str, float] = {}

    def _learned_sets(self) -> tuple[str, ...]:
        names = tuple(name.strip() for name in self.recipe.learn_from.split(",") if name.strip())
        names = ("nih", "phantom") if names == ("both",) else names or tuple(sorted(self.data))
        for name in names:
            if name not in self.data:
                raise RecipeError(
                    f"recipe diagnosis learns from {name}, which is not given; add --data {name}=DIR."
                )
        return names

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
        return self._sets

    def describe(self) -> dict[str, Any]:
        positives = self._positives()
        trained = trained_heads(positives)
        computed = [code for code in trained if is_computed_only(positives[code])]
        films = len(self.part("train"))
        laterals = sum(record.lateral is not None for record in self.part("train"))
        reads_lateral = bool(self.architecture()["lateral"] and laterals >= MIN_TRAINING_POSITIVES)
        computed_laterals = reads_lateral and all(
            record.lateral is None for name in self._sets if not is_computed(name)
            for record in self._part_of(name, "train")
        )  # fmt: skip
        licences = {kind.name: kind.licence for kind in KINDS}
        return {
            "title": "13 findings on chest radiographs, with heatmaps",
            "intended_use": "Suggestions for a radiologist to accept or reject, for research.",
            "limits": f"Learned from {films} studies of {', '.join(self._sets)}; not trained: "
            + (", ".join(code for code in CODES if code not in trained) or "none")
            + (f"; learned from computed films only: {', '.join(computed)}" if computed else "")
            + ". Heatmaps show what the branch looked at, not outlines."
            + (" Laterals were learned from computed films alone." if computed_laterals else ""),
            "licence": "research use only: "
            + "; ".join(f"{name}: {licences.get(name, 'see its source')}" for name in self._sets),
            "sources": [
                "Avramescu et al. (network)",
                "Huang et al. 2017 (DenseNet)",
                "Wang et al. 2017 (ChestX-ray14)",
            ],
            "views": {
                "frontal": {"trained": True, "studies": films},
                "lateral": {"trained": reads_lateral, "studies": laterals},
            },
            "planes": list(self.planes),
            "input_weights": self._input_weights,
        }

    def optimizers(self) -> dict[str, Optimizer]:
        network = self.modules["model"]
        groups = decay_groups(network, self.recipe.weight_decay)
        fused = next(network.parameters()).device.type == "cuda"
        return {"model": AdamW(groups, lr=self.recipe.learning_rate, fused=fused)}

    # data

    def part(self, name: SplitName) -> tuple[Record, ...]:
        """Chest studies of one part of all sets that are learned from."""
        records = tuple(record for each in self._sets for record in self._part_of(each, name))
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        records = self.data[dataset].split(self.recipe.split_seed, FRACTIONS)[name]
        return tuple(record for record in records if record.attributes.get("part", "chest") == "chest")

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
        if not self.part("test"):  # said before anything is trained
            raise DatasetError(f"the test part of {', '.join(self._sets)} has no film; give more patients.")
        records = self.part("train")
        device = next(self.modules["model"].parameters()).device
        labels = torch.tensor([record.labels for record in records]).reshape(-1, len(CODES))
        weights = class_weights(labels, self.recipe.class_weighting)
        self._positive_weight = None if weights is None else weights.to(device)
        self._training_films = self.films(records, device)
        laterals = [record.lateral is not None for record in records]
        self._every_lateral, self._any_lateral = all(laterals), any(laterals)  # the GPU need not be asked
        return RowSet(self._training_films.rows_of(records), self.recipe.passes)

    def _positives(self) -> dict[str, dict[str, int]]:
        """Positive training studies by code and set."""
        left = len(self.part("train"))
        by_set = {}
        for name in self._sets:
            own = self._part_of(name, "train")[:left]
            left -= len(own)
            labels = np.array([record.labels for record in own]).reshape(-1, len(CODES))
            by_set[name] = np.nansum(labels, axis=0)
        return {code: {name: int(sums[i]) for name, sums in by_set.items()} for i, code in enumerate(CODES)}

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
            self._losses = {name: float(value.detach()) for name, value in parts.items()}
        self._steps += 1
        return self._losses

    def losses(self, output: DiagnosisOutput, studies: StudyBatch) -> dict[str, Tensor]:
        """The weighted parts of the loss by name."""
        recipe = self.recipe
        known = studies.labels
        targets = smooth(self.policy.targets(known, studies.uncertain), recipe.label_smoothing)
        parts = {"main": masked_bce(output.logits, targets, self._positive_weight)}
        if output.uncertain is not None:
            parts["main"] = self._with_third_class(output, studies, targets)
        branches = [(output.frontal_logits, targets, output.frontal_maps, studies.masks)]
        if output.lateral_maps is not None and output.lateral_logits is not None:
            own = targets.masked_fill(~studies.has_lateral[:, None], math.nan)
            branches.append((output.lateral_logits, own, output.lateral_maps, studies.lateral_masks))
        if recipe.branch_weight:
            each = [masked_bce(logits, own, self._positive_weight) for logits, own, _, _ in branches]
            parts["branch"] = recipe.branch_weight * torch.stack(each).mean()
        if recipe.map_weight:
            parts["map"] = recipe.map_weight * self._map_loss(branches, studies)
        return parts

    def _with_third_class(self, output: DiagnosisOutput, studies: StudyBatch, targets: Tensor) -> Tensor:
        """The main loss where some findings have three classes."""
        three = self.policy.where("multiclass", targets)
        two = masked_bce(output.logits, targets.masked_fill(three, math.nan), self._positive_weight)
        assert output.uncertain is not None  # the network was built for the policy
        labels = studies.labels.masked_fill(~three, math.nan)
        return two + multiclass_loss(output.logits, output.uncertain, labels, studies.uncertain & three)

    def _map_loss(self, branches: Sequence[tuple[Tensor, ...]], studies: StudyBatch) -> Tensor:
        each = []
        for view, (_, _, maps, masks) in enumerate(branches):
            with_truth = studies.has_masks if view == 0 else studies.has_masks & studies.has_lateral
            cells = map_targets(masks, (maps.shape[-2], maps.shape[-1]))
            each.append(map_loss(maps.float(), cells, studies.labels, with_truth, self.recipe.map_balance))
        return torch.stack(each).mean()

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
        """AUC of each finding with its interval, by data set where there are several.

        On the validation part the mean alone. On the test part also the calibration of each head, fitted on
        the validation part, and of a finished network what its card's own calibrations give; and where the
        place of a finding is known how well the frontal heatmaps point at it.
        """
        predictions = {
            name: self.predict(
                model, self._part_of(name, split), keep_maps=split == "test", compare_lateral=split == "test"
            )
            for name in self._sets
        }
        if split != "test":
            return Evaluation(_mean_auc([_aucs(each, None) for each in predictions.values()]))
        rng = np.random.default_rng(self.recipe.seed)
        by_dataset = {
            name: {**_aucs(each, rng), **self._localisation(each, rng)} for name, each in predictions.items()
        }
        figures = _mean_auc(list(by_dataset.values()))
        figures |= _without_lateral(list(predictions.values()))
        for name, own in by_dataset.items():
            prefix = f"{name}_" if len(by_dataset) > 1 else ""
            figures |= {f"{prefix}{key}": figure for key, figure in own.items()}
        figures |= self._shown(predictions, rng)
        unlearned = unlearned_heads(predictions, by_dataset)
        calibrations = replace(self._calibrations(model, predictions), unlearned=unlearned)
        whole = _joined(list(predictions.values()))
        rows = [
            {
                "film": record.id,
                "patient": record.patient_id,
                **dict(zip(CODES, map(float, row), strict=True)),
            }
            for record, row in zip(whole.records, whole.scores, strict=True)
        ]
        curves = {code: (whole.truth[:, i], whole.scores[:, i]) for i, code in enumerate(CODES)}
        notes = ["Held-out patients; scores are logits."]
        if unlearned:
            names = ", ".join(sorted(unlearned))
            notes.append(f"Not learned, though there was enough to learn from, and not shown: {names}.")
        return Evaluation(
            {**figures, **calibrations.figures(rng)},
            rows,
            notes,
            {"heads": calibrations.heads()},
            curves,
            pictures=calibrations.pictures(),
            by_dataset=by_dataset,
        )

    def _shown(self, measured: Mapping[str, Predictions], rng: np.random.Generator) -> dict[str, Figure]:
        """What the measured card's calibrations give; nothing where its stage would withdraw them."""
        card = self.measured_card or {}
        stated = card.get("input_weights") or {}
        if any(self._input_weights.get(name) != sha256 for name, sha256 in stated.items()):
            return {}
        found: dict[str, Figure] = {}
        for name, each in measured.items() if card else ():
            found |= figures_by_card(card["heads"], name, each, rng)
        return found

    def _localisation(self, predictions: Predictions, rng: np.random.Generator) -> dict[str, Figure]:
        """Figures of ``classifiers.localisation`` for the findings whose place the records know."""
        if predictions.maps is None:
            return {}
        located = [
            LocatedMap.of(record, code, self._heatmap(predictions, row, code))
            for row, record in enumerate(predictions.records)
            for code in known_places(record)
        ]
        rows = located_rows(each for each in located if each.outline.any())
        return localisation_figures(rows, rng) if rows else {}

    def _heatmap(self, predictions: Predictions, row: int, code: str) -> Heatmap:
        assert predictions.maps is not None  # asked for by the caller
        values = heatmap_from(torch.from_numpy(predictions.maps[row, CODES.index(code)])).numpy()
        rows, columns = predictions.shapes[row]
        return framed_heatmap("frontal", values, (int(rows), int(columns)), self.recipe.size)

    def _calibrations(self, model: nn.Module, measured: Mapping[str, Predictions]) -> HeadCalibrations:
        """Each head's calibrations: set by set, fitted on the validation part, judged on the test part."""
        real_first = sorted(self._sets, key=is_computed)
        positives = self._positives()
        trained = trained_heads(positives)
        each = [
            SetCalibration.of(
                name, self.predict(model, self._part_of(name, "validation")), measured[name], trained
            )
            for name in real_first
        ]
        return HeadCalibrations(positives, each)


def _aucs(predictions: Predictions, rng: np.random.Generator | None) -> dict[str, Figure]:
    """``auc_CODE``; without ``rng`` no intervals."""
    owners = [record.patient_id for record in predictions.records]
    truth, scores = predictions.truth, predictions.scores
    if rng is None:
        return {
            f"auc_{code}": Figure(auc(truth[:, i], scores[:, i]), n=int((~np.isnan(truth[:, i])).sum()))
            for i, code in enumerate(CODES)
        }
    return {f"auc_{code}": auc_figure(truth[:, i], scores[:, i], owners, rng) for i, code in enumerate(CODES)}


def _mean_auc(of_sets: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """The mean over findings, then over sets; n counts the findings."""
    values = [
        [
            figure.value
            for key, figure in own.items()
            if key.startswith("auc_") and not math.isnan(figure.value)
        ]
        for own in of_sets
    ]
    means = [float(np.mean(own)) for own in values if own]
    return {"mean_auc": Figure(float(np.mean(means)) if means else math.nan, n=max(map(len, values)))}


def _without_lateral(of_sets: Sequence[Predictions]) -> dict[str, Figure]:
    """What the mean would be had no study its lateral; nothing where none has one."""
    known = [each for each in of_sets if not np.isnan(each.lateral_effect).all()]
    alone = [replace(each, scores=each.scores - np.nan_to_num(each.lateral_effect)) for each in known]
    if not alone:
        return {}
    with_it = _mean_auc([_aucs(each, None) for each in known])["mean_auc"]
    without = _mean_auc([_aucs(each, None) for each in alone])["mean_auc"]
    return {"mean_auc_of_sets_with_laterals": with_it, "mean_auc_without_laterals": without}


def _joined(parts: Sequence[Predictions]) -> Predictions:
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("truth", "scores", "hits", "areas", "lateral_effect", "shapes")
    }
    return Predictions(tuple(record for part in parts for record in part.records), **columns, maps=None)
