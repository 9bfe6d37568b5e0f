"""The ``bone`` stage: the skeleton alone, and the soft tissue alone, on the film's own grid and scale."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn

from gan.generator import MultiScaleGenerator
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask

LARGEST_BONE = 0.35
"""Share of the film's used range that bone can add; BSE-JSRT's layers stay below 0.3."""

SMALL_SIDE = 256
MARGIN = 7
"""Pixels at ``SMALL_SIDE`` by which the lungs are widened before the layer fades out."""


def bone_layer(
    network: nn.Module, pixels: FloatImage, size: int, device: torch.device, lungs: Mask
) -> tuple[FloatImage, Framed]:
    """What the bones add to a film (H, W), in film units: at least 0, at most the film itself.

    The layer fades out around ``lungs`` (H, W): a network that learned from BSE-JSRT, whose layers are empty
    elsewhere, has nothing to say there, and instance normalisation lets it draw bright spots where no loss
    looks.
    """
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        predicted = network(film)[0, 0].float().cpu().numpy()
    believed = np.clip(predicted, 0.0, LARGEST_BONE) * framed.grid.apply(near_lungs(lungs))
    layer = framed.grid.invert(believed) * np.float32(framed.levels.width)
    return np.clip(layer, 0.0, pixels).astype(np.float32), framed


def near_lungs(lungs: Mask) -> FloatImage:
    """1 in the lungs (H, W) and a margin around them, fading to 0 over about a centimetre."""
    grid = Grid.of(lungs.shape).square().resize(SMALL_SIDE)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN + 1, 2 * MARGIN + 1))
    widened = cv2.dilate((grid.apply(lungs, "nearest") > 0).astype(np.uint8), kernel)
    faded = cv2.GaussianBlur(widened.astype(np.float32), (0, 0), MARGIN / 3)
    return np.asarray(grid.invert(faded), dtype=np.float32)


class BoneStage:
    """Bone-subtracted image (what bone adds) and bone-suppressed image (film minus that).

    The two add up to the film, value by value. Bones outside the lung fields stay in the soft image.
    """

    name = "bone"
    needs = frozenset({"frontal", "lung_mask"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"bone_subtracted", "bone_suppressed"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("gan", "bone")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        network = rebuild(MultiScaleGenerator, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value.pixels, study["lung_mask"].value) for study in studies]

    def _read(self, pixels: FloatImage, lungs: Mask) -> Outputs:
        bone, framed = bone_layer(self._network, pixels, self._size, torch.device(self.device), lungs)
        grid, history = Grid.of(pixels.shape), framed.history()
        warnings = () if lungs.any() else ("No lungs were found, so no bone was taken from the film.",)
        return {
            "bone_subtracted": Artifact(bone, grid, history, warnings),
            "bone_suppressed": Artifact(pixels - bone, grid, history),
        }
