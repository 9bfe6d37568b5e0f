"""The ``bone`` stage: the skeleton alone, and the soft tissue alone, on the film's own grid and scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from gan.generator import MultiScaleGenerator
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage

STRUCTURE_LIMIT = 0.25
"""Mean removed share of the film above which a reader is warned; see ``BoneStage``."""


def bone_layer(
    network: nn.Module, pixels: FloatImage, size: int, device: torch.device
) -> tuple[FloatImage, Framed]:
    """What the bones add to a film (H, W), in film units: at least 0, at most the film itself."""
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        predicted = network(film)[0, 0].float().cpu().numpy()
    layer = framed.grid.invert(predicted) * np.float32(framed.levels.width)
    return np.clip(layer, 0.0, pixels).astype(np.float32), framed


class BoneStage:
    """Bone-subtracted image (what bone adds) and bone-suppressed image (film minus that).

    The two add up to the film, value by value.
    """

    name = "bone"
    needs = frozenset({"frontal"})
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
        return [self._read(study["frontal"].value.pixels) for study in studies]

    def _read(self, pixels: FloatImage) -> Outputs:
        bone, framed = bone_layer(self._network, pixels, self._size, torch.device(self.device))
        grid, history = Grid.of(pixels.shape), framed.history()
        warnings = (
            ("The bone image takes away more than a quarter of the film.",) if _too_much(bone, pixels) else ()
        )
        return {
            "bone_subtracted": Artifact(bone, grid, history, warnings),
            "bone_suppressed": Artifact(pixels - bone, grid, history),
        }


def _too_much(bone: FloatImage, pixels: FloatImage) -> bool:
    return float(bone.mean()) > STRUCTURE_LIMIT * float(pixels.mean())
