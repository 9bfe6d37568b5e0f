"""From scores to probabilities, with the interval the size of the calibration set allows (Platt 1999)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Values = npt.NDArray[np.float64]

MIN_POSITIVES = 5
"""Fewer cases of either kind than this cannot calibrate a score; it is then shown as a score."""

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Calibration:
    """``p = sigmoid(slope * score + intercept)`` with the covariance of its two parameters.

    Attributes:
        slope, intercept: of Platt scaling.
        covariance: (var slope, covariance, var intercept), inverse Hessian of the fit.
        operating_point: probability at and above which a finding is suggested.
        rule: how the operating point was chosen.
        source: what films it was fitted on.
        positives, negatives: how many.
    """

    slope: float
    intercept: float
    covariance: tuple[float, float, float]
    operating_point: float
    rule: str
    source: str
    positives: int
    negatives: int

    def probability(self, score: float) -> float:
        """Calibrated probability of a logit."""
        return float(expit(self.slope * score + self.intercept))

    def interval(self, score: float) -> tuple[float, float]:
        """95 % interval of the probability from the calibration's own uncertainty."""
        centre = self.slope * score + self.intercept
        var_slope, both, var_intercept = self.covariance
        spread = _Z * math.sqrt(max(0.0, score * score * var_slope + 2.0 * score * both + var_intercept))
        return float(expit(centre - spread)), float(expit(centre + spread))

    def as_json(self) -> dict[str, Any]:
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "covariance": list(self.covariance),
            "operating_point": self.operating_point,
            "rule": self.rule,
            "source": self.source,
            "positives": self.positives,
            "negatives": self.negatives,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(**{**content, "covariance": tuple(content["covariance"])})


def fit_calibration(labels: Values, scores: Values, source: str) -> Calibration | None:
    """Platt scaling of logits (N,) against labels (N,) in {0, 1, NaN}; ``None`` with too few cases of a kind.

    Targets are Platt's smoothed ones, so that separable scores do not give certainty.
    """
    known = ~np.isnan(labels)
    truth, score = labels[known], scores[known]
    positives, negatives = int(truth.sum()), int((1 - truth).sum())
    if min(positives, negatives) < MIN_POSITIVES:
        return None
    target = np.where(truth > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept, covariance = _logistic(score, target)
    probability = expit(slope * score + intercept)
    return Calibration(
        slope, intercept, covariance, youden(truth, probability), "Youden's J", source, positives, negatives
    )


def _logistic(score: Values, target: Values) -> tuple[float, float, tuple[float, float, float]]:
    """Newton's method for two parameters, with a faint prior that keeps the Hessian invertible.

    Each step is halved until it lowers the loss, which is convex: far-off scores make the Hessian vanish, and
    whole steps would then jump to and fro.
    """
    design = np.stack((score, np.ones_like(score)), axis=1)
    centre, prior = np.array([1.0, 0.0]), 1e-3

    def loss(parameters: Values) -> float:
        logits = design @ parameters
        apart = parameters - centre
        return float((np.logaddexp(0.0, logits) - target * logits).sum() + 0.5 * prior * (apart @ apart))

    def hessian(parameters: Values) -> Values:
        probability = expit(design @ parameters)
        weight = probability * (1 - probability)
        return np.asarray(design.T @ (design * weight[:, None]) + prior * np.eye(2))

    parameters = centre
    for _ in range(100):
        slope = design.T @ (expit(design @ parameters) - target) + prior * (parameters - centre)
        step = np.linalg.solve(hessian(parameters), slope)
        while np.abs(step).max() > 1e-9 and loss(parameters - step) > loss(parameters):
            step = step / 2
        parameters = parameters - step
        if np.abs(step).max() <= 1e-9:
            break
    inverse = np.linalg.inv(hessian(parameters))
    covariance = (float(inverse[0, 0]), float(inverse[0, 1]), float(inverse[1, 1]))
    return float(parameters[0]), float(parameters[1]), covariance


def youden(truth: Values, probability: Values) -> float:
    """The probability that maximises sensitivity + specificity - 1, midway to the next lower one."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(truth[order]) / truth.sum()
    alarms = np.cumsum(1 - truth[order]) / (1 - truth).sum()
    ranked = probability[order]
    distinct = np.append(ranked[:-1] != ranked[1:], True)
    best = int(np.argmax(np.where(distinct, hits - alarms, -1.0)))
    following = ranked[best + 1] if best + 1 < len(ranked) else ranked[best]
    return float((ranked[best] + following) / 2)


def expected_calibration_error(truth: Values, probability: Values, bins: int = 10) -> float:
    """ECE over bins of equal mass: mean distance of mean probability and frequency, weighted by count."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    gaps = [abs(float(probability[part].mean() - truth[part].mean())) * part.size for part in parts]
    return sum(gaps) / len(truth)


def state_of(probability: float, interval: tuple[float, float], operating_point: float) -> str:
    """``suggested``, ``not_suggested``, or ``uncertain`` where the interval straddles the operating point."""
    if interval[0] < operating_point <= interval[1]:
        return "uncertain"
    return "suggested" if probability >= operating_point else "not_suggested"
