"""From scores to probabilities, with the interval that the size of the calibration set allows.

Three methods, which ``classifiers.calibration_methods`` fits: Platt scaling (Platt 1999), temperature
scaling, which is Platt's with its intercept at 0 (Guo 2017), and isotonic regression (Zadrozny 2002), which
needs far more films.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Values = npt.NDArray[np.float64]
Method = Literal["platt", "temperature", "isotonic"]

MIN_POSITIVES = 5
"""Fewer films of either kind, or of fewer patients, cannot calibrate a score; it is then shown as a score."""

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Calibration:
    """``p = sigmoid(slope * score + intercept)`` with the covariance of its two parameters, or a curve.

    Attributes:
        slope, intercept: of Platt scaling.
        covariance: (var slope, covariance, var intercept): the fit's spread over patients drawn with
            replacement; in cards of before the fit's inverse Hessian, which counts films for patients.
        operating_point: probability at and above which a finding is suggested.
        rule: how the operating point was chosen.
        source: what films it was fitted on.
        positives, negatives: how many.
        knots: of an isotonic curve: (score, low, probability, high), scores rising; empty for the others.
    """

    slope: float
    intercept: float
    covariance: tuple[float, float, float]
    operating_point: float
    rule: str
    source: str
    positives: int
    negatives: int
    method: Method = "platt"
    knots: tuple[tuple[float, float, float, float], ...] = ()

    def probability(self, score: float) -> float:
        """Calibrated probability of a logit."""
        if self.knots:
            return self._on_curve(score, 2)
        return float(expit(self.slope * score + self.intercept))

    def probabilities(self, scores: Values) -> Values:
        """Calibrated probabilities (N,) of logits (N,)."""
        return np.array([self.probability(float(score)) for score in scores], dtype=np.float64)

    def interval(self, score: float) -> tuple[float, float]:
        """95 % interval of the probability from the calibration's own uncertainty."""
        if self.knots:
            return self._on_curve(score, 1), self._on_curve(score, 3)
        centre = self.slope * score + self.intercept
        var_slope, both, var_intercept = self.covariance
        spread = _Z * math.sqrt(max(0.0, score * score * var_slope + 2.0 * score * both + var_intercept))
        return float(expit(centre - spread)), float(expit(centre + spread))

    def _on_curve(self, score: float, column: int) -> float:
        curve = np.array(self.knots)
        return float(np.interp(score, curve[:, 0], curve[:, column]))

    def as_json(self) -> dict[str, Any]:
        further: dict[str, Any] = {} if self.method == "platt" else {"method": self.method}
        if self.knots:
            further["knots"] = [list(knot) for knot in self.knots]
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "covariance": list(self.covariance),
            "operating_point": self.operating_point,
            "rule": self.rule,
            "source": self.source,
            "positives": self.positives,
            "negatives": self.negatives,
            **further,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        knots = tuple(tuple(knot) for knot in content.get("knots", ()))
        return cls(**{**content, "covariance": tuple(content["covariance"]), "knots": knots})


def smoothed(truth: Values) -> Values:
    """Platt's targets of labels (N,) in {0, 1}: a little inside, by the number of cases of each kind."""
    positives, negatives = truth.sum(), (1 - truth).sum()
    return np.where(truth > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def fit_line(score: Values, target: Values) -> tuple[float, float]:
    """Slope and intercept of logistic regression on one score, targets in [0, 1].

    Newton's method for two parameters, with a faint prior that keeps the Hessian invertible.

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
    return float(parameters[0]), float(parameters[1])


def state_of(probability: float, interval: tuple[float, float], operating_point: float) -> str:
    """``suggested``, ``not_suggested``, or ``uncertain`` where the interval straddles the operating point.

    This is the abstain band: within it, the calibration's films do not tell on which side of the operating
    point the probability lies. More films make it narrower; it never depends on the image alone.
    """
    if interval[0] < operating_point <= interval[1]:
        return "uncertain"
    return "suggested" if probability >= operating_point else "not_suggested"
