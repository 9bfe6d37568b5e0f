"""Metrics with 95 % intervals from a bootstrap over patients (1,000 draws), CheXlocalize's convention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from suite.training.evaluation import Figure

Values = npt.NDArray[np.float64]
DRAWS = 1000


def bootstrap(
    statistic: Callable[[npt.NDArray[np.intp]], float],
    patients: Sequence[str],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Figure:
    """``statistic`` of all rows, with the 2.5th and 97.5th percentile over patients drawn with replacement.

    Args:
        statistic: maps row indices to a number, or NaN when the rows do not allow one.
        patients: the patient of each row; rows of a patient are drawn together.
        rng: generator of the draws.
        draws: number of replicates.

    Returns:
        the figure; NaN where there is no row.
    """
    owners = np.asarray(patients)
    if not owners.size:
        return Figure(float("nan"))
    _, inverse = np.unique(owners, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    replicates = []
    for _ in range(draws):
        chosen = rng.integers(0, len(groups), len(groups))
        # one film a patient: no need to put their rows together
        rows = order[chosen] if len(groups) == len(owners) else np.concatenate([groups[c] for c in chosen])
        replicates.append(statistic(rows))
    kept = np.asarray(replicates)[~np.isnan(replicates)]
    low, high = np.percentile(kept, (2.5, 97.5)) if kept.size else (np.nan, np.nan)
    return Figure(statistic(np.arange(len(owners))), float(low), float(high), len(owners))


def mean_figure(values: Values, patients: Sequence[str], rng: np.random.Generator) -> Figure:
    """Mean of per-film values (N,), NaN ignored."""
    known = ~np.isnan(values)
    kept = values[known]
    owners = [patient for patient, keep in zip(patients, known, strict=True) if keep]
    if not owners:
        return Figure(float("nan"))
    return bootstrap(lambda rows: float(kept[rows].mean()), owners, rng)


def auc_figure(labels: Values, scores: Values, patients: Sequence[str], rng: np.random.Generator) -> Figure:
    """Area under the ROC curve; films with an unknown label (NaN) are left out; NaN with one class only."""
    known = ~np.isnan(labels)
    truth, score = labels[known], scores[known]
    owners = [patient for patient, keep in zip(patients, known, strict=True) if keep]

    def statistic(rows: npt.NDArray[np.intp]) -> float:
        part = truth[rows]
        if part.min() == part.max():
            return float("nan")
        return _auc(part, score[rows])

    if not owners or truth.min() == truth.max():
        return Figure(float("nan"), n=len(owners))
    return bootstrap(statistic, owners, rng)


def auc(labels: Values, scores: Values) -> float:
    """Area under the ROC curve of labels (N,) in {0, 1, NaN}; NaN when one kind is missing."""
    known = ~np.isnan(labels)
    truth = labels[known]
    if not truth.size or truth.min() == truth.max():
        return float("nan")
    return _auc(truth, scores[known])


def _auc(truth: Values, score: Values) -> float:
    """The share of rightly ordered pairs (Mann and Whitney), ties one half."""
    positives = truth.sum()
    negatives = len(truth) - positives
    ranks = rankdata(score)[truth > 0].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))
