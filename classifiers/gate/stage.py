"""The ``gate`` stage: whether a film is one that the other networks can read, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from classifiers.gate.checks import PLAIN_CHECKS
from classifiers.gate.judgement import LATERAL_CHECK, NETWORK_CHECKS, judge, judge_lateral
from suite.framing import Framed, frame
from suite.stages.artifacts import GateResult
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.stages.weights import load_into, shipped_card
from suite.study import Radiograph

if TYPE_CHECKING:
    from classifiers.gate.scores import GateScores


class GateStage:
    """Accepts or refuses a film before anything else speaks.

    Every check is in the result, passed or not, with what it measured; the caller decides which to override.
    The class names its checks without torch, so that a wrong name is told before any network is loaded.
    """

    name = "gate"
    needs = frozenset({"frontal"})
    uses = frozenset({"lateral"})
    makes = frozenset({"gate"})
    checks = (*PLAIN_CHECKS, *NETWORK_CHECKS, LATERAL_CHECK)

    def __init__(self, device: str = "cpu") -> None:
        import torch

        from classifiers.gate.network import GateNetwork

        card = shipped_card("classifiers", "gate")
        self.device = device
        self.weights_sha256: str | None = card.sha256
        self._size = int(card.content["input"]["size"])
        self._thresholds = {name: float(value) for name, value in card.content["thresholds"].items()}
        network = load_into(GateNetwork(**card.architecture), card)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
        return [self._judge(study) for study in studies]

    def _judge(self, study: Inputs) -> Outputs:
        film: Radiograph = study["frontal"].value
        framed, scores = self._scores(film)
        checks = [check(film) for check in PLAIN_CHECKS.values()] + list(judge(scores, self._thresholds))
        if "lateral" in study:
            checks.append(judge_lateral(self._scores(study["lateral"].value)[1], self._thresholds))
        return {"gate": Artifact(GateResult(tuple(checks)), history=framed.history())}

    def _scores(self, film: Radiograph) -> tuple[Framed, GateScores]:
        import torch

        from classifiers.gate.scores import gate_scores

        framed = frame(film.pixels, self._size)
        return framed, gate_scores(self._network, framed.pixels, torch.device(self.device))
