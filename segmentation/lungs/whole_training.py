"""Training of the network of whole lungs, with what heart, diaphragm and mediastinum hide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from segmentation.lungs.training import LungsRecipe, LungsTask
from suite.datasets.manifest import Manifest
from suite.errors import RecipeError
from suite.training.recipe import Recipe


class WholeLungsRecipe(LungsRecipe):
    """As for the visible fields, with both conventions to be learned."""

    whole: bool = Field(True, description="always true: that is what this recipe is for")


class WholeLungsTask(LungsTask):
    """Learns four planes: a film that knows visible fields alone teaches what they say of the whole lungs."""

    name = "whole-lungs"
    recipe_type: ClassVar[type[Recipe]] = WholeLungsRecipe
    recipe: WholeLungsRecipe

    def __init__(self, recipe: Recipe, data: Mapping[str, Manifest]) -> None:
        super().__init__(recipe, data)
        if not self.recipe.whole:
            raise RecipeError(
                "recipe whole-lungs outlines whole lungs; leave out whole, or train recipe lungs."
            )

    def describe(self) -> dict[str, Any]:
        return {
            **super().describe(),
            "title": "Whole lungs on frontal chest radiographs",
            "intended_use": "An estimate of right and left lung of PA and AP films with the parts that heart "
            "and diaphragm hide, for research.",
            "limits": f"{self.films_learned_from()}; the hidden parts were learned from computed films only.",
        }
