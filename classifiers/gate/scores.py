"""From the network's logits to the four questions the gate asks, each one log-odds against one threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp
from torch import nn

from classifiers.gate.network import TURNS, VIEWS, split
from suite.study import FloatImage

QUESTIONS = ("not_frontal", "turned", "inverted", "mirrored")
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GateScores:
    """What the network makes of one film.

    Attributes:
        odds: log-odds of each of ``QUESTIONS``; positive means more likely than not.
        view: probability of each view.
        other_view: the likeliest view that is not frontal.
        turn: the likeliest turn that is not upright, degrees counter-clockwise.
    """

    odds: Mapping[str, float]
    view: Mapping[str, float]
    other_view: str
    turn: int


def gate_scores(network: nn.Module, framed: FloatImage, device: torch.device) -> GateScores:
    """Scores of one framed film (128, 128)."""
    return batch_scores(network, framed[None], device)[0]


def batch_scores(network: nn.Module, framed: FloatImage, device: torch.device) -> list[GateScores]:
    """Scores of framed films (B, 128, 128)."""
    films = torch.from_numpy(framed)[:, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        named = split(network(films).double().cpu())
    view, turn = named.view.numpy(), named.turn.numpy()
    inverted, mirrored = named.inverted.tolist(), named.mirrored.tolist()
    return [_scores(view[i], turn[i], inverted[i], mirrored[i]) for i in range(len(framed))]


def _scores(view: Values, turn: Values, inverted: float, mirrored: float) -> GateScores:
    shares = np.exp(view - logsumexp(view))
    odds = (_against_first(view), _against_first(turn), inverted, mirrored)
    return GateScores(
        dict(zip(QUESTIONS, odds, strict=True)),
        dict(zip(VIEWS, shares.tolist(), strict=True)),
        VIEWS[1 + int(np.argmax(view[1:]))],
        TURNS[1 + int(np.argmax(turn[1:]))],
    )


def _against_first(logits: Values) -> float:
    return float(logsumexp(logits[1:]) - logits[0])
