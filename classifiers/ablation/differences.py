"""Differences between an ablation's networks: DeLong's test by finding, a bootstrap for means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifiers.ablation.areas import mean_of_known, placed
from classifiers.ablation.predictions import Scored
from suite.findings import CODES
from suite.training.delong import compare, holm

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second: a finding's areas, or a mean's (its interval bootstrapped, ``p`` NaN)."""

    first: str
    second: str
    finding: str
    value: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan


def finding_differences(
    one: str, other: str, runs: Mapping[str, Sequence[Scored]], measurable: Sequence[int]
) -> list[Difference]:
    """DeLong's paired test of each ``measurable`` finding (indices in ``CODES``), seeds of both averaged."""
    found = []
    for index in measurable:
        result = compare([placed(s, index) for s in runs[one]], [placed(s, index) for s in runs[other]])
        low, high = result.interval
        found.append(Difference(one, other, CODES[index], result.difference, low, high, result.p))
    return found


def mean_differences(
    one: str,
    other: str,
    points: Mapping[str, Values],
    drawn: Mapping[str, Values],
    measurable: Sequence[int],
    means: Mapping[str, Sequence[int]],
    rng: np.random.Generator,
) -> list[Difference]:
    """Differences of the means; the draws are of patients and of seeds."""
    found = []
    for name, members in means.items():
        columns = [measurable.index(index) for index in members]
        if not columns:
            continue
        value = float(points[one][:, columns].mean() - points[other][:, columns].mean())
        replicates = _seed_draws(
            mean_of_known(drawn[one][:, columns], 1), mean_of_known(drawn[other][:, columns], 1), rng
        )
        low, high = np.nanpercentile(replicates, (2.5, 97.5))
        found.append(Difference(one, other, name, value, float(low), float(high), math.nan))
    return found


def _seed_draws(first: Values, second: Values, rng: np.random.Generator) -> Values:
    """Differences (draws,) of means over seeds drawn anew in each draw, in pairs where they are as many."""
    draws = first.shape[1]
    chosen = rng.integers(0, len(first), (len(first), draws))
    paired = len(first) == len(second)
    others = chosen if paired else rng.integers(0, len(second), (len(second), draws))
    across = np.arange(draws)
    return np.asarray(first[chosen, across].mean(0) - second[others, across].mean(0))


def with_holm(differences: Sequence[Difference]) -> list[Difference]:
    """p values corrected for all tests of all comparisons together."""
    adjusted = holm([difference.p for difference in differences])
    return [replace(difference, p_holm=p) for difference, p in zip(differences, adjusted, strict=True)]
