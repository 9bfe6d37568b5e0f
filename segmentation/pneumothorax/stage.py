"""The ``pneumothorax`` stage: gas in the pleural space, outlined only where the gate says yes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from segmentation.pneumothorax.cascade import Cascade
from segmentation.pneumothorax.cases import REAL_GAS
from segmentation.pneumothorax.network import PneumothoraxGate, PneumothoraxUNet
from segmentation.pneumothorax.sides import measured, with_sides
from suite.grid import Grid
from suite.stages.artifacts import Measured
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import ModelCard, rebuild, shipped_card

CHANCE = 0.5
"""Area under the ROC curve of a coin."""

FAIR = 0.7
"""Below this area on real films the stage warns even where it beats a coin."""


class PneumothoraxStage:
    """Area, side and outline of a pneumothorax.

    ``pneumothorax_mask``: 0 background, 128 right, 255 left; empty where the gate says no. ``pneumothorax``:
    the numbers of it, with the gate's output under ``pneumothorax_gate_score`` (not calibrated).

    Two weights files belong to it, ``pneumothorax-gate`` and ``pneumothorax-mask``; ``weights_sha256`` is the
    sha256 of both files' hexadecimal sha256 in this order, so that it changes with either.
    """

    name = "pneumothorax"
    needs = frozenset({"frontal"})
    uses = frozenset({"lung_mask"})
    makes = frozenset({"pneumothorax_mask", "pneumothorax"})

    def __init__(self, device: str = "cpu") -> None:
        gate = shipped_card("segmentation", "pneumothorax-gate")
        mask = shipped_card("segmentation", "pneumothorax-mask")
        self.device = device
        self.weights_sha256: str | None = hashlib.sha256((gate.sha256 + mask.sha256).encode()).hexdigest()
        self._warnings = warnings_of(gate)
        self._hashes = (f"gate weights {gate.sha256}", f"mask weights {mask.sha256}")
        self._cascade = Cascade(
            rebuild(PneumothoraxGate, gate).to(device),
            rebuild(PneumothoraxUNet, mask).to(device),
            int(gate.content["input"]["size"]),
            int(mask.content["input"]["size"]),
            float(gate.content["operating_point"]["threshold"]),
            float(mask.content["operating_point"]["tta_threshold"]),
        )

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._read(study) for study in studies]

    def _read(self, study: Inputs) -> Outputs:
        pixels = study["frontal"].value.pixels
        lungs = study["lung_mask"].value if "lung_mask" in study else None
        told, gas, framed = self._cascade.read(pixels)
        mask = with_sides(gas, lungs)
        numbers = {**measured(mask, lungs), "pneumothorax_gate_score": told}
        warnings: tuple[str, ...] = ()
        if told >= self._cascade.gate_threshold:
            lost = () if mask.any() else ("A pneumothorax is suggested, but could not be outlined.",)
            warnings = (*self._warnings, *lost)
        history = (*framed.history(), *self._hashes)
        return {
            "pneumothorax_mask": Artifact(mask, Grid.of(pixels.shape), history, warnings),
            "pneumothorax": Artifact(Measured(numbers), history=framed.history()),
        }


def warnings_of(gate: ModelCard) -> tuple[str, ...]:
    """What a reader must know of a gate that was not shown to hold on real films, from its card."""
    if any(name in gate.content.get("data", {}) for name in REAL_GAS):
        return ()
    figure = gate.content["metrics"].get("nih_auc", {})
    value, interval = figure.get("value"), figure.get("interval")
    if value is None or interval is None:
        return (
            "The pneumothorax outline was learned from computed gas and never measured on a patient's: "
            "do not rely on it.",
        )
    area = f"AUC {value:.2f}, 95 % interval {interval[0]:.2f} to {interval[1]:.2f}"
    if interval[0] <= CHANCE:
        verdict = "its gate tells real films apart no better than chance"
    elif value < FAIR:
        verdict = "its gate tells real films apart poorly"
    else:
        verdict = "on real films only its gate was measured, the outline was not"
    return (f"The pneumothorax outline was learned from computed gas; {verdict} ({area}).",)
