"""Pictures of a measurement: films from the least gain to the most, the worst, and films from elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from gan.contact import ContactFilm, draw_contact_sheet
from gan.pairs import CONVENTIONS, kept_pair
from gan.prediction import predicted_layer
from gan.recipe import BoneRecipe
from gan.suppression import bone_layer
from suite.datasets.manifest import Record
from suite.errors import InputError
from suite.grid import Grid
from suite.stages.contract import Artifact
from suite.stages.plugins import load_stage
from suite.training.films import open_film
from suite.training.gallery import WORST

LOGGER = logging.getLogger(__name__)

SHEET_FILMS = 6

Measured = tuple[Record, dict[str, Any]]
"""A film and its row of scores."""


def draw_spread(model: nn.Module, measured: Sequence[Measured], recipe: BoneRecipe, path: Path) -> None:
    """The films with the least gain, the middle and the most: film, truth, prediction, what is left."""
    order = _by_gain(measured)
    places = np.unique(np.linspace(0, len(order) - 1, min(SHEET_FILMS, len(order))).round().astype(int))
    _draw(model, [order[place] for place in places], recipe, path)


def draw_worst(model: nn.Module, measured: Sequence[Measured], recipe: BoneRecipe, path: Path) -> None:
    """The ``WORST`` films of all sets that gained least over themselves, the least first."""
    _draw(model, _by_gain(measured)[:WORST], recipe, path)


def draw_from_elsewhere(
    model: nn.Module, records: Sequence[Record], recipe: BoneRecipe, path: Path, count: int = WORST
) -> None:
    """Up to ``count`` films that nobody knows the bones of, drawn by chance, as the stage would show them.

    Raises:
        NotShippedError: there are no weights of the lungs stage, around whose lungs the layer fades out.
    """
    draw_contact_sheet(list(_from_elsewhere(model, records, recipe, count)), path)


def _from_elsewhere(
    model: nn.Module, records: Sequence[Record], recipe: BoneRecipe, count: int
) -> Iterator[ContactFilm]:
    device = next(model.parameters()).device
    lungs: Any = load_stage("lungs")(str(device))
    shown = 0
    for row in np.random.default_rng(recipe.seed).permutation(len(records)):
        if shown == count:
            return
        record = records[row]
        try:
            film = open_film(record.frontal)
        except InputError as error:
            LOGGER.warning("not drawn: %s", error)
            continue
        made = lungs.run([{"frontal": Artifact(film, Grid.of(film.shape))}])[0]
        layer = bone_layer(model, film.pixels, recipe.size, device, made["lung_mask"].value)[0]
        yield ContactFilm(record.id, film.pixels, None, layer)
        shown += 1


def _by_gain(measured: Sequence[Measured]) -> list[Measured]:
    return sorted(measured, key=lambda one: float(one[1]["psnr_gain"]))


def _draw(model: nn.Module, measured: Sequence[Measured], recipe: BoneRecipe, path: Path) -> None:
    films = []
    for record, row in measured:
        pair = kept_pair(record)
        name = row["film"] if row["film"].startswith(row["dataset"]) else f"{row['dataset']} {row['film']}"
        caption = f"{name}: {row['psnr_gain']:+.1f} dB"
        layer = predicted_layer(model, pair, recipe)
        films.append(ContactFilm(caption, pair.film, pair.bone, layer, CONVENTIONS[pair.convention]))
    draw_contact_sheet(films, path)
