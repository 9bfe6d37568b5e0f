"""Patients drawn with replacement, as weights of their films: areas of many draws at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from suite.training.intervals import DRAWS

Values = npt.NDArray[np.float64]


def weighted_areas(truth: Values, scores: Values, weights: Values) -> Values:
    """Areas (D,) of films (N,) counted ``weights`` (D, N) times; NaN where a kind has no weight."""
    order = np.argsort(scores, kind="stable")
    ranked, present = scores[order], truth[order] > 0
    counts = weights[:, order]
    negatives, positives = counts * ~present, counts * present
    below = np.concatenate((np.zeros((len(counts), 1)), np.cumsum(negatives, axis=1)), axis=1)
    first = np.searchsorted(ranked, ranked, "left")
    last = np.searchsorted(ranked, ranked, "right")
    beaten = (below[:, first] + below[:, last]) / 2
    pairs = positives.sum(1) * negatives.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positives * beaten).sum(1) / pairs)


def patient_weights(patients: Sequence[str], rng: np.random.Generator, draws: int = DRAWS) -> Values:
    """How often each row counts in each draw of patients with replacement (draws, N)."""
    owners, inverse = np.unique(np.asarray(patients), return_inverse=True)
    chosen = rng.integers(0, len(owners), (draws, len(owners)))
    counts = np.stack([np.bincount(row, minlength=len(owners)) for row in chosen])
    return counts[:, inverse].astype(np.float64)
