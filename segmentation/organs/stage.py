"""The ``organs`` stage: lungs, heart and clavicles on the film's own grid, and the cardiothoracic ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from segmentation.organs.network import OrganNetwork
from segmentation.organs.outlines import Outputs as Form
from segmentation.organs.outlines import organ_planes, probabilities
from segmentation.organs.ratio import cautions, heart_size, spacing_cautions
from segmentation.test_time import AS_IT_IS, Variant, averaged
from suite.datasets.outlines import ORGANS, as_bits
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.artifacts import Measured
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask, Radiograph


def outline(
    network: nn.Module,
    pixels: FloatImage,
    size: int,
    outputs: Form,
    shape: tuple[int, int] | None = None,
    ways: Sequence[Variant] = (AS_IT_IS,),
) -> tuple[Mask, Framed]:
    """The organs of one film (H, W) as planes (5, H, W) in {0, 1}, and the frame the network saw.

    Args:
        network: an ``OrganNetwork`` with ``outputs`` planes.
        pixels: the film in [0, 1].
        size: side of the network's input.
        outputs: the form its planes have.
        shape: another matrix of the same film to draw on; the film's own when omitted.
        ways: how the network is shown the film; its answers are averaged.
    """
    framed = frame(pixels, size)
    device = next(network.parameters()).device
    film = torch.from_numpy(framed.pixels)[None, None].to(device)

    def told(shown: Tensor) -> Tensor:
        return probabilities(network(shown.to(memory_format=torch.channels_last)).float(), outputs)

    with torch.inference_mode():
        shares = averaged(told, film, ways)[0].cpu().numpy()
    grid = framed.grid if shape is None else Grid.of(shape).square().resize(size)
    return organ_planes(shares, grid, outputs), framed


class OrgansStage:
    """Outlines both lungs, the heart and the clavicles' inner parts in the SCR convention, and measures."""

    name = "organs"
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"organ_mask", "heart_mask", "organ_measurements"})
    ways: tuple[Variant, ...] = (AS_IT_IS,)

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "organs")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        self._outputs = cast(Form, card.content["outputs"])
        network = rebuild(OrganNetwork, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value) for study in studies]

    def _read(self, film: Radiograph) -> Outputs:
        planes, framed = outline(self._network, film.pixels, self._size, self._outputs, ways=self.ways)
        grid, history = Grid.of(film.shape), framed.history()
        heart = planes[ORGANS.index("heart")]
        return {
            "organ_mask": Artifact(as_bits(planes), grid, history),
            "heart_mask": Artifact((heart * 255).astype(np.uint8), grid, history),
            "organ_measurements": self._measure(planes, film),
        }

    def _measure(self, planes: Mask, film: Radiograph) -> Artifact:
        size = heart_size(planes)
        heart = int(planes[ORGANS.index("heart")].sum())
        measured: dict[str, float | None] = {
            "cardiothoracic_ratio": None if size.ratio is None else round(size.ratio, 4),
            "heart_width_px": size.heart_width,
            "thorax_width_px": size.thorax_width,
            "heart_area_px": heart,
        }
        if film.spacing is not None:
            row, column = film.spacing
            measured["heart_width_mm_at_detector"] = round(size.heart_width * column, 1)
            measured["thorax_width_mm_at_detector"] = round(size.thorax_width * column, 1)
            measured["heart_area_cm2_at_detector"] = round(heart * row * column / 100, 2)
        warnings = cautions(size, film.projection) + spacing_cautions(size, film.spacing)
        return Artifact(Measured(measured), warnings=warnings)
