"""Finished competitors on the same test films: their figures, and ours less theirs, film by film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from gan.evaluation import Parts, Row, figures_of, prefix_of, rows_of
from gan.networks import build_generator
from gan.recipe import BoneRecipe
from suite.errors import WeightsError
from suite.stages.weights import ModelCard, read_card, rebuild
from suite.storage import write_text
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import mean_figure

RIVALS = ("unet", "pix2pix")
"""Networks of ``BoneRecipe`` that have a key ``NAME_weights``."""

PAIRED = ("psnr", "ssim", "bsr_two_sided", "edge_residual", "lesion_contrast", "heart_border_error")

FILE = "comparison.md"


def rivals_of(recipe: BoneRecipe) -> dict[str, ModelCard]:
    """The cards of the weights that the recipe names, by the network's name.

    Raises:
        WeightsError: there is no such card, or it is another network's.
    """
    cards = {}
    for name in RIVALS:
        given = getattr(recipe, f"{name}_weights")
        if given:
            cards[name] = read_card(Path(given).with_suffix(".json"))
            network = cards[name].architecture.get("network")
            if network != name:
                raise WeightsError(
                    f"{given}: holds network {network}, not {name}; give weights of `radsuite train bone "
                    f"--set network={name}`."
                )
    return cards


def beside_rivals(
    evaluation: Evaluation,
    cards: Mapping[str, ModelCard],
    model: nn.Module,
    parts: Parts,
    recipe: BoneRecipe,
) -> Evaluation:
    """``evaluation`` of ``model`` on ``parts`` with those of its rivals: ``comparison`` and a table of it."""
    if not cards:
        return evaluation
    device = next(model.parameters()).device
    rng = np.random.default_rng(recipe.seed)
    found: dict[str, dict[str, Any]] = {}
    lines = ["| network | figure | it | ours less its | n |", "|---|---|---|---|---|"]
    for name, card in cards.items():
        own = _recipe_of(card, recipe)
        network = rebuild(build_generator, card).to(device)
        figures: dict[str, Figure] = {}
        apart: dict[str, Figure] = {}
        for dataset, records in parts.items():
            rows = list(rows_of(network, records[: recipe.test_films or None], dataset, own, None))
            prefix = prefix_of(dataset, parts)
            figures |= {prefix + key: value for key, value in figures_of(rows, rng).items()}
            ours = [row for row in evaluation.rows if row["dataset"] == dataset]
            apart |= {prefix + key: value for key, value in _differences(ours, rows, rng).items()}
        found[name] = {
            "sha256": card.sha256,
            "parameters": card.content["parameters"],
            "train_command": card.content.get("train_command"),
            "figures": {key: figure.as_json() for key, figure in figures.items()},
            "ours_minus_it": {key: figure.as_json() for key, figure in apart.items()},
        }
        lines += [f"| {name} | {key} | {figures[key]} | {apart[key]} | {apart[key].n} |" for key in apart]
    table = "\n".join(lines) + "\n"
    return replace(
        evaluation,
        extras={**evaluation.extras, "comparison": found},
        pictures={**evaluation.pictures, FILE: lambda path: write_text(path, table)},
    )


def _recipe_of(card: ModelCard, recipe: BoneRecipe) -> BoneRecipe:
    """``recipe`` with what the rival's input and its conventions are."""
    learned = card.content.get("recipe", {}).get("learn_from", recipe.learn_from)
    return recipe.model_copy(update={"size": int(card.content["input"]["size"]), "learn_from": learned})


def _differences(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Row], rng: np.random.Generator
) -> dict[str, Figure]:
    """Means over the films of ours less theirs, each patient drawn for both at once."""
    found = {}
    for key in PAIRED:
        pairs = [
            (own.get(key, np.nan), other.get(key, np.nan)) for own, other in zip(ours, theirs, strict=True)
        ]
        apart = np.array([own - other for own, other in pairs], dtype=np.float64)
        if not np.isnan(apart).all():
            found[key] = mean_figure(apart, [row["patient"] for row in ours], rng)
    return found
