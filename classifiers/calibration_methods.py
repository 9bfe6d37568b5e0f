"""A calibration fitted by any of the three methods, its interval from patients drawn with replacement.

Which method: Platt's, unless there are ``LARGE`` films with ``LARGE_KIND`` of each kind and isotonic
regression has the lower log loss on patients it was not fitted on; with fewer it follows the noise of the
films at hand (Niculescu-Mizil 2005). Temperature alone cannot follow another prevalence, which is what
differs most from site to site, so it is chosen by hand only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.calibration import MIN_POSITIVES, Calibration, Method, fit_line, smoothed
from classifiers.operating_points import YOUDEN, OperatingRule
from classifiers.resampling import fit_lines
from suite.training.intervals import auc
from suite.training.patient_draws import patient_weight_blocks

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Knots = tuple[tuple[float, float, float, float], ...]
Choice = Literal["auto", "platt", "temperature", "isotonic"]

LARGE, LARGE_KIND = 1000, 100
"""Films, and films of either kind, from which isotonic regression is tried."""

FOLDS = 5
DRAWS = 200
"""Resamples of patients for an interval."""

MOST_KNOTS = 64


class HeadFilms(NamedTuple):
    """Films with a known label of one head: labels (N,) in {0, 1}, logits (N,), and the patient of each."""

    truth: Values
    score: Values
    patients: npt.NDArray[np.str_]

    @classmethod
    def known(cls, labels: Values, scores: Values, patients: Sequence[str]) -> HeadFilms:
        """Those films that have both a label and a score."""
        kept = ~(np.isnan(labels) | np.isnan(scores))
        return cls(labels[kept], scores[kept], np.asarray(patients, dtype=np.str_)[kept])

    @property
    def counts(self) -> tuple[int, int]:
        """Positives and negatives."""
        return int(self.truth.sum()), int((1 - self.truth).sum())

    def rows(self, chosen: Rows) -> HeadFilms:
        return HeadFilms(self.truth[chosen], self.score[chosen], self.patients[chosen])

    def suffices(self) -> bool:
        """Whether there are enough films of either kind, from enough patients, to fit anything."""
        owners = [len(set(self.patients[self.truth == kind])) for kind in (0.0, 1.0)]
        return min(*self.counts, *owners) >= MIN_POSITIVES

    @property
    def area(self) -> float:
        """Area under the ROC curve; NaN without films of both kinds."""
        return auc(self.truth, self.score)

    def orders(self) -> bool:
        """Whether higher scores go with the finding: by area, and by the line through the films.

        A curve that falls would call a film the less likely to show a finding the more evidence it has.
        """
        return self.area > 0.5 and fit_line(self.score, smoothed(self.truth))[0] > 0.0


def fit_calibration(films: HeadFilms, source: str, rng: np.random.Generator) -> Calibration | None:
    """Platt's at Youden's point, as a network is given in training; ``None`` where the films give none.

    They do not where they do not suffice, or where the score does not order them.
    """
    if not films.suffices() or not films.orders():
        return None
    return fit(films, "platt", YOUDEN, source, rng)


def fit(
    films: HeadFilms, method: Method, rule: OperatingRule, source: str, rng: np.random.Generator
) -> Calibration:
    """The calibration of a head; its interval is the spread over ``DRAWS`` draws of patients."""
    plain = fit_curve(films, method)
    cut = rule.cut(films.truth, plain.probabilities(films.score))
    named = replace(plain, operating_point=cut, rule=rule.name, source=source)
    if method == "platt":
        return replace(named, covariance=_spread_of_lines(films, rng))
    draws = [fit_curve(films.rows(rows), method) for rows in _draws(films, rng)]
    if method == "isotonic":
        return replace(named, knots=_with_spread(plain, draws))
    variance = float(np.var([each.slope for each in draws], ddof=1))
    return replace(named, covariance=(variance, 0.0, 0.0))


def _spread_of_lines(films: HeadFilms, rng: np.random.Generator) -> tuple[float, float, float]:
    lines = []
    for weights in patient_weight_blocks(films.patients, rng, DRAWS):
        positives = weights @ films.truth
        both = (positives > 0) & (positives < weights.sum(1))
        drawn, positives = weights[both], positives[both, None]
        negatives = drawn.sum(1, keepdims=True) - positives
        target = np.where(films.truth > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        lines.append(fit_lines(films.score, target, drawn))
    spread = np.cov(np.concatenate(lines).T, ddof=1)
    return float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1])


def fit_curve(films: HeadFilms, method: Method) -> Calibration:
    """The curve alone: no interval, operating point 0.5."""
    positives, negatives = films.counts
    slope, intercept = 1.0, 0.0
    knots: Knots = ()
    if method == "isotonic":
        knots = _isotonic(films)
    elif method == "temperature":
        slope = _temperature(films)
    else:
        slope, intercept = fit_line(films.score, smoothed(films.truth))
    return Calibration(slope, intercept, (0.0, 0.0, 0.0), 0.5, "", "", positives, negatives, method, knots)


def choose(films: HeadFilms, rng: np.random.Generator) -> tuple[Method, str]:
    """The method for these films, and why."""
    if len(films.truth) < LARGE or min(films.counts) < LARGE_KIND:
        return "platt", f"fewer than {LARGE} films or {LARGE_KIND} of a kind"
    methods: tuple[Method, ...] = ("platt", "isotonic")
    losses = {
        method: log_loss(films.truth, cross_fitted(films, partial(fit_curve, method=method), rng)[0])
        for method in methods
    }
    best: Method = "isotonic" if losses["isotonic"] < losses["platt"] else "platt"
    words = " against ".join(f"{losses[name]:.4f} ({name})" for name in ("platt", "isotonic"))
    return best, f"log loss on other patients {words}"


def cross_fitted(
    films: HeadFilms, fitted: Callable[[HeadFilms], Calibration], rng: np.random.Generator
) -> tuple[Values, npt.NDArray[np.bool_]]:
    """What each film gets from a calibration that did not see its patient.

    Returns:
        probabilities (N,), and whether each is at or above that calibration's operating point (N,).
    """
    probability = np.empty_like(films.score)
    suggested = np.zeros(len(films.score), np.bool_)
    for held, rest in _folds(films, rng):
        calibration = fitted(films.rows(rest))
        probability[held] = calibration.probabilities(films.score[held])
        suggested[held] = probability[held] >= calibration.operating_point
    return probability, suggested


def log_loss(truth: Values, probability: Values) -> float:
    """Mean negative log likelihood; certainty counts as one in a million."""
    kept = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return float(-(truth * np.log(kept) + (1 - truth) * np.log(1 - kept)).mean())


def _folds(films: HeadFilms, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Rows of each fold and of the rest; patients whole, those with a positive film spread evenly."""
    owners, inverse = np.unique(films.patients, return_inverse=True)
    has_positive = np.zeros(len(owners), np.bool_)
    np.logical_or.at(has_positive, inverse, films.truth > 0)
    place = np.empty(len(owners), np.intp)
    for kind in (False, True):
        own = rng.permutation(np.flatnonzero(has_positive == kind))
        place[own] = np.arange(len(own)) % FOLDS
    for fold in range(FOLDS):
        inside = place[inverse] == fold
        if inside.any():
            yield np.flatnonzero(inside), np.flatnonzero(~inside)


def _draws(films: HeadFilms, rng: np.random.Generator) -> Iterator[Rows]:
    """Rows of patients drawn with replacement, each draw with films of both kinds."""
    _, inverse = np.unique(films.patients, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    made = 0
    while made < DRAWS:
        chosen = rng.integers(0, len(groups), len(groups))
        rows = np.concatenate([groups[index] for index in chosen])
        if 0 < films.truth[rows].sum() < len(rows):
            made += 1
            yield rows


def _temperature(films: HeadFilms) -> float:
    """The slope of a line through 0 that has the lowest log loss."""
    from scipy.optimize import minimize_scalar

    target = smoothed(films.truth)

    def loss(log_slope: float) -> float:
        logits = np.exp(log_slope) * films.score
        return float((np.logaddexp(0.0, logits) - target * logits).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded").x))


def _isotonic(films: HeadFilms) -> Knots:
    """The rising curve through the smoothed labels, as at most ``MOST_KNOTS`` knots without an interval."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(films.score, smoothed(films.truth))
    scores, values = fitted.X_thresholds_, fitted.y_thresholds_
    if len(scores) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(scores) - 1, MOST_KNOTS).round().astype(np.intp))
        scores, values = scores[kept], values[kept]
    return tuple((float(x), float(y), float(y), float(y)) for x, y in zip(scores, values, strict=True))


def _with_spread(plain: Calibration, draws: Sequence[Calibration]) -> Knots:
    """The knots with the 2.5th and 97.5th percentile over draws, which never exclude the curve itself."""
    scores = np.array([knot[0] for knot in plain.knots])
    spread = np.percentile([each.probabilities(scores) for each in draws], (2.5, 97.5), axis=0)
    return tuple(
        (x, min(float(low), y), y, max(float(high), y))
        for (x, _, y, _), low, high in zip(plain.knots, spread[0], spread[1], strict=True)
    )
