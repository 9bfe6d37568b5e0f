"""Figures of an ablation: areas with intervals, paired tests, hit rates, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.ablation.areas import Area, areas_by_finding, both_kinds, drawn_areas, points_of
from classifiers.ablation.differences import Difference, finding_differences, mean_differences, with_holm
from classifiers.ablation.plan import COMPARISONS
from classifiers.ablation.predictions import Scored
from classifiers.ablation.subgroups import by_subgroup, hit_rates
from suite.errors import StorageError
from suite.findings import CODES
from suite.training.intervals import DRAWS
from suite.training.patient_draws import patient_weights

Values = npt.NDArray[np.float64]
MANY = 20
"""Findings with fewer positive test studies are left out of the second mean."""

ALL, FREQUENT = "mean of all", f"mean of those with {MANY} or more"
ROWS = (*CODES, ALL, FREQUENT)
"""What tables and plots have a row for."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything the tables and plots show.

    Attributes:
        areas: by variant, then by finding and the two means.
        differences: of the comparisons both of whose variants were run.
        hits: hit rate of the frontal maps by variant and finding, and by chance under ``chance``.
        subgroups: mean area by variant, by ``attribute: value`` with the number of studies; ``n`` of its
            figure counts the findings.
        seeds: how many of each variant.
        studies, patients: of the test part.
        sets: names of the data sets that the studies are of.
    """

    areas: Mapping[str, Mapping[str, Area]]
    differences: Sequence[Difference]
    hits: Mapping[str, Mapping[str, float]]
    subgroups: Mapping[str, tuple[int, Mapping[str, Area]]]
    seeds: Mapping[str, int]
    studies: int
    patients: int
    sets: tuple[str, ...] = ()


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
    runs: Mapping[str, Sequence[Scored]],
    subgroups: Sequence[str] = (),
    seed: int = 0,
    draws: int = DRAWS,
    comparisons: Sequence[tuple[str, str]] = COMPARISONS,
) -> Statistics:
    """All figures of the finished ``runs`` (seeds by variant); ``comparisons`` are first minus second."""
    first = check_same_studies(runs)
    rng = np.random.default_rng(seed)
    weights = patient_weights(first.patients, rng, draws)
    measurable = [i for i in range(len(CODES)) if both_kinds(first.truth[:, i])]
    drawn = {name: drawn_areas(seeds, measurable, weights) for name, seeds in runs.items()}
    points = {name: points_of(seeds, measurable) for name, seeds in runs.items()}
    positives = [int(np.nansum(first.truth[:, i])) for i in range(len(CODES))]
    means = {ALL: measurable, FREQUENT: [i for i in measurable if positives[i] >= MANY]}
    areas = {
        name: areas_by_finding(points[name], drawn[name], measurable, means, positives, first.truth)
        for name in runs
    }
    differences = []
    for one, other in comparisons:
        if one in runs and other in runs:
            differences += finding_differences(one, other, runs, measurable)
            differences += mean_differences(one, other, points, drawn, measurable, means, rng)
    return Statistics(
        areas,
        with_holm(differences),
        hit_rates(runs),
        by_subgroup(runs, first, subgroups, weights),
        {name: len(seeds) for name, seeds in runs.items()},
        len(first.studies),
        len(set(first.patients)),
        tuple(sorted(set(first.attributes["source"]) - {""})),
    )
