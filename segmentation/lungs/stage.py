"""The ``lungs`` stage: right and left lung on the film's own grid, the visible field and the whole lung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segmentation.lungs.doubts import doubts_about
from segmentation.lungs.network import PLANES, VGG16UNet
from segmentation.postprocessing import lungs_from_probabilities
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.artifacts import Measured
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


def read_lungs(network: nn.Module, pixels: FloatImage, size: int, device: torch.device) -> Lungs:
    """Both masks of one film (H, W) in [0, 1]; the visible field is always part of the whole lung."""
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        probabilities: Tensor = network(film).sigmoid()[0].float().cpu()
    planes = [framed.grid.invert(plane.numpy()) for plane in probabilities]
    visible = lungs_from_probabilities(planes[0], planes[1])
    if len(planes) < len(PLANES):
        return Lungs(visible, None, framed)
    whole = lungs_from_probabilities(planes[2], planes[3])
    return Lungs(visible, np.where(visible > 0, visible, whole), framed)


class LungsStage:
    """Outlines the lungs: the visible fields without the heart's shadow, and with their hidden parts.

    Weights with two planes make ``lung_mask`` alone.
    """

    name = "lungs"
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"lung_mask", "lung_whole", "lung_measurements"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "lungs")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        if card.architecture.get("planes") != len(PLANES):
            self.makes = frozenset({"lung_mask"})
        self._size = int(card.content["input"]["size"])
        network = rebuild(VGG16UNet, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value) for study in studies]

    def _read(self, film: Radiograph) -> Outputs:
        lungs = read_lungs(self._network, film.pixels, self._size, torch.device(self.device))
        warnings = doubts_about(lungs.visible, SIDES)
        grid, history = Grid.of(film.shape), lungs.framed.history()
        made: Outputs = {"lung_mask": Artifact(lungs.visible, grid, history, warnings)}
        if lungs.whole is None:
            return made
        measurements = Measured(measured(lungs.visible, lungs.whole, film.spacing))
        return {
            **made,
            "lung_whole": Artifact(lungs.whole, grid, history),
            "lung_measurements": Artifact(measurements, history=history),
        }


def measured(visible: Mask, whole: Mask, spacing: tuple[float, float] | None) -> dict[str, float | None]:
    """What the whole lungs add to the report: their area, and the share of each that the film hides.

    ``right_lung_hidden_share`` is ``None`` where no right lung was found; the area is in pixels of the film
    and, where it states its spacing, in cm² at the detector.
    """
    area = int(np.count_nonzero(whole))
    numbers: dict[str, float | None] = {"lung_whole_area_px": area}
    if spacing is not None:
        numbers["lung_whole_area_cm2_at_detector"] = round(area * spacing[0] * spacing[1] / 100, 2)
    for side, value in SIDES.items():
        total = int(np.count_nonzero(whole == value))
        shown = int(np.count_nonzero(visible == value))
        numbers[f"{side}_lung_hidden_share"] = round(1 - shown / total, 4) if total else None
    return numbers
