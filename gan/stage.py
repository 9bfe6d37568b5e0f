"""The ``bone`` stage: the skeleton alone, and the soft tissue alone, on the film's own grid and scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gan.doubts import doubts_about, measured
from gan.networks import build_generator
from gan.residual import Limits
from gan.suppression import taken_layer
from suite.grid import Grid
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage


class BoneStage:
    """Bone-subtracted image (what bone adds) and bone-suppressed image (film minus that).

    The two add up to the film, value by value. Bones outside the lung fields stay in the soft image. What was
    taken is measured inside the lungs and compared with what was seen on validation films.
    """

    name = "bone"
    needs = frozenset({"frontal", "lung_mask"})
    uses = frozenset({"gate"})
    makes = frozenset({"bone_subtracted", "bone_suppressed", "bone_residual"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("gan", "bone")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        self._limits = Limits.from_json(card.content.get("residual", {}))
        network = rebuild(build_generator, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study) for study in studies]

    def _read(self, study: Inputs) -> Outputs:
        film, lungs = study["frontal"].value, study["lung_mask"].value
        pixels: FloatImage = film.pixels
        bone, framed, taken = taken_layer(self._network, pixels, self._size, torch.device(self.device), lungs)
        gate = study["gate"].value if "gate" in study else None
        warnings = doubts_about(film, lungs, taken, self._limits, gate)
        grid, history = Grid.of(pixels.shape), framed.history()
        return {
            "bone_subtracted": Artifact(bone, grid, history, warnings),
            "bone_suppressed": Artifact(pixels - bone, grid, history),
            "bone_residual": Artifact(measured(taken)),
        }
