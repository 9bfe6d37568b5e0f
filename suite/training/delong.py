"""Comparing areas under ROC curves measured on the same films (DeLong 1988, fast: Sun & Xu 2014).

The area is the share of rightly ordered pairs. Each positive film has a placement, the share of negatives it
beats, and each negative one the share of positives that beat it; the spread of the placements is the spread
of the area. Averaged over networks of several seeds they give the test for the mean area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placements:
    """Of the positive (m,) and of the negative films (n,), each in [0, 1], in the order of the films."""

    positive: Values
    negative: Values

    @property
    def auc(self) -> float:
        """Their mean; that of either kind is the same."""
        return float(self.positive.mean())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Area ``first`` minus area ``second``, its standard error, and the two-sided p of no difference."""

    first: float
    second: float
    error: float
    p: float

    @property
    def difference(self) -> float:
        return self.first - self.second

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference."""
        reach = float(norm.ppf(0.975)) * self.error
        return self.difference - reach, self.difference + reach


def placements(truth: Values, scores: Values) -> Placements:
    """Placements of films with labels (N,) in {0, 1} and scores (N,); equal scores count one half.

    Raises:
        ValueError: one kind of film is missing.
    """
    present = truth > 0
    m, n = int(present.sum()), int((~present).sum())
    if not m or not n:
        raise ValueError("an area needs films with and without the finding")
    ranks = rankdata(scores)
    positive = (ranks[present] - rankdata(scores[present])) / n
    negative = 1.0 - (ranks[~present] - rankdata(scores[~present])) / m
    return Placements(positive, negative)


def mean_placements(parts: Sequence[Placements]) -> Placements:
    """Placements of the mean area of several networks on the same films."""
    return Placements(
        np.mean([part.positive for part in parts], axis=0), np.mean([part.negative for part in parts], axis=0)
    )


def variance(first: Placements, second: Placements | None = None) -> float:
    """Variance of an area over samples of films, or of the difference of two on the same films."""
    positive = first.positive - (second.positive if second is not None else 0.0)
    negative = first.negative - (second.negative if second is not None else 0.0)
    total = 0.0
    for part in (positive, negative):
        if len(part) > 1:
            total += float(part.var(ddof=1)) / len(part)
    return total


def compare(first: Sequence[Placements], second: Sequence[Placements]) -> Comparison:
    """Mean areas of two kinds of networks, some seeds each, on the same films.

    The error joins two sources: which films were drawn (DeLong, paired), and which seeds: the spread of the
    difference over seeds that both have, or of each kind's own areas where they do not pair. With one seed
    each it is DeLong's test.
    """
    one, other = mean_placements(first), mean_placements(second)
    spread = variance(one, other) + _seed_variance([p.auc for p in first], [p.auc for p in second])
    difference, error = one.auc - other.auc, float(np.sqrt(spread))
    if error == 0.0:
        return Comparison(one.auc, other.auc, 0.0, 1.0 if difference == 0.0 else 0.0)
    return Comparison(one.auc, other.auc, error, float(2 * norm.sf(abs(difference) / error)))


def _seed_variance(first: Sequence[float], second: Sequence[float]) -> float:
    """Variance of the difference of two means over seeds, paired where they are as many."""
    if len(first) == len(second):
        apart = np.subtract(first, second)
        return float(apart.var(ddof=1)) / len(apart) if len(apart) > 1 else 0.0
    return sum(float(np.var(part, ddof=1)) / len(part) for part in (first, second) if len(part) > 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in their order; NaN stay and do not count."""
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    highest = 0.0
    for place, index in enumerate(known[np.argsort(values[known], kind="stable")]):
        highest = max(highest, min(1.0, float(values[index]) * (len(known) - place)))
        adjusted[index] = highest
    return [float(value) for value in adjusted]
