"""The ``whole-lungs`` stage: right and left lung with what heart, diaphragm and mediastinum hide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from segmentation.lungs.network import PLANES, VGG16UNet
from segmentation.lungs.stage import SIDES, joined, outlined
from segmentation.test_time import AS_IT_IS, Variant
from suite.errors import WeightsError
from suite.grid import Grid
from suite.stages.artifacts import Measured
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import Mask, Radiograph


class WholeLungsStage:
    """Estimates the whole lungs around the visible fields of the ``lungs`` stage, and measures them.

    Raises:
        WeightsError: the weights tell of visible fields alone.
    """

    name = "whole-lungs"
    needs = frozenset({"frontal", "lung_mask"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"lung_whole", "lung_measurements"})
    ways: tuple[Variant, ...] = (AS_IT_IS,)

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "whole-lungs")
        if card.architecture.get("planes") != len(PLANES):
            raise WeightsError(
                f"{card.path}: it knows visible lung fields alone; install weights of recipe whole-lungs."
            )
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        network = rebuild(VGG16UNet, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value, study["lung_mask"].value) for study in studies]

    def _read(self, film: Radiograph, visible: Mask) -> Outputs:
        device = torch.device(self.device)
        (_, alone), framed = outlined(self._network, film.pixels, self._size, device, self.ways)
        whole, history = joined(visible, alone), framed.history()
        return {
            "lung_whole": Artifact(whole, Grid.of(film.shape), history),
            "lung_measurements": Artifact(Measured(measured(visible, whole, film.spacing)), history=history),
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
