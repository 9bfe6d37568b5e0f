"""The ``triage`` stage: how likely a frontal film is abnormal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from classifiers.calibration import Calibration, state_of
from classifiers.triage.network import TriageNetwork
from suite.errors import WeightsError
from suite.framing import frame
from suite.stages.artifacts import TriageResult
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import rebuild, shipped_card
from suite.study import FloatImage

_STATES = {"suggested": "abnormal", "not_suggested": "normal", "uncertain": "uncertain"}


def triage_score(network: nn.Module, framed: FloatImage, device: torch.device) -> float:
    """The logit of "abnormal" for one framed film (size, size)."""
    film = torch.from_numpy(framed)[None, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        return float(network(film)[0])


class TriageStage:
    """Orders a worklist: a calibrated probability that the film shows anything abnormal."""

    name = "triage"
    needs = frozenset({"frontal"})
    uses: frozenset[str] = frozenset()
    makes = frozenset({"triage"})

    def __init__(self, device: str = "cpu") -> None:
        card = shipped_card("classifiers", "triage")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        if card.content.get("calibration") is None:
            raise WeightsError(
                f"{card.path}: has no calibration, so its scores order no worklist; "
                "train triage on more films, or install the weights that ship."
            )
        self._calibration = Calibration.from_json(card.content["calibration"])
        network = rebuild(TriageNetwork, card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def recalibrate(self, content: Mapping[str, Any]) -> None:
        """Use the calibration of a recalibrated card's content."""
        self._calibration = Calibration.from_json(content["calibration"])

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [{"triage": self._read(study["frontal"].value.pixels)} for study in studies]

    def _read(self, pixels: FloatImage) -> Artifact:
        framed = frame(pixels, self._size)
        score = triage_score(self._network, framed.pixels, torch.device(self.device))
        probability, interval = self._calibration.probability(score), self._calibration.interval(score)
        cut = self._calibration.operating_point
        state = _STATES[state_of(probability, interval, cut)]
        result = TriageResult(score, probability, interval, cut, state)
        return Artifact(result, history=framed.history())
