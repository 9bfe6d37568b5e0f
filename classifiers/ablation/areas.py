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
    """Whether labels (N,) in {0, 1, NaN} are known to be there and not to be there."""
    known = truth[~np.isnan(truth)]
    return bool(known.size and known.min() < known.max())


def _known(scored: Scored, finding: int) -> tuple[npt.NDArray[np.bool_], Values, Values]:
    known = ~np.isnan(scored.truth[:, finding])
    return known, scored.truth[known, finding], scored.scores[known, finding]


def points_of(seeds: Sequence[Scored], findings: Sequence[int]) -> Values:
    """Areas (seeds, findings)."""
    return np.array([[placed(scored, i).auc for i in findings] for scored in seeds]).reshape(len(seeds), -1)


def placed(scored: Scored, finding: int) -> Placements:
    """DeLong's placements of the studies that know the finding, one draw a patient."""
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
    """Areas of one kind of network: of each finding, then its means; NaN where there is none.

    Args:
        points: areas (seeds, F) of the ``measurable`` findings.
        drawn: the same of each draw of the bootstrap, (seeds, F, draws).
        measurable: indices of the F findings in ``CODES``.
        means: by name, the indices of the findings that a mean is over.
        positives: how many studies have each of the 13 findings.
        truth: labels (N, 13) in {0, 1, NaN}.
    """
    known = (~np.isnan(truth)).sum(0)
    areas: dict[str, Area] = {}
    for index, code in enumerate(CODES):
        n, present = int(known[index]), positives[index]
        if index in measurable:
            column = measurable.index(index)
            areas[code] = _area(points[:, column], drawn[:, column], n, present)
        else:
            areas[code] = Area(Figure(math.nan, n=n), math.nan, present)
    for name, members in means.items():
        columns = [measurable.index(index) for index in members]
        areas[name] = _mean(points[:, columns], drawn[:, columns], sum(positives[i] for i in members))
    return areas


def mean_area(seeds: Sequence[Scored], findings: Sequence[int], weights: Values) -> Area:
    """The mean over ``findings`` of one kind of network; NaN where there is none.

    Args:
        seeds: its networks.
        findings: indices of those that have studies of both kinds.
        weights: of the bootstrap over patients (draws, N).
    """
    positives = int(np.nansum(seeds[0].truth[:, findings]))
    return _mean(points_of(seeds, findings), drawn_areas(seeds, findings, weights), positives)


def _mean(points: Values, drawn: Values, positives: int) -> Area:
    """Over the findings of areas (seeds, F) and their draws (seeds, F, draws)."""
    count = points.shape[1]
    if not count:
        return Area(Figure(math.nan, n=0), math.nan, 0)
    return _area(points.mean(1), mean_of_known(drawn, 1), count, positives)


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
