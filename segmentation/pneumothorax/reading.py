"""What a mask network, with or without a gate, makes of a set of films: counts at every threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from segmentation.pneumothorax.cascade import gate_probability, mask_probability
from segmentation.pneumothorax.cases import outline
from segmentation.pneumothorax.network import PneumothoraxGate, PneumothoraxUNet
from segmentation.thresholds import ThresholdCounts, count_above
from suite.datasets.manifest import Record
from suite.framing import frame
from suite.stages.weights import read_card, rebuild
from suite.study import FloatImage, Mask
from suite.training.films import load_film


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

    @classmethod
    def load(cls, weights: Path) -> System:
        """The mask network of a weights file with its card beside it.

        Raises:
            WeightsError: there is none, or it is another network's.
        """
        card = read_card(weights.with_suffix(".json"))
        return cls(rebuild(PneumothoraxUNet, card), int(card.content["input"]["size"]))

    def behind(self, weights: Path) -> System:
        """This system behind the gate of a weights file, at its operating point.

        Raises:
            WeightsError: as for ``load``.
        """
        card = read_card(weights.with_suffix(".json"))
        gate = rebuild(PneumothoraxGate, card).to(next(self.mask.parameters()).device)
        return replace(
            self,
            gate=gate,
            gate_size=int(card.content["input"]["size"]),
            gate_threshold=float(card.content["operating_point"]["threshold"]),
        )

    def outlined(self, pixels: FloatImage, threshold: float) -> Mask:
        """Gas (H, W), 0 or 1: above ``threshold`` with the mirrored film, and where the gate says yes."""
        probability, _ = _read(self, pixels, True, self.gate_threshold)
        return (probability > np.float32(threshold)).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What N films came to.

    Attributes:
        counts: pixels above each threshold; none on films that the gate stops.
        scores: (N,) the gate's output, or where there is no gate the expected area of gas in pixels.
    """

    counts: ThresholdCounts
    scores: npt.NDArray[np.float64]


def read_films(
    system: System, records: Sequence[Record], *, tta: bool, gate_threshold: float | None = None
) -> Counted:
    """Count the pixels of every film at its own resolution.

    Args:
        system: what reads them.
        records: films of a set with outlines.
        tta: mean with the mirrored film, in both networks.
        gate_threshold: instead of the system's own.
    """
    cut = system.gate_threshold if gate_threshold is None else gate_threshold
    scores: list[float] = []

    def films() -> Iterator[tuple[FloatImage, Mask]]:
        for record in records:
            probability, score = _read(system, load_film(record.frontal), tta, cut)
            scores.append(score)
            yield probability, outline(record)

    counts = count_above(films())
    return Counted(counts, np.array(scores))


def _read(system: System, pixels: FloatImage, tta: bool, cut: float) -> tuple[FloatImage, float]:
    """Probability of gas (H, W), nil where the gate says no; and the detection score."""
    told = None
    if system.gate is not None:
        told = gate_probability(system.gate, frame(pixels, system.gate_size).pixels, tta=tta)
        if told < cut:
            return np.zeros_like(pixels), told
    framed = frame(pixels, system.mask_size)
    probability = framed.grid.invert(mask_probability(system.mask, framed.pixels, tta=tta))
    return probability, float(probability.sum()) if told is None else told
