"""Areas under the ROC curve of an ablation's networks: by finding, and their means, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.ablation.predictions import Scored
from suite.findings import CODES
from suite.training.delong import Placements, placements
from suite.training.evaluation import Figure
from suite.training.patient_draws import weighted_areas

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the ROC curve of one kind of network, mean over its seeds.

    ``interval`` is by bootstrap over patients, ``seed_deviation`` the standard deviation over seeds.
    """

    figure: Figure
    seed_deviation: float
    positives: int


def both_kinds(truth: Values) -> bool:
    known = truth[~np.isnan(truth)]
    return bool(known.size and known.min() < known.max())


def _known(scored: Scored, finding: int) -> tuple[npt.NDArray[np.bool_], Values, Values]:
    known = ~np.isnan(scored.truth[:, finding])
    return known, scored.truth[known, finding], scored.scores[known, finding]


def points_of(seeds: Sequence[Scored], findings: Sequence[int]) -> Values:
    """Areas (seeds, findings)."""
    return np.array([[placed(scored, i).auc for i in findings] for scored in seeds]).reshape(len(seeds), -1)


def placed(scored: Scored, finding: int) -> Placements:
    known, truth, scores = _known(scored, finding)
    return placements(truth, scores, np.asarray(scored.patients)[known].tolist())


def drawn_areas(seeds: Sequence[Scored], findings: Sequence[int], weights: Values) -> Values:
    """Areas (seeds, findings, draws) of the bootstrap."""
    out = np.empty((len(seeds), len(findings), len(weights)))
    for row, scored in enumerate(seeds):
        for column, finding in enumerate(findings):
            known, truth, scores = _known(scored, finding)
            out[row, column] = weighted_areas(truth, scores, weights[:, known])
    return out


def areas_by_finding(
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
                mean_of_known(drawn[:, columns], 1),
                len(columns),
                sum(positives[i] for i in members),
            )
        else:
            areas[name] = Area(Figure(math.nan), math.nan, 0)
    return areas


def mean_of_known(values: Values, axis: int) -> Values:
    """Mean without NaN; a draw without a rare finding is the mean of the others, one without any is NaN."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _area(points: Values, drawn: Values, n: int, positives: int) -> Area:
    low, high = np.nanpercentile(drawn.mean(0), (2.5, 97.5))
    deviation = float(points.std(ddof=1)) if len(points) > 1 else math.nan
    return Area(Figure(float(points.mean()), float(low), float(high), n), deviation, positives)
