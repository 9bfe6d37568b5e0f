"""Training of the tissue networks: cross-entropy on films drawn equally often from every body part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset

from segmentation.companions import companion
from segmentation.dealing import Dealt
from segmentation.films import check_measured, framed_planes
from segmentation.terms import licence
from segmentation.tissues import calibration, plots
from segmentation.tissues.augmentation import placed, processed
from segmentation.tissues.evaluation import (
    NOTES,
    PUBLISHED,
    Films,
    differences,
    figures,
    film_rows,
    gallery,
    measure,
    soft_tissue_control,
    validated,
)
from segmentation.tissues.network import CLASSES, FILTERS, NetworkName, tissue_network
from segmentation.tissues.parts import at_most, part_of, split_by_part
from segmentation.tissues.thresholds import soft_thresholds
from segmentation.tissues.truth import TARGETS, tissue_classes
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import citations_of
from suite.errors import RecipeError
from suite.stages.weights import rebuild
from suite.training.bank import Bank
from suite.training.batch_augment import warp
from suite.training.evaluation import Evaluation, Figure
from suite.training.recipe import Recipe
from suite.training.schedule import learning_rate_factor
from suite.training.task import Batch, Task

PUBLISHED_IN: dict[NetworkName, str] = {
    "xnet": "Bullock et al. 2019 (network and training)",
    "segnet": "Badrinarayanan et al. 2015 (network, as Bullock et al. 2019 have it)",
    "unet": "Ronneberger et al. 2015 (network)",
}


class TissuesRecipe(Recipe):
    """Defaults are the recipe of the shipped weights: the published network, trained for a minute on a GPU.

    The paper's own training is ``batch_size=5 learning_rate=1e-4 schedule=constant images_per_part=500
    epochs=200``: the other defaults (Adam, kernel 3, L2 5e-4, films of 200 x 200, patience 20 on the
    validation loss) are its own.
    """

    network: NetworkName = Field("xnet", description="XNet, SegNet-Basic or U-Net")
    width: float = Field(
        1.0, ge=1 / 64, le=2, description="factor on the channels; 1 is the published network"
    )
    filters: str = Field(
        "",
        pattern=r"^(\d+(,\d+)*)?$",
        description="channels of each level, as 64,128,256,512; overrides width",
    )
    kernel: int = Field(3, ge=1, le=15, description="side of the convolutions; odd")
    size: int = Field(200, ge=32, le=1024, multiple_of=8)
    epochs: int = Field(7, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["cosine", "constant"] = Field("cosine", description="of the learning rate")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on every convolution's kernel")
    images_per_part: int = Field(450, ge=1, description="augmented films of each body part in an epoch")
    films_per_part: int = Field(
        160,
        ge=0,
        description="films of each body part that are used at all; 0: every one",
    )
    validate_every: int = Field(1, ge=1)
    patience: int = Field(20, ge=0)
    soft_precision: float = Field(
        0.95, gt=0, le=1, description="precision of soft tissue its thresholds aim at, body part by body part"
    )
    segnet_weights: str = Field("", description="trained SegNet-Basic to compare with on the test films")
    unet_weights: str = Field("", description="trained U-Net to compare with on the test films")


class TissuesTask(Task):
    """Learns from ``phantom`` cohorts with limbs, from films with painted masks, or from both."""

    name = "tissues"
    recipe_type: ClassVar[type[Recipe]] = TissuesRecipe
    datasets = tuple(TARGETS)
    companion_weights = ("segnet_weights", "unet_weights")
    monitor = ("loss", "min")
    recipe: TissuesRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, {name: each.with_target(TARGETS[name]) for name, each in data.items()})
        with torch.device("meta"):
            tissue_network(**self.architecture())  # refuses filters and kernels that cannot be
        self._splits = {
            name: split_by_part(at_most(each, self.recipe.films_per_part), self.recipe.split_seed)
            for name, each in self.data.items()
        }
        self._banks: dict[SplitName, Bank] = {}
        self._dealt: Dealt | None = None
        self._rivals = {
            network: companion(f"{network}_weights", file, self.name, network=network)
            for network in ("segnet", "unet")
            if (file := getattr(recipe, f"{network}_weights"))
        }

    def build(self) -> None:
        self.modules["model"] = tissue_network(**self.architecture())

    def architecture(self) -> dict[str, Any]:
        network = self.recipe.network
        filters = [int(count) for count in self.recipe.filters.split(",") if count]
        scaled = [max(1, round(self.recipe.width * count)) for count in FILTERS[network]]
        return {"network": network, "filters": filters or scaled, "kernel": self.recipe.kernel}

    def describe(self) -> dict[str, Any]:
        films = (
            "computed films, no patient's among them"
            if tuple(self.data) == ("phantom",)
            else " and ".join(self.learned_from()) + " films"
        )
        return {
            "title": "Open beam, soft tissue and bone on radiographs of any body part",
            "intended_use": "Tissue maps for image processing (scatter, contrast) and for research.",
            "limits": f"Learned from {films}, and measured on the same kind; thin overlapping bones such as "
            f"ribs are coarse at {self.recipe.size} x {self.recipe.size}, and white shutters of real films "
            "are taken for bone.",
            "licence": licence(self.learned_from()),
            "sources": [PUBLISHED_IN[self.recipe.network], *citations_of(self.learned_from())],
        }

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam with Keras' L2 on kernels: lambda times the squares in the loss is a slope of 2 lambda."""
        parameters = list(self.modules["model"].parameters())
        groups = [
            {
                "params": [each for each in parameters if each.ndim == 4],
                "weight_decay": 2 * self.recipe.weight_decay,
            },
            {"params": [each for each in parameters if each.ndim != 4], "weight_decay": 0.0},
        ]
        return {"model": Adam(groups, lr=self.recipe.learning_rate)}

    def learning_rate_factor(self, name: str, step: int, total: int) -> float:
        if self.recipe.schedule == "constant":
            return 1.0
        return learning_rate_factor(step, total, self.recipe.warmup)

    def training_set(self) -> Dataset[Batch]:
        self._bank("train")
        measured: tuple[SplitName, ...] = ("validation", "test")
        check_measured({name: self._part(name) for name in measured}, self.data, tissue_classes)
        records = self._part("train")
        parts = sorted({part_of(record) for record in records})
        groups = [[row for row, each in enumerate(records) if part_of(each) == part] for part in parts]
        length = self.recipe.images_per_part * len(parts)
        self._dealt = Dealt(groups, [1.0] * len(parts), length, self.recipe.seed)
        return self._dealt

    def start_epoch(self, epoch: int) -> None:
        if self._dealt is not None:
            self._dealt.deal(epoch)

    def _bank(self, name: SplitName) -> Bank:
        """Films of a part and their classes (1, size, size) on the network's input, decoded once."""
        if name not in self._banks:
            read = partial(framed_planes, size=self.recipe.size, masks=tissue_classes)
            self._banks[name] = Bank.decode(self._part(name), read)
        return self._banks[name]

    def _part(self, name: SplitName) -> tuple[Record, ...]:
        records = tuple(record for own in self._parts(name).values() for record in own)
        if self.recipe.limit and name == "train":
            records = records[: self.recipe.limit]
        if not records:
            raise RecipeError(
                f"recipe tissues finds no {name} film in {', '.join(self.data)}; give at least three "
                "patients of one body part."
            )
        return records

    def _parts(self, name: SplitName) -> dict[str, tuple[Record, ...]]:
        """The part ``name`` of each data set."""
        return {key: split[name] for key, split in self._splits.items()}

    def training_step(
        self, fabric: Fabric, wrapped: Mapping[str, Any], optimizers: Mapping[str, Any], batch: Batch
    ) -> dict[str, float]:
        shown = self._bank("train").to(fabric.device).gather(batch["index"])
        grid = placed(shown["film"])
        film = processed(warp(shown["film"], grid)).contiguous(memory_format=torch.channels_last)
        classes = warp(shown["mask"], grid, nearest=True)[:, 0].long()
        loss = cross_entropy(wrapped["model"](film).float(), classes)
        optimizers["model"].zero_grad()
        fabric.backward(loss)
        optimizers["model"].step()
        return {"loss": float(loss.detach())}

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        """Validation: on the network's own grid. Test: every pixel of the films, before post-processing."""
        if split == "validation":
            return validated(model, self._bank(split))
        kept_back = measure(model, self._part("validation"), self.recipe.size)
        thresholds = soft_thresholds(kept_back.counts, kept_back.parts, self.recipe.soft_precision)
        films = measure(model, self._part(split), self.recipe.size, thresholds)
        rng = np.random.default_rng(self.recipe.seed)
        overall = figures(films, rng)  # drawn first: a comparison must not change them
        total = films.counts.total()
        extras = {
            "confusion": {"classes": list(CLASSES), "true_in_rows": total.confusion.tolist()},
            "calibration": calibration.by_class(total),
            "soft_tissue": soft_tissue_control(films, thresholds),
            "published": PUBLISHED,
            **self._compared(model, films, rng),
        }
        pictures = {
            "confusion.png": lambda path: plots.plot_confusion(total, path),
            "pixel_roc.png": lambda path: plots.plot_pixel_roc(total, path),
            "reliability.png": lambda path: plots.plot_reliability(total, path),
        }
        spread = tuple(f"f1_{name}" for name in CLASSES)
        return Evaluation(
            overall,
            film_rows(films),
            NOTES,
            extras,
            spread=spread,
            pictures=pictures,
            gallery=gallery(films, model, self.recipe.size),
            by_dataset=self._by_dataset(films, overall, split, rng),
        )

    def _by_dataset(
        self, films: Films, overall: dict[str, Figure], split: SplitName, rng: np.random.Generator
    ) -> dict[str, dict[str, Figure]]:
        """The figures of each data set; a set without a film of this part is left out."""
        if len(self.data) == 1:
            return {next(iter(self.data)): overall}
        found, first = {}, 0
        for name, records in self._parts(split).items():
            rows = np.arange(first, first + len(records))
            first += len(records)
            if records:
                found[name] = figures(films.of_rows(rows), rng)
        return found

    def _compared(self, model: nn.Module, films: Films, rng: np.random.Generator) -> dict[str, Any]:
        """This network and those it is compared with on the same films, and the paired differences."""
        compared: dict[str, Any] = {}
        for name, card in self._rivals.items():
            size = int(card.content["input"]["size"])
            device = next(model.parameters()).device
            other = measure(rebuild(tissue_network, card).to(device), films.records, size)
            apart = differences(films, other, rng)
            compared[name] = {
                "sha256": card.sha256,
                "parameters": card.content["parameters"],
                "train_command": card.content["train_command"],
                "figures": {key: figure.as_json() for key, figure in figures(other, rng).items()},
                f"{self.recipe.network}_minus_it": {key: figure.as_json() for key, figure in apart.items()},
            }
        return {"comparison": compared} if compared else {}
