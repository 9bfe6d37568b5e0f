"""The ``bone`` stage: the skeleton alone, and the soft tissue alone, on the film's own grid and scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gan.networks import build_generator
from gan.suppression import bone_layer
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask

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
        network = rebuild(build_generator, card)
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
