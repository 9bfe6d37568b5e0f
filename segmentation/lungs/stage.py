"""The ``lungs`` stage: the visible lung fields, right and left, on the film's own grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segmentation.lungs.network import VGG16UNet
from segmentation.postprocessing import lungs_from_probabilities
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask


def lung_mask(network: nn.Module, pixels: FloatImage, size: int, device: torch.device) -> tuple[Mask, Framed]:
    """The lungs of one film (H, W): 0 background, 128 right, 255 left; and the frame the network saw."""
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        probabilities: Tensor = network(film).sigmoid()[0].float().cpu()
    right, left = (framed.grid.invert(plane.numpy()) for plane in probabilities)
    return lungs_from_probabilities(right, left), framed


class LungsStage:
    """Outlines the lungs in the SCR convention: the visible field, without the heart's shadow."""

    name = "lungs"
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"lung_mask"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "lungs")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        network = rebuild(VGG16UNet, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value.pixels) for study in studies]

    def _read(self, pixels: FloatImage) -> Outputs:
        mask, framed = lung_mask(self._network, pixels, self._size, torch.device(self.device))
        warnings = (
            () if (mask == 128).any() and (mask == 255).any() else ("Only one lung or none was found.",)
        )
        return {"lung_mask": Artifact(mask, Grid.of(pixels.shape), framed.history(), warnings)}
