"""Training of the lung network: real and computed films together, made to look like other people's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import Dataset

from segmentation.companions import companion
from segmentation.dealing import Dealt
from segmentation.films import check_measured, filled
from segmentation.lungs.agreement import agreement_loss, ramp, told
from segmentation.lungs.appearance import placed, published
from segmentation.lungs.evaluation import measured_on, validated
from segmentation.lungs.loss import lung_loss
from segmentation.lungs.network import PLANES, VISIBLE, VGG16UNet, load_imagenet_encoder, load_trained
from segmentation.lungs.truth import film_bank, lung_bank
from segmentation.terms import licence
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.outlines import has_lungs, lung_union, with_lungs, with_sides
from suite.datasets.registry import citations_of
from suite.errors import RecipeError
from suite.stages.weights import read_card
from suite.training.bank import Bank
from suite.training.batch_augment import warp
from suite.training.evaluation import Evaluation
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

TOGETHER = ("shenzhen",)
"""Sets whose outlines do not tell the sides apart: what right and left claim together is compared."""

LEARNED = ("jsrt", "scr", "montgomery", "phantom", *TOGETHER)
"""Sets with outlines. ``covid-lungs`` checks films from elsewhere: it is never learned from."""

ERECT_ADULTS = "Real films that were learned from are erect PA films of adults"

NO_PATIENTS = "Learned from computed films, no patient's among them"

SOME_CHILDREN = "Real films that were learned from are of adults, PA, and of few children, some AP"
"""With Shenzhen's films among them."""

UNLABELLED = "nih"
"""Real films without outlines, which the network has to agree with itself on."""

_SETS = "|".join(LEARNED)


class LungsRecipe(Recipe):
    """Defaults are made for a minute on a GPU; the card of shipped weights holds the recipe they had."""

    size: int = Field(320, ge=64, le=1024, multiple_of=16)
    epochs: int = Field(24, ge=1)
    batch_size: int = Field(32, ge=1)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    validate_every: int = Field(4, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    width: float = Field(
        0.25, ge=1 / 64, le=2, description="factor on VGG16's channels; 1 is the published network"
    )
    whole: bool = Field(
        False,
        description="learn the whole lungs too, with what heart and diaphragm hide",
    )
    learn_from: str = Field(
        "",
        pattern=rf"^(({_SETS})(,({_SETS}))*)?$",
        description=f"those of {','.join(LEARNED)} whose films are learned from, with commas between; others "
        "are measured on; empty: all that are given",
    )
    computed_share: float = Field(
        0.5, ge=0, le=1, description="share of computed films in what is learned from, where there are others"
    )
    films_per_epoch: int = Field(2048, ge=0, description="films shown in an epoch; 0: as many as there are")
    agreement: float = Field(
        0.5, ge=0, description=f"weight of agreement on films without outlines, where {UNLABELLED} is given"
    )
    tta: bool = Field(
        False,
        description="measure with test-time augmentation, and how much it changes; no weight depends on it",
    )
    start_from: str = Field(
        "", description="weights of this recipe to go on from, beside their card; two planes will do"
    )
    encoder_weights: str = Field("", description="safetensors file of an ImageNet vgg16_bn; width 1 only")


class LungsTask(Task):
    """Learns from the sets of ``learn_from``, or all given that it can; others are measured on."""

    name = "lungs"
    recipe_type: ClassVar[type[Recipe]] = LungsRecipe
    datasets = (*LEARNED, "covid-lungs", UNLABELLED)
    initial_weights = ("start_from", "encoder_weights")
    measuring = ("tta",)
    monitor = ("dice", "max")
    recipe: LungsRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        if {"jsrt", "scr"} <= data.keys():
            raise RecipeError(
                f"data sets jsrt and scr hold the same films, so give recipe {self.name} one of them."
            )
        if self.recipe.start_from:
            companion("start_from", self.recipe.start_from, "lungs", "whole-lungs")
        self._banks: dict[SplitName, Bank] = {}
        self._dealt: Dealt | None = None
        self._unlabelled: Bank | None = None
        self._progress = 0.0

    def build(self) -> None:
        network = VGG16UNet(**self.architecture())
        if self.recipe.start_from:
            load_trained(network, read_card(Path(self.recipe.start_from).with_suffix(".json")))
        if self.recipe.encoder_weights:
            load_imagenet_encoder(network, Path(self.recipe.encoder_weights))
        self.modules["model"] = network

    def architecture(self) -> dict[str, Any]:
        planes = len(PLANES) if self.recipe.whole else len(VISIBLE)
        return {"planes": planes, "width": self.recipe.width}

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Lung fields on frontal chest radiographs",
            "intended_use": "Right and left visible lung field of PA and AP films, for research.",
            "limits": self.films_learned_from() + "; lungs hidden by opacity may be cut short.",
            "licence": licence(self._shown(), self.recipe.start_from),
            "sources": ["Frid-Adar et al. 2018 (network)", *citations_of(self._shown())],
        }

    def films_learned_from(self) -> str:
        """The beginning of the card's limits: of whom the real films are."""
        if set(self.learned_from()) <= {"phantom"} and not self.recipe.start_from:
            return NO_PATIENTS
        return SOME_CHILDREN if "shenzhen" in self.learned_from() else ERECT_ADULTS

    def _shown(self) -> tuple[str, ...]:
        """The sets whose films the network saw in training, with outlines or without."""
        unlabelled = (UNLABELLED,) if self.recipe.agreement and UNLABELLED in self.data else ()
        return (*self.learned_from(), *unlabelled)

    def optimizers(self) -> dict[str, Optimizer]:
        parameters = self.modules["model"].parameters()
        return {
            "model": AdamW(parameters, lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay)
        }

    def training_set(self) -> Dataset[Batch]:
        if not self.learned_from():
            raise RecipeError(
                f"recipe {self.name} learns from {', '.join(LEARNED)}; add --data NAME=DIR with one of them."
            )
        if set(self.learned_from()) <= set(TOGETHER):
            names = ", ".join(self.learned_from())
            raise RecipeError(
                f"outlines of {names} do not tell right from left; learn from a set that does, too."
            )
        records = self._learned("train")
        self._bank("train")
        test = tuple(chain(*self._test_films().values()))
        check_measured({"validation": self._learned("validation"), "test": test}, self.data, lung_union)
        computed = (
            {id(record) for record in self._part_of("phantom", "train")} if self._has_computed else set()
        )
        groups: list[list[int]] = [[], []]
        for index, record in enumerate(records):
            groups[id(record) in computed].append(index)
        share = self.recipe.computed_share
        if self.recipe.agreement and UNLABELLED in self.data:
            self._unlabelled = film_bank(self.data[UNLABELLED].records, self.recipe.size)
        self._dealt = Dealt(groups, (1 - share, share), self.recipe.films_per_epoch, self.recipe.seed)
        return self._dealt

    def _bank(self, name: SplitName) -> Bank:
        """The films of a part that are learned from, decoded once."""
        if name not in self._banks:
            self._banks[name] = lung_bank(self._learned(name), self.recipe.size)
        return self._banks[name]

    @property
    def _has_computed(self) -> bool:
        return "phantom" in self.learned_from()

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        self._progress = step / total
        return super().learning_rate_factor(name, step, total)

    def start_epoch(self, epoch: int) -> None:
        if self._dealt is not None:
            self._dealt.deal(epoch)

    def _learned(self, name: SplitName) -> tuple[Record, ...]:
        """The part of all sets that are learned from."""
        records = tuple(record for each in self.learned_from() for record in self._part_of(each, name))
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        if dataset not in self.data:
            raise RecipeError(
                f"recipe {self.name} learns from {dataset}, which is not given; add --data {dataset}=DIR or "
                "name what is given in --set learn_from."
            )
        outlined = with_lungs if dataset in TOGETHER else with_sides
        return outlined(self.data[dataset]).split(self.recipe.split_seed)[name]

    def learned_from(self) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(filter(None, self.recipe.learn_from.split(","))))
        return named or tuple(name for name in LEARNED if name in self.data)

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        shown = self._bank("train").to(fabric.device).gather(batch["index"])
        grid = placed(shown["film"])
        film, seen = published(warp(shown["film"], grid))
        planes = warp(shown["mask"], grid, nearest=True) * seen
        logits = wrapped["model"](film.contiguous(memory_format=torch.channels_last))
        kept = logits.shape[1]
        loss = lung_loss(logits, planes[:, :kept], shown["known"][:, :kept])
        weight = self.recipe.agreement * ramp(self._progress)
        if weight and self._unlabelled is not None:
            loss = loss + weight * self._disagreement(wrapped["model"], self._unlabelled, len(film) // 2)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def _disagreement(self, model: nn.Module, bank: Bank, count: int) -> torch.Tensor:
        """``agreement_loss`` on ``count`` films without outlines, at least two, drawn by chance."""
        device = next(model.parameters()).device
        drawn = torch.randint(len(bank), (max(2, count),), device=device)
        plain = bank.to(device).gather(drawn)["film"].contiguous(memory_format=torch.channels_last)
        grid = placed(plain)
        film, seen = published(warp(plain, grid))
        logits = model(film.contiguous(memory_format=torch.channels_last))
        return agreement_loss(logits, told(model, plain), grid, seen)

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Validation: Dice on the network's own grid. Test: every set at its films' own resolution."""
        if split != "test":
            return validated(model, self._bank(split))
        recipe, films = self.recipe, self._test_films()
        filled(tuple(chain(*films.values())), "test", self.data)
        return measured_on(model, recipe.size, films, recipe.seed, tta=recipe.tta)

    def _test_films(self) -> dict[str, tuple[Record, ...]]:
        """The test parts of sets that can be learned from; of the others every outlined film."""
        given = [name for name in self.datasets if name in self.data and name != UNLABELLED]
        films = {name: tuple(filter(has_lungs, self.data[name])) for name in given if name not in LEARNED}
        return {name: self._part_of(name, "test") for name in given if name in LEARNED} | films
