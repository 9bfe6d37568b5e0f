"""Figures of an ablation: areas with intervals, paired tests, hit rates, subgroups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifiers.ablation_plan import COMPARISONS
from classifiers.ablation_predictions import Scored
from suite.errors import StorageError
from suite.findings import CODES
from suite.training.delong import Placements, compare, holm, placements
from suite.training.evaluation import Figure
from suite.training.intervals import DRAWS

Values = npt.NDArray[np.float64]
MANY = 20
"""Findings with fewer positive test studies are left out of the second mean."""

ALL, FREQUENT = "mean of all", f"mean of those with {MANY} or more"
AGE_GROUPS = ((0, 40, "under 40"), (40, 65, "40 to 64"), (65, 200, "65 and older"))


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the ROC curve of one kind of network, mean over its seeds.

    ``interval`` is by bootstrap over patients, ``seed_deviation`` the standard deviation over seeds.
    """

    figure: Figure
    seed_deviation: float
    positives: int


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


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything the tables and plots show.

    Attributes:
        areas: by variant, then by finding and the two means.
        differences: of the comparisons both of whose variants were run.
        hits: hit rate of the frontal maps by variant and finding, and by chance under ``chance``.
        subgroups: mean area by variant, by ``attribute: value`` with the number of studies.
        seeds: how many of each variant.
        studies, patients: of the test part.
        sets: names of the data sets that the studies are of.
    """

    areas: Mapping[str, Mapping[str, Area]]
    differences: Sequence[Difference]
    hits: Mapping[str, Mapping[str, float]]
    subgroups: Mapping[str, tuple[int, Mapping[str, float]]]
    seeds: Mapping[str, int]
    studies: int
    patients: int
    sets: tuple[str, ...] = ()


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


def check_same_studies(runs: Mapping[str, Sequence[Scored]]) -> Scored:
    """The first run, once it is known that all were measured on the same studies.

    Raises:
        StorageError: they were not.
    """
    every = [scored for seeds in runs.values() for scored in seeds]
    for scored in every[1:]:
        same_truth = scored.studies == every[0].studies and np.array_equal(
            scored.truth, every[0].truth, equal_nan=True
        )
        if not same_truth:
            raise StorageError(
                "the finished runs were measured on other studies or labels; start again in another folder."
            )
    return every[0]


def summarise(
    runs: Mapping[str, Sequence[Scored]], subgroups: Sequence[str] = (), seed: int = 0, draws: int = DRAWS
) -> Statistics:
    """All figures of the finished ``runs`` (seeds by variant)."""
    first = check_same_studies(runs)
    rng = np.random.default_rng(seed)
    weights = patient_weights(first.patients, rng, draws)
    measurable = [i for i in range(len(CODES)) if _both_kinds(first.truth[:, i])]
    drawn = {name: _drawn(seeds, measurable, weights) for name, seeds in runs.items()}
    points = {name: _points(seeds, measurable) for name, seeds in runs.items()}
    positives = [int(np.nansum(first.truth[:, i])) for i in range(len(CODES))]
    means = {ALL: measurable, FREQUENT: [i for i in measurable if positives[i] >= MANY]}
    areas = {
        name: _areas(points[name], drawn[name], measurable, means, positives, first.truth) for name in runs
    }
    differences = []
    for one, other in COMPARISONS:
        if one in runs and other in runs:
            differences += _finding_differences(one, other, runs, measurable)
            differences += _mean_differences(one, other, points, drawn, measurable, means, rng)
    return Statistics(
        areas,
        _with_holm(differences),
        _hit_rates(runs),
        _by_subgroup(runs, first, subgroups),
        {name: len(seeds) for name, seeds in runs.items()},
        len(first.studies),
        len(set(first.patients)),
        tuple(sorted(set(first.attributes["source"]) - {""})),
    )


def _both_kinds(truth: Values) -> bool:
    known = truth[~np.isnan(truth)]
    return bool(known.size and known.min() < known.max())


def _known(scored: Scored, finding: int) -> tuple[npt.NDArray[np.bool_], Values, Values]:
    known = ~np.isnan(scored.truth[:, finding])
    return known, scored.truth[known, finding], scored.scores[known, finding]


def _points(seeds: Sequence[Scored], findings: Sequence[int]) -> Values:
    """Areas (seeds, findings)."""
    return np.array([[_placed(scored, i).auc for i in findings] for scored in seeds]).reshape(len(seeds), -1)


def _placed(scored: Scored, finding: int) -> Placements:
    known, truth, scores = _known(scored, finding)
    return placements(truth, scores, np.asarray(scored.patients)[known].tolist())


def _drawn(seeds: Sequence[Scored], findings: Sequence[int], weights: Values) -> Values:
    """Areas (seeds, findings, draws) of the bootstrap."""
    out = np.empty((len(seeds), len(findings), len(weights)))
    for row, scored in enumerate(seeds):
        for column, finding in enumerate(findings):
            known, truth, scores = _known(scored, finding)
            out[row, column] = weighted_areas(truth, scores, weights[:, known])
    return out


def _areas(
    points: Values,
    drawn: Values,
    measurable: Sequence[int],
    means: Mapping[str, Sequence[int]],
    positives: Sequence[int],
    truth: Values,
) -> dict[str, Area]:
    areas: dict[str, Area] = {}
    for index, code in enumerate(CODES):
        if index not in measurable:
            areas[code] = Area(
                Figure(math.nan, n=int((~np.isnan(truth[:, index])).sum())), math.nan, positives[index]
            )
            continue
        column = measurable.index(index)
        known = int((~np.isnan(truth[:, index])).sum())
        areas[code] = _area(points[:, column], drawn[:, column], known, positives[index])
    for name, members in means.items():
        columns = [measurable.index(index) for index in members]
        if columns:
            areas[name] = _area(
                points[:, columns].mean(1),
                _mean(drawn[:, columns], 1),
                len(columns),
                sum(positives[i] for i in members),
            )
        else:
            areas[name] = Area(Figure(math.nan), math.nan, 0)
    return areas


def _mean(values: Values, axis: int) -> Values:
    """Mean without NaN; a draw without a rare finding is the mean of the others, one without any is NaN."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _area(points: Values, drawn: Values, n: int, positives: int) -> Area:
    low, high = np.nanpercentile(drawn.mean(0), (2.5, 97.5))
    deviation = float(points.std(ddof=1)) if len(points) > 1 else math.nan
    return Area(Figure(float(points.mean()), float(low), float(high), n), deviation, positives)


def _finding_differences(
    one: str, other: str, runs: Mapping[str, Sequence[Scored]], measurable: Sequence[int]
) -> list[Difference]:
    found = []
    for index in measurable:
        result = compare([_placed(s, index) for s in runs[one]], [_placed(s, index) for s in runs[other]])
        low, high = result.interval
        found.append(Difference(one, other, CODES[index], result.difference, low, high, result.p))
    return found


def _mean_differences(
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
        replicates = _seed_draws(_mean(drawn[one][:, columns], 1), _mean(drawn[other][:, columns], 1), rng)
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


def _with_holm(differences: Sequence[Difference]) -> list[Difference]:
    """p values corrected for all tests of all comparisons together."""
    adjusted = holm([difference.p for difference in differences])
    return [replace(difference, p_holm=p) for difference, p in zip(differences, adjusted, strict=True)]


def _hit_rates(runs: Mapping[str, Sequence[Scored]]) -> dict[str, dict[str, float]]:
    """Hit rates of studies that have the finding in view, mean over seeds."""
    rates: dict[str, dict[str, float]] = {}
    chance: dict[str, float] = {}
    for name, seeds in runs.items():
        rates[name] = {}
        for index, code in enumerate(CODES):
            hits = np.stack([scored.hits[:, index] for scored in seeds])
            if not np.isnan(hits).all():
                rates[name][code] = float(np.nanmean(hits))
                chance[code] = float(np.nanmean(seeds[0].areas[:, index]))
    return {**rates, "chance": chance} if chance else {}


def _by_subgroup(
    runs: Mapping[str, Sequence[Scored]], first: Scored, attributes: Sequence[str]
) -> dict[str, tuple[int, dict[str, float]]]:
    """Mean area over findings with both kinds in the group."""
    out: dict[str, tuple[int, dict[str, float]]] = {}
    for attribute in attributes:
        values = [_group(attribute, value) for value in first.attributes[attribute]]
        for group in sorted(set(values) - {""}):
            rows = np.array([value == group for value in values])
            means = {name: _group_mean(seeds, rows) for name, seeds in runs.items()}
            out[f"{attribute}: {group}"] = int(rows.sum()), means
    return out


def _group(attribute: str, value: str) -> str:
    if attribute != "age":
        return value
    try:
        years = float(value)
    except ValueError:
        return ""
    return next((name for low, high, name in AGE_GROUPS if low <= years < high), "")


def _group_mean(seeds: Sequence[Scored], rows: npt.NDArray[np.bool_]) -> float:
    values = []
    for scored in seeds:
        for index in range(len(CODES)):
            truth, scores = scored.truth[rows, index], scored.scores[rows, index]
            if _both_kinds(truth):
                known = ~np.isnan(truth)
                values.append(placements(truth[known], scores[known]).auc)
    return float(np.mean(values)) if values else math.nan
