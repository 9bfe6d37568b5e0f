"""Weights that a network begins from or is measured with, checked before a run starts."""

from __future__ import annotations

from pathlib import Path

from suite.errors import RecipeError
from suite.stages.weights import ModelCard, read_card


def companion(key: str, file: str, *names: str, **settings: str) -> ModelCard:
    """The card of a weights file that a recipe key names.

    Args:
        key: the recipe's key, for the message.
        file: path of the weights, beside their card.
        names: of the recipes that make such weights.
        settings: what the recipe must have been set to.

    Raises:
        RecipeError: there is no such file, or another recipe or other settings made it.
        WeightsError: its card cannot be read.
    """
    if not Path(file).is_file():
        raise RecipeError(f"{key}: there is no file {file}; train that network first.")
    card = read_card(Path(file).with_suffix(".json"))
    recipe = card.content.get("recipe", {})
    if card.name not in names or any(recipe.get(setting) != value for setting, value in settings.items()):
        made = " ".join([card.name, *(f"{setting}={recipe.get(setting)}" for setting in settings)])
        wanted = " ".join(
            [" or ".join(names), *(f"{setting}={value}" for setting, value in settings.items())]
        )
        raise RecipeError(f"{key}: {file} holds weights of {made}; give those of {wanted}.")
    return card
