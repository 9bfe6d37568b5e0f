"""Training of the organ networks: cross-entropy and Dice, exclusive or multi-label, AdaDelta or AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.optim import Adadelta, AdamW, Optimizer
from torch.utils.data import Dataset

from segmentation.companions import companion
from segmentation.dealing import Dealt
from segmentation.films import check_measured, filled, framed_planes, over_films
from segmentation.organs.augmentation import AUGMENTATIONS, Strength
from segmentation.organs.evaluation import (
    NOTES,
    OVERLAPS,
    agreement,
    change_figures,
    changed,
    film_row,
    overlap_figures,
    validated,
)
from segmentation.organs.loss import organ_loss
from segmentation.organs.network import NetworkName, OrganNetwork
from segmentation.organs.outlines import PLANES, Outputs
from segmentation.organs.stage import outline
from segmentation.terms import licence
from segmentation.test_time import AS_IT_IS, NOTE, UNMIRRORED, Variant
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.outlines import organ_planes, with_organs
from suite.datasets.registry import citations_of
from suite.errors import RecipeError
from suite.stages.weights import load_into, read_card
from suite.study import FloatImage, Mask
from suite.training.bank import Bank
from suite.training.batch_augment import warp
from suite.training.cross_table import figures_by_dataset
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import check_aspect, load_film
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.recipe import Recipe
from suite.training.task import Batch, Task

SETS = ("jsrt", "scr", "phantom")
PUBLISHED_IN: dict[NetworkName, str] = {
    "report": "Aubret, Sharma and Cabrera Gil 2019 (network)",
    "novikov": "Novikov et al. 2018 (network)",
    "unet": "Ronneberger et al. 2015 (network)",
}
_RATES = {"adadelta": 1.0, "adamw": 3e-3}


class OrgansRecipe(Recipe):
    """Defaults are made for a minute on a GPU; the card of shipped weights holds the recipe they came from.

    The report's own training is ``network=report width=1 outputs=exclusive optimizer=adadelta size=128
    batch_size=32 augmentation=light``; Novikov's is ``network=novikov`` at 128 or 256.
    """

    network: NetworkName = Field("unet", description="InvertedNet in two forms, or the U-Net beside them")
    width: float = Field(
        0.25, ge=1 / 64, le=2, description="factor on its widths; 1 is the published network"
    )
    outputs: Outputs = Field(
        "multilabel", description="organs may overlap, or one a pixel with clavicle over heart over lung"
    )
    size: int = Field(256, ge=32, le=1024, multiple_of=16)
    epochs: int = Field(24, ge=1)
    films_per_epoch: int = Field(2048, ge=0, description="films shown in an epoch; 0: as many as there are")
    batch_size: int = Field(8, ge=1)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    validate_every: int = Field(4, ge=1)
    optimizer: Literal["adadelta", "adamw"] = "adamw"
    learning_rate: float = Field(
        0.0, ge=0, description="0 is the optimiser's own: AdaDelta 1 (constant, as in Keras), AdamW 0.003"
    )
    augmentation: Strength = Field(
        "heavy", description="other machines' films, or one machine's; neither mirrors"
    )
    learn_from: Literal["jsrt", "scr", "phantom", "both"] = Field(
        "jsrt", description="whose films are learned from; both: jsrt and phantom"
    )
    tta: bool = Field(
        False,
        description="measure with test-time augmentation, and how much it changes; no weight depends on it",
    )
    start_from: str = Field(
        "",
        description="weights of this recipe to go on from, beside their card: finer, or on own films",
    )


class OrgansTask(Task):
    """Learns from ``jsrt``, ``scr``, ``phantom`` or two of them; others given are measured on.

    Films are never mirrored, though the report's were, in both directions: a mirrored chest has its heart on
    the right, and nothing else would then tell the right lung and clavicle from the left.
    """

    name = "organs"
    recipe_type: ClassVar[type[Recipe]] = OrgansRecipe
    datasets = SETS
    initial_weights = ("start_from",)
    measuring = ("tta",)
    monitor = ("jaccard", "max")
    recipe: OrgansRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        if {"jsrt", "scr"} <= data.keys():
            raise RecipeError(
                "data sets jsrt and scr hold the same films, so give recipe organs one of them."
            )
        if self.recipe.start_from:
            companion("start_from", self.recipe.start_from, self.name)
        self._banks: dict[SplitName, Bank] = {}
        self._dealt: Dealt | None = None

    def build(self) -> None:
        network = OrganNetwork(**self.architecture())
        if self.recipe.start_from:
            load_into(network, read_card(Path(self.recipe.start_from).with_suffix(".json")))
        self.modules["model"] = network

    def start_epoch(self, epoch: int) -> None:
        if self._dealt is not None:
            self._dealt.deal(epoch)

    def architecture(self) -> dict[str, Any]:
        recipe = self.recipe
        return {"network": recipe.network, "outputs": PLANES[recipe.outputs], "width": recipe.width}

    def describe(self) -> dict[str, Any]:
        return {
            "title": "Lungs, heart and clavicles on frontal chest radiographs",
            "intended_use": "Outlines and the cardiothoracic ratio of PA films, for research.",
            "limits": f"{self._films_learned_from()} Clavicles are outlined where they lie over or beside "
            "the lungs. The ratio holds for straight PA films in deep inspiration.",
            "licence": licence(self.learned_from(), self.recipe.start_from),
            "sources": [PUBLISHED_IN[self.recipe.network], *citations_of(self.learned_from())],
        }

    def _films_learned_from(self) -> str:
        """The beginning of the card's limits."""
        if self.learned_from() == ("phantom",) and not self.recipe.start_from:
            return "Learned from computed films, no patient's among them."
        return "Learned from erect PA films of adults."

    def optimizers(self) -> dict[str, Optimizer]:
        recipe = self.recipe
        parameters = self.modules["model"].parameters()
        rate = recipe.learning_rate or _RATES[recipe.optimizer]
        if recipe.optimizer == "adadelta":
            return {"model": Adadelta(parameters, lr=rate, rho=0.95, eps=1e-7)}
        return {"model": AdamW(parameters, lr=rate, weight_decay=recipe.weight_decay)}

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        """AdaDelta finds its own step sizes: its rate stays."""
        if self.recipe.optimizer == "adadelta":
            return 1.0
        return super().learning_rate_factor(name, step, total)

    def training_set(self) -> Dataset[Batch]:
        bank = self._bank("train")
        test = tuple(chain(*self._test_films().values()))
        check_measured({"validation": self._learned("validation"), "test": test}, self.data, organ_planes)
        self._dealt = Dealt([range(len(bank))], [1.0], self.recipe.films_per_epoch, self.recipe.seed)
        return self._dealt

    def _bank(self, name: SplitName) -> Bank:
        """The films of a part and their organs on the network's input, decoded once."""
        if name not in self._banks:
            read = partial(framed_planes, size=self.recipe.size, masks=organ_planes)
            self._banks[name] = Bank.decode(self._learned(name), read)
        return self._banks[name]

    def _learned(self, name: SplitName) -> tuple[Record, ...]:
        """The part of all sets that are learned from."""
        records = tuple(record for each in self.learned_from() for record in self._part_of(each, name))
        return records[: self.recipe.limit] if self.recipe.limit and name == "train" else records

    def _test_films(self) -> dict[str, tuple[Record, ...]]:
        """The test part of each data set that is given, learned from or not."""
        return {name: self._part_of(name, "test") for name in SETS if name in self.data}

    def _part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        if dataset not in self.data:
            given = next(name for name in SETS if name in self.data)
            raise RecipeError(
                f"recipe organs learns from {dataset}, which is not given; add --data {dataset}=DIR or "
                f"--set learn_from={given}."
            )
        return with_organs(self.data[dataset]).split(self.recipe.split_seed)[name]

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        shown = self._bank("train").to(fabric.device).gather(batch["index"])
        changes = AUGMENTATIONS[self.recipe.augmentation]
        grid = changes.geometry.grid(shown["film"])
        film = changes.appearance(warp(shown["film"], grid)).contiguous(memory_format=torch.channels_last)
        organs = warp(shown["mask"], grid, nearest=True)
        loss = organ_loss(wrapped["model"](film), organs, self.recipe.outputs)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Validation: Jaccard on the network's own grid. Test: on the outlines' matrix, and the ratio."""
        if split != "test":
            return validated(model, self._bank(split), self.recipe.outputs)
        films = self._test_films()
        filled(tuple(chain(*films.values())), "test", films)
        rng = np.random.default_rng(self.recipe.seed)
        figures: dict[str, Figure] = {}
        every: list[dict[str, Any]] = []
        gallery: list[GalleryFilm] = []
        for dataset, records in films.items():
            measured = over_films(partial(self._row, model), records)
            rows = [{**each, "dataset": dataset} for each in measured]
            prefix = f"{dataset}_" if every else ""
            figures |= overlap_figures(rows, prefix, rng) | agreement(rows, prefix, rng)
            figures |= change_figures(rows, prefix, rng)
            gallery += [
                GalleryFilm(f"{dataset} {record.id}", row["jaccard"], partial(self._overlay, model, record))
                for record, row in zip(records, rows, strict=True)
            ]
            every += rows
        return Evaluation(
            figures,
            every,
            (*NOTES, NOTE) if self.recipe.tta else NOTES,
            {"outputs": self.recipe.outputs},
            spread=OVERLAPS,
            gallery=gallery,
            by_dataset=figures_by_dataset(every, ("jaccard", *OVERLAPS), rng),
        )

    def learned_from(self) -> tuple[str, ...]:
        choice = self.recipe.learn_from
        return ("jsrt", "phantom") if choice == "both" else (choice,)

    @property
    def _ways(self) -> tuple[Variant, ...]:
        return UNMIRRORED if self.recipe.tta else (AS_IT_IS,)

    def _predict(self, model: nn.Module, pixels: FloatImage, truth: Mask, ways: tuple[Variant, ...]) -> Mask:
        shape = (int(truth.shape[1]), int(truth.shape[2]))
        return outline(model, pixels, self.recipe.size, self.recipe.outputs, shape, ways)[0]

    def _row(self, model: nn.Module, record: Record) -> dict[str, Any]:
        pixels, planes = load_film(record.frontal), organ_planes(record)
        check_aspect(planes, pixels.shape, record)
        truth = np.moveaxis(planes, -1, 0)
        found = film_row(record, self._predict(model, pixels, truth, self._ways), truth)
        if not self.recipe.tta:
            return found
        once = film_row(record, self._predict(model, pixels, truth, (AS_IT_IS,)), truth)
        return found | changed(found, once)

    def _overlay(self, model: nn.Module, record: Record) -> Overlay:
        truth, pixels = organ_planes(record), load_film(record.frontal)
        predicted = self._predict(model, pixels, np.moveaxis(truth, -1, 0), self._ways)
        return Overlay(pixels, truth, np.moveaxis(predicted, 0, -1))
