"""The layer that a network predicts for a film whose true layer is known."""

from __future__ import annotations

from torch import nn

from gan.pairs import AS_TRUE, BonePair
from gan.recipe import BoneRecipe
from gan.suppression import bone_layer
from suite.study import FloatImage


def predicted_layer(model: nn.Module, pair: BonePair, recipe: BoneRecipe) -> FloatImage:
    """The layer (H, W) of a pair, in the convention of its true one as far as the network knows it."""
    device = next(model.parameters()).device
    known = recipe.conventions
    convention = known.index(pair.convention) if pair.convention in known else 0
    lungs = None if pair.convention == known[convention] == AS_TRUE else pair.lungs
    return bone_layer(model, pair.film, recipe.size, device, lungs, convention)[0]
