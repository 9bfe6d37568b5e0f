"""The ``tissues`` stage: open beam, soft tissue and bone on the film's own grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from segmentation.tissues.network import CLASSES, tissue_network
from segmentation.tissues.thresholds import called, threshold_for
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.artifacts import Measured
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage, Mask, Radiograph

VALUES = np.array([0, 128, 255], dtype=np.uint8)
"""Open beam, soft tissue and bone in the mask that is written, so that it can be looked at."""


def tissue_probabilities(network: nn.Module, pixels: FloatImage, size: int) -> tuple[FloatImage, Framed]:
    """Probabilities of the three classes (3, H, W) on a film (H, W), and the frame the network saw.

    Args:
        network: one of ``segmentation.tissues.network.NETWORKS``.
        pixels: the film in [0, 1].
        size: side of the network's input.
    """
    framed = frame(pixels, size)
    device = next(network.parameters()).device
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        planes = network(film).float().softmax(dim=1)[0].cpu().numpy()
    return np.stack([framed.grid.invert(plane) for plane in planes]), framed


class TissuesStage:
    """Tells open beam (and shutters), soft tissue and bone apart on a film of any body part.

    On request: it is meant for limbs, and on chests, where bones overlap, calls too much of a real film bone.
    Where the header names a body part that the card of the weights has a threshold of soft tissue for, it is
    applied; elsewhere each pixel is of its most probable class.
    """

    name = "tissues"
    on_request = True
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"tissue_mask", "tissue_measurements"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("segmentation", "tissues")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        self._thresholds: dict[str, float] = card.content.get("soft_tissue", {}).get("thresholds", {})
        network = rebuild(tissue_network, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study["frontal"].value) for study in studies]

    def _read(self, film: Radiograph) -> Outputs:
        probabilities, framed = tissue_probabilities(self._network, film.pixels, self._size)
        known = threshold_for(film.headers.get("body_part_examined", ""), self._thresholds)
        part, threshold = known or ("", 0.0)
        applied = (f"soft tissue from {threshold:g} on, the threshold of body part {part}",) if known else ()
        tissue = called(probabilities, threshold)
        return {
            "tissue_mask": Artifact(VALUES[tissue], Grid.of(film.shape), (*framed.history(), *applied)),
            "tissue_measurements": Artifact(Measured(measured(tissue, film.spacing))),
        }


def measured(tissue: Mask, spacing: tuple[float, float] | None) -> dict[str, float | None]:
    """Shares of the film, and the area of bone, of a map (H, W) of 0 open beam, 1 soft tissue, 2 bone."""
    counts = np.bincount(tissue.ravel(), minlength=len(CLASSES))
    figures: dict[str, float | None] = {
        f"{name}_share": round(int(count) / tissue.size, 5)
        for name, count in zip(CLASSES, counts, strict=True)
    }
    figures["bone_area_px"] = int(counts[2])
    if spacing is not None:
        figures["bone_area_cm2_at_detector"] = round(int(counts[2]) * spacing[0] * spacing[1] / 100, 2)
    return figures
