"""Patches at the top scale, whole films at inference: a run from end to end, and what tiles would give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.networks import build_generator
from gan.suppression import bone_layer
from gan.training import BoneTask
from suite.stages.weights import ModelCard, rebuild
from suite.training.command import train
from tests import made_datasets
from tests.made_films import chest_pixels

SETTINGS = ("size=256", "patch=128", "base=8", "depth=5", "discriminator_base=4", "first_size=128",
            "coarse_share=0.5", "epochs=2", "epoch_samples=8", "batch_size=4", "pretraining_share=0.6",
            "precision=32-true", "break_films=0", "norm=batch", "attention=false", "side_heads=false",
            "ema_decay=0")  # fmt: skip
"""Batch normalisation is the one that looks at nothing but a pixel's surroundings once it has learned."""

GREY_LEVEL = 1 / 65535
REACH = 96
"""Pixels: beyond what a network of depth 5 sees (62 to each side), and a multiple of its stride."""


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, set[tuple[int, int]]]:
    """A network trained on patches, and the shapes (scale of the films, side of what was drawn) it saw."""
    folder = tmp_path_factory.mktemp("patches")
    seen = set()
    drawn = BoneTask.drawn

    def watched(task: BoneTask, index: Tensor, device: torch.device) -> dict[str, Tensor]:
        batch = drawn(task, index, device)
        seen.add((task.recipe.progression.at(task.position()).size, batch["film"].shape[-1]))
        return batch

    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(BoneTask, "drawn", watched)
        data = {"jsrt": made_datasets.jsrt(folder / "jsrt", 24)}
        card = train("bone", data, SETTINGS, folder / "out", device="cpu")
    return card, seen


def speaking(card: ModelCard) -> nn.Module:
    """The network with a head as strong as a long training makes it: four steps leave next to nothing."""
    network = rebuild(build_generator, card)
    torch.manual_seed(0)
    nn.init.normal_(network.get_parameter("head.weight"), std=0.1)
    return network


def test_the_top_scale_is_learned_in_patches_and_used_on_whole_films(
    learned: tuple[ModelCard, set[tuple[int, int]]],
) -> None:
    card, seen = learned
    assert seen == {(128, 128), (256, 128)}
    assert card.content["input"]["size"] == 256
    assert card.content["metrics"]["psnr"]["value"] > 0
    film = chest_pixels(300, 260)
    layer, framed = bone_layer(rebuild(build_generator, card), film, 256, torch.device("cpu"), None)
    assert framed.pixels.shape == (256, 256)
    assert layer.shape == film.shape
    assert layer.max() > 0


def test_whole_films_are_as_tiles_away_from_the_tiles_borders(
    learned: tuple[ModelCard, set[tuple[int, int]]],
) -> None:
    """No place of a film is special: neither its borders' zeros nor its size reach into the middle."""
    network = speaking(learned[0])
    film = torch.from_numpy(np.clip(chest_pixels(512, 512), 0, 1))[None, None]
    side, step = 320, 320 - 2 * REACH
    compared = torch.zeros(512, 512)
    with torch.inference_mode():
        whole = network(film)
        assert float(whole.std()) > 20 * GREY_LEVEL, "a layer of nothing would be the same in any tile"
        for top in (0, step // 32 * 32):
            for left in (0, step // 32 * 32):
                place = (..., slice(top, top + side), slice(left, left + side))
                apart = (network(film[place]) - whole[place])[..., REACH:-REACH, REACH:-REACH].abs()
                compared[place][REACH:-REACH, REACH:-REACH] = 1
                assert float(apart.max()) < GREY_LEVEL
    inner = slice(REACH, side + step - REACH)
    assert compared[inner, inner].all(), "the tiles overlap by what their borders spoil"


def test_a_tile_is_not_its_part_of_the_whole_near_its_border(
    learned: tuple[ModelCard, set[tuple[int, int]]],
) -> None:
    """What the test above would miss if the network saw nothing but a pixel."""
    network = speaking(learned[0])
    film = torch.from_numpy(chest_pixels(512, 512))[None, None]
    with torch.inference_mode():
        apart = (network(film[..., 96:416, 96:416]) - network(film)[..., 96:416, 96:416]).abs()
    assert float(apart[..., 0, :].max()) > GREY_LEVEL
