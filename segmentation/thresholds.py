"""Thresholds and the rule against false alarms, searched on validation films.

Every film is looked at once: the pixels above each threshold of a grid are counted, and all scores follow
from the counts. Inside is what lies *above* a threshold, so that the threshold 1 predicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from suite.study import FloatImage, Mask

Floats = NDArray[np.float64]
GRID: Floats = np.linspace(0.01, 1.0, 100)
"""The grid of the One-Case thesis."""

AREAS = (0.0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
"""Shares of a film that the search asks to be certain: a hundredth is a square a tenth of its side wide."""

Objective = Literal["dice", "dice_positives", "dice_pooled"]


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCounts:
    """Pixels of N films above T thresholds.

    Attributes:
        thresholds: (T,), rising, in [0, 1].
        claimed: (N, T) pixels above the threshold.
        hits: (N, T) those of them that are true.
        true: (N,) pixels of the truth.
        pixels: (N,) pixels of the whole film.
    """

    thresholds: Floats
    claimed: NDArray[np.int64]
    hits: NDArray[np.int64]
    true: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def dice(self) -> Floats:
        """Dice of each film at each threshold (N, T); 1 where nothing is claimed and nothing true."""
        total = self.claimed + self.true[:, None]
        return np.where(total == 0, 1.0, 2.0 * self.hits / np.maximum(total, 1))

    def curve(self, objective: Objective = "dice") -> Floats:
        """The score at each threshold (T,).

        Args:
            objective: ``dice`` - mean per film with the empty rule; ``dice_positives`` - mean over films with
                something in the truth, NaN without any; ``dice_pooled`` - all films as one.
        """
        if objective == "dice_pooled":
            total = self.claimed.sum(axis=0) + self.true.sum()
            return np.where(total == 0, 1.0, 2.0 * self.hits.sum(axis=0) / np.maximum(total, 1))
        kept = self.true > 0 if objective == "dice_positives" else np.ones(len(self.true), bool)
        return self.dice()[kept].mean(axis=0) if kept.any() else np.full(len(self.thresholds), np.nan)


def count_above(films: Iterable[tuple[FloatImage, Mask]], thresholds: Floats = GRID) -> ThresholdCounts:
    """Count every film's pixels above every threshold, one film in memory at a time.

    Args:
        films: probability in [0, 1] and truth (any non-zero value inside), both (H, W), of each film.
        thresholds: (T,), rising.
    """
    limits = np.asarray(thresholds, dtype=np.float32)
    claimed, hits, true, pixels = [], [], [], []
    for probability, truth in films:
        inside = truth > 0
        # how many of the thresholds a pixel lies above
        passed = np.searchsorted(limits, np.asarray(probability, np.float32), side="left")
        claimed.append(_above(passed, len(limits)))
        hits.append(_above(passed[inside], len(limits)))
        true.append(int(np.count_nonzero(inside)))
        pixels.append(inside.size)
    shape = (len(true), len(limits))
    return ThresholdCounts(
        np.asarray(thresholds, dtype=np.float64),
        np.array(claimed, dtype=np.int64).reshape(shape),
        np.array(hits, dtype=np.int64).reshape(shape),
        np.array(true, dtype=np.int64),
        np.array(pixels, dtype=np.int64),
    )


def stacked(films: Sequence[ThresholdCounts]) -> ThresholdCounts:
    """The counts of several films, all over the same thresholds, as one."""
    return ThresholdCounts(
        films[0].thresholds if films else GRID,
        np.concatenate([film.claimed for film in films]) if films else np.zeros((0, len(GRID)), np.int64),
        np.concatenate([film.hits for film in films]) if films else np.zeros((0, len(GRID)), np.int64),
        np.concatenate([film.true for film in films]) if films else np.zeros(0, np.int64),
        np.concatenate([film.pixels for film in films]) if films else np.zeros(0, np.int64),
    )


def _above(passed: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Pixels that passed more than k thresholds, for k = 0 .. count - 1."""
    each = np.bincount(passed.ravel(), minlength=count + 1)
    return each[::-1].cumsum()[::-1][1:]


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdSearch:
    """The best threshold, its score, and the whole curve (T,) over ``thresholds``."""

    threshold: float
    score: float
    thresholds: Floats
    curve: Floats


def search_threshold(counts: ThresholdCounts, objective: Objective = "dice") -> ThresholdSearch:
    """The threshold with the best score; of several equally good ones the middle."""
    curve = counts.curve(objective)
    best = np.flatnonzero(curve == curve.max())
    place = int(best[len(best) // 2]) if best.size else len(curve) // 2
    return ThresholdSearch(float(counts.thresholds[place]), float(curve[place]), counts.thresholds, curve)


@dataclass(frozen=True, slots=True)
class TripletRule:
    """A film has something only if enough of it is certain; what is outlined is then less strict.

    The rule of the SIIM-ACR pneumothorax challenge's winner: the mask is what lies above ``bottom``, if at
    least ``min_area`` of the film lies above ``top``, and empty otherwise; with ``min_area`` 0 a plain
    threshold. The winner counted pixels of films that were all of one matrix; a share says the same of any.

    Attributes:
        top, bottom: thresholds in [0, 1].
        min_area: share of the film's pixels, in [0, 1].
    """

    top: float
    min_area: float
    bottom: float

    @classmethod
    def plain(cls, threshold: float) -> TripletRule:
        """Nothing but a threshold."""
        return cls(threshold, 0.0, threshold)

    def __call__(self, probability: FloatImage) -> Mask:
        """The mask (H, W) in {0, 1} of a probability (H, W) in [0, 1]."""
        if np.count_nonzero(probability > np.float32(self.top)) / probability.size < self.min_area:
            return np.zeros(probability.shape, np.uint8)
        return (probability > np.float32(self.bottom)).astype(np.uint8)

    def of(self, counts: ThresholdCounts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels that the rule claims on each film, and those of them that are true: both (N,).

        Args:
            counts: over thresholds that ``top`` and ``bottom`` are among; the nearest ones are taken.
        """
        top, bottom = (int(np.argmin(np.abs(counts.thresholds - each))) for each in (self.top, self.bottom))
        kept = counts.claimed[:, top] / counts.pixels >= self.min_area
        return counts.claimed[:, bottom] * kept, counts.hits[:, bottom] * kept


@dataclass(frozen=True, slots=True, eq=False)
class TripletSearch:
    """The best rule, its mean Dice per film, and the score of every rule (top T, area A, bottom T).

    Rules whose ``bottom`` is above ``top`` are not considered: NaN.
    """

    rule: TripletRule
    score: float
    scores: Floats


def search_triplet(counts: ThresholdCounts, areas: Sequence[float] = AREAS) -> TripletSearch:
    """The rule with the best mean Dice per film over all tops, areas and bottoms of the grids.

    Of equally good rules the one with the smallest top, then area, then bottom.

    Args:
        counts: from validation films.
        areas: shares of the film, in [0, 1]; films may be of different matrices.
    """
    films, size = counts.claimed.shape
    nothing = (counts.true == 0).astype(np.float64)  # (N,): Dice of an empty mask
    gain = counts.dice() - nothing[:, None]  # (N, T): of the mask above each bottom over an empty one
    shares = counts.claimed / counts.pixels[:, None]  # (N, T)
    kept = shares[:, :, None] >= np.asarray(areas)  # (N, T, A)
    scores = nothing.mean() + np.einsum("nta,nb->tab", kept.astype(np.float64), gain, optimize=True) / films
    scores[np.triu_indices(size, 1)[0], :, np.triu_indices(size, 1)[1]] = np.nan
    top, area, bottom = np.unravel_index(int(np.nanargmax(scores)), scores.shape)
    thresholds = counts.thresholds
    rule = TripletRule(float(thresholds[top]), float(areas[int(area)]), float(thresholds[bottom]))
    return TripletSearch(rule, float(scores[top, area, bottom]), scores)
