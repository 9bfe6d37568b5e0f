"""The ``lungs`` stage: right and left visible lung field on the film's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segmentation.lungs.doubts import doubts_about
from segmentation.lungs.network import VGG16UNet
from segmentation.postprocessing import lungs_from_probabilities
from segmentation.test_time import AS_IT_IS, Variant, averaged
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask, Radiograph

SIDES = {"right": 128, "left": 255}
"""The patient's sides in the masks."""


@dataclass(frozen=True, slots=True)
class Lungs:
    """The lungs of one film (H, W): 0 background, 128 right, 255 left.

    Attributes:
        visible: the visible fields, SCR's convention.
        whole: with what heart, diaphragm and mediastinum hide; ``None`` from a network that does not tell.
        framed: what the network saw.
    """

    visible: Mask
    whole: Mask | None
    framed: Framed


def read_lungs(
    network: nn.Module,
    pixels: FloatImage,
    size: int,
    device: torch.device,
    ways: Sequence[Variant] = (AS_IT_IS,),
) -> Lungs:
    """Both masks of one film, as ``outlined`` makes them; the visible field is part of the whole lung."""
    (visible, *whole), framed = outlined(network, pixels, size, device, ways)
    return Lungs(visible, joined(visible, whole[0]) if whole else None, framed)


def outlined(
    network: nn.Module,
    pixels: FloatImage,
    size: int,
    device: torch.device,
    ways: Sequence[Variant] = (AS_IT_IS,),
) -> tuple[list[Mask], Framed]:
    """The masks (H, W) that a network has planes for: visible fields, and whole lungs, each by itself.

    Args:
        network: a ``VGG16UNet`` in evaluation mode.
        pixels: the film (H, W) in [0, 1].
        size: side of the network's input.
        device: where the network is.
        ways: how the network is shown the film; its answers are averaged.
    """
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device)

    def told(shown: Tensor) -> Tensor:
        answer: Tensor = network(shown.to(memory_format=torch.channels_last)).sigmoid().float()
        return answer

    with torch.inference_mode():
        probabilities = averaged(told, film, ways)[0].cpu()
    planes = [framed.grid.invert(plane.numpy()) for plane in probabilities]
    sides = zip(planes[::2], planes[1::2], strict=True)  # right and left of each kind in PLANES
    return [lungs_from_probabilities(right, left) for right, left in sides], framed


def joined(visible: Mask, whole: Mask) -> Mask:
    """Whole lungs (H, W) that have every pixel of the visible fields, with its side."""
    return np.where(visible > 0, visible, whole)


class LungsStage:
    """Outlines the visible lung fields, without the heart's shadow."""

    name = "lungs"
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"lung_mask"})
    ways: tuple[Variant, ...] = (AS_IT_IS,)

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "lungs")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        network = rebuild(VGG16UNet, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value) for study in studies]

    def _read(self, film: Radiograph) -> Outputs:
        lungs = read_lungs(self._network, film.pixels, self._size, torch.device(self.device), self.ways)
        warnings = doubts_about(lungs.visible, SIDES)
        return {"lung_mask": Artifact(lungs.visible, Grid.of(film.shape), lungs.framed.history(), warnings)}
