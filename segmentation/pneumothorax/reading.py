"""What a mask network, with or without a gate, makes of a set of films: counts at every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segmentation.films import film_and_planes, over_films
from segmentation.pneumothorax.cascade import (
    gate_probabilities,
    gate_probability,
    mask_probabilities,
    mask_probability,
    outlined,
)
from segmentation.pneumothorax.cases import outline
from segmentation.pneumothorax.network import PneumothoraxGate, PneumothoraxUNet
from segmentation.thresholds import ThresholdCounts, count_above, stacked
from suite.datasets.manifest import Record
from suite.framing import frame
from suite.stages.weights import read_card, rebuild
from suite.study import FloatImage, Mask

LOOKS = ("argmax", "threshold", "tta")
"""How films are read, and when the gate says yes."""

HALF = 0.5
"""Where the two classes are equally probable: what argmax does with two of them."""


@dataclass(frozen=True, slots=True)
class System:
    """A mask network, and the gate it stands behind if it has one.

    Attributes:
        mask, mask_size: the network and the side of its input.
        gate, gate_size: likewise; ``None`` for a network that judges alone.
        gate_threshold: least output of the gate, mirrored film included, that lets a mask pass.
    """

    mask: nn.Module
    mask_size: int
    gate: nn.Module | None = None
    gate_size: int = 0
    gate_threshold: float = 0.5

    @property
    def device(self) -> torch.device:
        """Where its networks are."""
        return next(self.mask.parameters()).device

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> System:
        """The mask network of a weights file with its card beside it, on ``device``.

        Raises:
            WeightsError: there is none, or it is another network's.
        """
        card = read_card(weights.with_suffix(".json"))
        return cls(rebuild(PneumothoraxUNet, card).to(device), int(card.content["input"]["size"]))

    def behind(self, weights: Path) -> System:
        """This system behind the gate of a weights file, at its operating point.

        Raises:
            WeightsError: as for ``load``.
        """
        card = read_card(weights.with_suffix(".json"))
        gate = rebuild(PneumothoraxGate, card).to(self.device)
        return replace(
            self,
            gate=gate,
            gate_size=int(card.content["input"]["size"]),
            gate_threshold=float(card.content["operating_point"]["threshold"]),
        )

    def outlined(self, pixels: FloatImage, threshold: float) -> Mask:
        """As a reader is shown it, (H, W), 0 or 1: with the mirrored film, and where the gate says yes."""
        if self.gate is not None:
            told = gate_probability(self.gate, frame(pixels, self.gate_size).pixels, tta=True)
            if told < self.gate_threshold:
                return np.zeros(pixels.shape, np.uint8)
        framed = frame(pixels, self.mask_size)
        return outlined(framed.grid.invert(mask_probability(self.mask, framed.pixels, tta=True)), threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What N films came to.

    Attributes:
        counts: pixels above each threshold; none on films that the gate stops.
        scores: (N,) the gate's output, or where there is no gate the expected area of gas in pixels.
    """

    counts: ThresholdCounts
    scores: npt.NDArray[np.float64]


def read_films(system: System, records: Sequence[Record]) -> dict[str, Counted]:
    """Count the pixels of every film at its own resolution, each film read once for all ``LOOKS``.

    Returns:
        by look: ``argmax`` - the gate lets pass what it holds for as likely as not; ``threshold`` - at its
        own operating point; ``tta`` - the same with the mean of the film and its mirror image, in both
        networks.
    """
    films = over_films(partial(_read, system), records)
    return {
        look: Counted(stacked([film[look][0] for film in films]), np.array([film[look][1] for film in films]))
        for look in LOOKS
    }


def _read(system: System, record: Record) -> dict[str, tuple[ThresholdCounts, float]]:
    """Counts and detection score of one film by look; nothing is claimed where the gate says no."""
    pixels, planes = film_and_planes(record, outline)
    truth = planes[..., 0]
    told: tuple[float, float] | None = None
    if system.gate is not None:
        told = gate_probabilities(system.gate, frame(pixels, system.gate_size).pixels)
    framed = frame(pixels, system.mask_size)
    shares = [framed.grid.invert(each) for each in mask_probabilities(system.mask, framed.pixels)]
    found = {}
    for way, looks, cut in (("argmax", 0, HALF), ("threshold", 0, None), ("tta", 1, None)):
        share = shares[looks]
        score = float(share.sum()) if told is None else told[looks]
        if told is not None and score < (system.gate_threshold if cut is None else cut):
            share = np.zeros_like(share)
        found[way] = (count_above([(share, truth)]), score)
    return found
