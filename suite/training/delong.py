"""Comparing areas under ROC curves measured on the same films (DeLong 1988, fast: Sun & Xu 2014).

The area is the share of rightly ordered pairs. Each positive film has a placement, the share of negatives it
beats, and each negative one the share of positives that beat it; the spread of the placements is the spread
of the area. Averaged over networks of several seeds they give the test for the mean area. Several films of
one patient are one draw: their placements are added up before the spread is taken (Obuchowski 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

Values = npt.NDArray[np.float64]
Owners = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Placements:
    """Of the positive (m,) and of the negative films (n,), each in [0, 1], in the order of the films.

    ``owners``: number of the patient of each positive and of each negative film; ``None``: one film each.
    """

    positive: Values
    negative: Values
    owners: tuple[Owners, Owners] | None = None

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


def placements(truth: Values, scores: Values, patients: Sequence[str] | None = None) -> Placements:
    """Placements of films with labels (N,) in {0, 1} and scores (N,); equal scores count one half.

    Args:
        patients: whose film each is; ``None``: each film is of another patient.

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
    if patients is None or len(set(patients)) == len(patients):
        return Placements(positive, negative)
    owner = np.unique(np.asarray(patients), return_inverse=True)[1]
    return Placements(positive, negative, (owner[present], owner[~present]))


def mean_placements(parts: Sequence[Placements]) -> Placements:
    """Placements of the mean area of several networks on the same films."""
    return Placements(
        np.mean([part.positive for part in parts], axis=0),
        np.mean([part.negative for part in parts], axis=0),
        parts[0].owners,
    )


def variance(first: Placements, second: Placements | None = None) -> float:
    """Variance of an area over samples of patients, or of the difference of two on the same films.

    NaN where all films of a kind are one patient's: they say nothing of how others would differ.
    """
    positive = first.positive - (second.positive if second is not None else 0.0)
    negative = first.negative - (second.negative if second is not None else 0.0)
    if first.owners is None:
        if min(len(positive), len(negative)) < 2:
            return float("nan")
        return sum(float(part.var(ddof=1)) / len(part) for part in (positive, negative))
    if min(len(np.unique(owners)) for owners in first.owners) < 2:
        return float("nan")
    size = 1 + max(int(owners.max()) for owners in first.owners)
    added = np.zeros(size)
    for part, owners in zip((positive, negative), first.owners, strict=True):
        added += np.bincount(owners, (part - part.mean()) / len(part), minlength=size)
    count = len(np.unique(np.concatenate(first.owners)))
    return float((added**2).sum()) * count / (count - 1)


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
