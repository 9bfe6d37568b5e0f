"""Do probabilities mean what they say? Predicted probability against how often readers agreed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.records.agreement import Judgement, Share, Z
from suite.records.reviews import Verdict

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Suggestions of similar probability: their mean, and the share that readers accepted."""

    predicted: float
    observed: Share


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A calibration's probability at one score, with its 95 % interval."""

    score: float
    probability: float
    low: float
    high: float


def reliability(pairs: Sequence[tuple[float, bool]], bins: int = BINS) -> list[Bin]:
    """Bins of equal width in [0, 1] that hold anything.

    Args:
        pairs: predicted probability, and whether the finding was there.
    """
    held: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for probability, is_there in pairs:
        held[min(int(probability * bins), bins - 1)].append((probability, is_there))
    return [
        Bin(sum(p for p, _ in own) / len(own), Share(sum(there for _, there in own), len(own)))
        for own in held
        if own
    ]


def expected_calibration_error(found: Sequence[Bin]) -> float:
    """Mean distance of predicted and observed over the bins, weighted by their size; NaN without any."""
    total = sum(own.observed.n for own in found)
    if not total:
        return math.nan
    return sum(own.observed.n * abs(own.predicted - own.observed.value) for own in found) / total


def judged_probabilities(
    found: Sequence[Judgement], probabilities: Mapping[str, Mapping[str, float]]
) -> list[tuple[float, bool]]:
    """Probability and verdict of each judged suggestion.

    Args:
        probabilities: by job and finding; what is not in it is left out.
    """
    return [
        (probabilities[one.job_id][one.finding], one.is_present)
        for one in found
        if one.verdict is not Verdict.ADDED and one.finding in probabilities.get(one.job_id, {})
    ]


def calibration_curve(calibration: Mapping[str, Any], points: int = 41) -> list[CurvePoint]:
    """A model card's calibration as a curve around the score that it calls even.

    Args:
        calibration: ``slope``, ``intercept`` and ``covariance`` (variance of the slope, covariance, variance
            of the intercept) of Platt scaling, as model cards have them.
    """
    slope, intercept = float(calibration["slope"]), float(calibration["intercept"])
    var_slope, both, var_intercept = (float(value) for value in calibration["covariance"])
    middle, reach = -intercept / slope, 5.0 / abs(slope)
    curve = []
    for index in range(points):
        score = middle - reach + 2 * reach * index / (points - 1)
        logit = slope * score + intercept
        spread = Z * math.sqrt(max(0.0, score * score * var_slope + 2 * score * both + var_intercept))
        curve.append(CurvePoint(score, _sigmoid(logit), _sigmoid(logit - spread), _sigmoid(logit + spread)))
    return curve


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, logit))))
