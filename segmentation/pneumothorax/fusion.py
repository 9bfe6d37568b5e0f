"""The gate fused with the mask network: how much gas that outlines says something of whether there is any.

Each of the two scores becomes its place among the scores of the validation films, from 0 for the lowest to 1
for the highest, and the mean of the two places is the fused score. Neither labels nor test films have a say
in it, and no weight is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segmentation.films import over_films
from segmentation.pneumothorax.cascade import mask_probability
from segmentation.pneumothorax.reading import System
from suite.datasets.manifest import Record
from suite.framing import frame
from suite.study import FloatImage
from suite.training.evaluation import Figure
from suite.training.films import load_film
from suite.training.intervals import auc, auc_figure, bootstrap

Scores = npt.NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]

NOTE = (
    "area: share of the film that the mask network expects to be gas, in the mean with its mirror image; "
    "fused: the mean of the places of gate and area among the validation films; fused_gain: its AUC less the "
    "gate's, paired."
)


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """A mask network, and what gate and network said of the validation films.

    Attributes:
        system: the mask network; a gate before it is not asked.
        gate: (N,) the gate's outputs.
        area: (N,) the expected areas, as shares of the film.
    """

    system: System
    gate: Scores
    area: Scores

    @classmethod
    def settled(cls, weights: Path, device: torch.device, kept: Sequence[Record], gate: Scores) -> Fusion:
        """The fusion with the mask network of a weights file, settled on films that were kept back.

        Args:
            weights: of recipe ``pneumothorax-mask``, beside their card.
            device: where the network is to be.
            kept: validation films.
            gate: (N,) the gate's output for each of them.

        Raises:
            WeightsError: there are none, or they are another network's.
        """
        system = System.load(weights, device)
        return cls(system, gate, areas(system, kept))

    def added(self, rows: Rows, records: Sequence[Record]) -> list[dict[str, Any]]:
        """The rows of films with ``area`` and ``fused`` beside their ``gate``."""
        told, expected = np.array([float(row["gate"]) for row in rows]), areas(self.system, records)
        fused = (place_among(self.gate, told) + place_among(self.area, expected)) / 2
        return [
            {**row, "area": float(area), "fused": float(score)}
            for row, area, score in zip(rows, expected, fused, strict=True)
        ]


def areas(system: System, records: Sequence[Record]) -> Scores:
    """The share of each film (N,) that a mask network expects to be gas."""
    return np.array(over_films(lambda record: expected_area(system, load_film(record.frontal)), records))


def expected_area(system: System, pixels: FloatImage) -> float:
    """Mean probability of gas over a film (H, W) in [0, 1], itself and its mirror image."""
    framed = frame(pixels, system.mask_size)
    return float(framed.grid.invert(mask_probability(system.mask, framed.pixels, tta=True)).mean())


def place_among(kept: Scores, scores: Scores) -> Scores:
    """Where ``scores`` lie among the ``kept`` ones: 0 at the lowest, 1 at the highest, linear in between."""
    return np.interp(scores, np.sort(kept), np.linspace(0, 1, len(kept)))


def figures(rows: Rows, seed: int) -> dict[str, Figure]:
    """``area_auc``, ``fused_auc`` and ``fused_gain_auc`` of the films of ``rows``; NaN with one kind alone.

    The draws begin with ``seed``, so that a set that is measured alone has the figures of all its rows.
    """
    rng = np.random.default_rng(seed)
    owners = [str(row["patient"]) for row in rows]
    truth, gate, area, fused = (
        np.array([float(row[key]) for row in rows]) for key in ("pneumothorax", "gate", "area", "fused")
    )

    def gain(chosen: npt.NDArray[np.intp]) -> float:
        return auc(truth[chosen], fused[chosen]) - auc(truth[chosen], gate[chosen])

    return {
        "area_auc": auc_figure(truth, area, owners, rng),
        "fused_auc": auc_figure(truth, fused, owners, rng),
        "fused_gain_auc": bootstrap(gain, owners, rng),
    }


def figures_by_dataset(rows: Rows, seed: int) -> dict[str, dict[str, Figure]]:
    """``figures`` of each data set of the rows."""
    names = dict.fromkeys(str(row["dataset"]) for row in rows)
    return {name: figures([row for row in rows if row["dataset"] == name], seed) for name in names}
