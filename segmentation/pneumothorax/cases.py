"""The films of the cascade: which are positive, where their gas lies, and how they are parted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from segmentation.films import check_measured, filled, framed_planes
from segmentation.pneumothorax.augmentation import Appearance
from segmentation.terms import licence
from suite.datasets import inserted_pneumothorax, phantom, siim
from suite.datasets.manifest import Manifest, Record, Split, SplitName
from suite.errors import RecipeError
from suite.findings import CODES
from suite.study import Mask
from suite.training.bank import Bank, Planes
from suite.training.films import read_mask
from suite.training.recipe import Recipe

CODE = "pneumothorax"
OUTLINED = ("phantom", "siim", inserted_pneumothorax.NAME)
"""Data sets that know where the gas lies."""

REAL_GAS = ("siim",)
"""Those whose patients had it; the others' is computed."""


class PneumothoraxRecipe(Recipe):
    """What both networks' recipes share."""

    folds: int = Field(0, ge=0, le=20, description="folds of a cross-validation; 0: one split 70 / 10 / 20")
    fold: int = Field(0, ge=0, description="the fold that is tested on")
    width: float = Field(
        1.0, gt=0, le=2, description="factor on the residual stages' channels; 1 is published"
    )
    appearance: Appearance = Field(
        "wide", description="the paper's augmentation, or with other machines' looks"
    )
    films_per_epoch: int = Field(0, ge=0, description="films shown in an epoch; 0: each of them once")
    encoder_weights: str = Field("", description="safetensors file of the backbone: ImageNet's, or a U-Net's")


def label(record: Record) -> float:
    """1 with a pneumothorax, 0 without, NaN where nobody knows."""
    return record.labels[CODES.index(CODE)]


def outline(record: Record) -> Mask:
    """Where the gas lies (H, W) on a film of one of the ``OUTLINED`` sets: 0 or 1, empty for a negative."""
    if inserted_pneumothorax.TARGET in record.targets:
        return (read_mask(record.targets[inserted_pneumothorax.TARGET]) > 0).astype(np.uint8)
    if "lung_mask" in record.targets:
        return phantom.finding_mask(record, CODE)
    return siim.pneumothorax_mask(record)


def provenance(data: Mapping[str, Manifest], recipe: PneumothoraxRecipe) -> dict[str, str]:
    """What a model card says of the films learned from: their ``limits`` and ``licence``."""
    films = {
        "phantom": "computed films",
        "siim": "SIIM-ACR films",
        inserted_pneumothorax.NAME: "real films with computed gas",
    }
    names = [name for name in OUTLINED if name in data]
    limits = f"Learned from {' and '.join(films[name] for name in names)}"
    limits += "." if set(names) & set(REAL_GAS) else ", no patient's pneumothorax among them."
    # ImageNet's have no card: its terms are not those of films
    begun = recipe.encoder_weights
    carded = begun if begun and Path(begun).with_suffix(".json").is_file() else ""
    return {"limits": limits, "licence": licence(names, carded)}


def cases(records: Sequence[Record], size: int) -> Bank:
    """Films (1, size, size) with gas outlined (1, size, size) and their label (1,)."""
    return Bank.decode(records, partial(_case, size=size))


def _case(record: Record, size: int) -> Planes:
    return {**framed_planes(record, size, outline), "label": np.array([label(record)], np.float32)}


def part(data: Mapping[str, Manifest], recipe: PneumothoraxRecipe, name: SplitName) -> tuple[Record, ...]:
    """The labelled films of one part, of all outlined sets given together.

    Raises:
        RecipeError: no such set is given.
    """
    records = tuple(record for _, record in _named(data, recipe, name))
    return records[: recipe.limit] if recipe.limit and name == "train" else records


def origins(data: Mapping[str, Manifest], recipe: PneumothoraxRecipe, name: SplitName) -> tuple[str, ...]:
    """The data set of each film of a part, in the order of ``part``."""
    return tuple(origin for origin, _ in _named(data, recipe, name))


def _named(
    data: Mapping[str, Manifest], recipe: PneumothoraxRecipe, name: SplitName
) -> Iterator[tuple[str, Record]]:
    """The labelled films of one part, each after the name of its data set."""
    sets = [each for each in OUTLINED if each in data]
    if not sets:
        names = f"{', '.join(OUTLINED[:-1])} or {OUTLINED[-1]}"
        raise RecipeError(f"the pneumothorax networks learn from {names}; add --data {OUTLINED[0]}=DIR.")
    for each in sets:
        for record in _split(data[each], recipe)[name]:
            if label(record) in (0.0, 1.0):
                yield each, record


def measured(data: Mapping[str, Manifest], recipe: PneumothoraxRecipe, name: SplitName) -> tuple[Record, ...]:
    """The films of a part that is measured on.

    Raises:
        DatasetError: there is none.
    """
    return filled(part(data, recipe, name), name, [each for each in OUTLINED if each in data])


def check_parts(data: Mapping[str, Manifest], recipe: PneumothoraxRecipe) -> None:
    """Say before a run starts that one of the parts it is measured on is empty, or cannot be read.

    Raises:
        DatasetError, InputError: as for ``check_measured``.
    """
    parts: tuple[SplitName, ...] = ("validation", "test")
    films = {name: measured(data, recipe, name) for name in parts}
    check_measured(films, OUTLINED, outline, may_be_empty=True)


def _split(manifest: Manifest, recipe: PneumothoraxRecipe) -> Split:
    if recipe.folds:
        return manifest.fold(recipe.fold, recipe.folds, recipe.split_seed)
    return manifest.split(recipe.split_seed)
