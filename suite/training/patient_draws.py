"""Patients drawn with replacement, as weights of their films: areas of many draws at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from suite.training.intervals import DRAWS

Values = npt.NDArray[np.float64]
_AT_ONCE = 2_000_000
"""Most weights held at a time."""


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


def patient_weight_blocks(
    patients: Sequence[str] | npt.NDArray[np.str_], rng: np.random.Generator, draws: int = DRAWS
) -> Iterator[Values]:
    """Weights (D, N) of N films, in blocks of draws: how often each film's patient was drawn."""
    owners, inverse = np.unique(np.asarray(patients), return_inverse=True)
    block = max(1, _AT_ONCE // max(1, len(inverse)))
    shares = np.full(len(owners), 1.0 / len(owners))
    for first in range(0, draws, block):
        counts = rng.multinomial(len(owners), shares, size=min(block, draws - first))
        yield counts[:, inverse].astype(np.float64)


def patient_weights(
    patients: Sequence[str] | npt.NDArray[np.str_], rng: np.random.Generator, draws: int = DRAWS
) -> Values:
    """The weights (draws, N) of all blocks together, for what asks several questions of the same draws."""
    return np.concatenate(list(patient_weight_blocks(patients, rng, draws)))
