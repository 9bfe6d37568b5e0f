"""Lines fitted to many draws of a bootstrap in one operation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Values = npt.NDArray[np.float64]


def fit_lines(score: Values, target: Values, weights: Values) -> Values:
    """Slope and intercept (D, 2) of logistic regressions on one score under each row of weights (D, N).

    The loss, the faint prior and the halving of steps are those of ``classifiers.calibration.fit_line``.

    Args:
        score: (N,).
        target: (N,) or (D, N), in [0, 1].
        weights: (D, N).
    """
    centre, prior = np.array([1.0, 0.0]), 1e-3
    design = np.stack((score, np.ones_like(score)))  # (2, N)

    def loss(parameters: Values) -> Values:
        logits = parameters @ design
        own = (weights * (np.logaddexp(0.0, logits) - target * logits)).sum(1)
        return np.asarray(own + 0.5 * prior * ((parameters - centre) ** 2).sum(1))

    parameters = np.tile(centre, (len(weights), 1))
    for _ in range(50):
        probability = expit(parameters @ design)
        gradient = (weights * (probability - target)) @ design.T + prior * (parameters - centre)
        curvature = weights * probability * (1.0 - probability)
        first, both, last = curvature @ score**2, curvature @ score, curvature.sum(1)
        hessian = np.stack((first + prior, both, both, last + prior), axis=1).reshape(-1, 2, 2)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        if np.abs(step).max() <= 1e-6:
            break
        bound = loss(parameters)
        bound += 1e-9 * (1.0 + np.abs(bound))  # close to the end rounding alone can raise the loss
        while (worse := loss(parameters - step) > bound).any():
            step[worse] /= 2
        parameters = parameters - step
    return parameters
