"""How honest probabilities are: calibration errors, Brier score, slope and intercept, and their diagram.

The expected calibration error (ECE) is the mean distance between what was said and what came true, over bins
of probability weighted by count: 15 bins of equal width (Guo 2017) and 15 of equal mass (Nixon 2019). Slope
and intercept are those of a logistic regression of the truth on the log-odds (Cox 1958): 1 and 0 when honest;
a slope below 1 boasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifiers.calibration import expected_calibration_error, fit_line
from suite.training.evaluation import Figure
from suite.training.intervals import bootstrap

Values = npt.NDArray[np.float64]
BINS = 15
FIGURES = ("ece_width", "ece_mass", "brier", "slope", "intercept")
_END = 1e-6


def ece_width(truth: Values, probability: Values, bins: int = BINS) -> float:
    """ECE over bins of equal width."""
    place = np.clip((probability * bins).astype(np.intp), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.bincount(place, probability - truth, minlength=bins)
    return float(np.abs(gap[count > 0]).sum() / len(truth))


def ece_mass(truth: Values, probability: Values, bins: int = BINS) -> float:
    """ECE over bins of equal mass."""
    return expected_calibration_error(truth, probability, bins)


def brier(truth: Values, probability: Values) -> float:
    """Mean squared distance of probability and truth."""
    return float(((probability - truth) ** 2).mean())


def slope_and_intercept(truth: Values, probability: Values) -> tuple[float, float]:
    """Of the truth on the log-odds; NaN where there are not both kinds of films."""
    if truth.min() == truth.max():
        return float("nan"), float("nan")
    kept = np.clip(probability, _END, 1.0 - _END)
    slope, intercept, _ = fit_line(np.log(kept / (1.0 - kept)), truth)
    return slope, intercept


@dataclass(frozen=True, slots=True)
class Judged:
    """Films with a known label of one head, and what was said of each.

    Attributes:
        truth: (N,) in {0, 1}.
        probability: (N,).
        suggested: (N,) whether it is at or above the operating point.
        patients: of each film.
    """

    truth: Values
    probability: Values
    suggested: npt.NDArray[np.bool_]
    patients: Sequence[str]

    def figures(self, rng: np.random.Generator, draws: int = 1000) -> dict[str, Figure]:
        """``FIGURES``, ``sensitivity`` and ``specificity`` with intervals from a bootstrap over patients."""
        statistics = {
            "ece_width": lambda rows: ece_width(self.truth[rows], self.probability[rows]),
            "ece_mass": lambda rows: ece_mass(self.truth[rows], self.probability[rows]),
            "brier": lambda rows: brier(self.truth[rows], self.probability[rows]),
            "slope": lambda rows: slope_and_intercept(self.truth[rows], self.probability[rows])[0],
            "intercept": lambda rows: slope_and_intercept(self.truth[rows], self.probability[rows])[1],
            "sensitivity": lambda rows: self._share(rows, 1.0),
            "specificity": lambda rows: self._share(rows, 0.0),
        }
        return {name: bootstrap(each, self.patients, rng, draws) for name, each in statistics.items()}

    def _share(self, rows: npt.NDArray[np.intp], of: float) -> float:
        kind = self.truth[rows] == of
        return float((self.suggested[rows][kind] == bool(of)).mean()) if kind.any() else float("nan")


def plot_reliability(curves: Mapping[str, Mapping[str, Judged]], path: Path, bins: int = 10) -> None:
    """One diagram a head: what came true against what was said, in bins of equal mass, with their counts.

    Args:
        curves: for each head its judgements by name, such as ``before`` and ``after``.
        path: a PNG.
        bins: of equal mass.
    """
    from matplotlib.figure import Figure as Picture

    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    picture = Picture(figsize=(3.2 * columns, 3.2 * rows), layout="constrained")
    for place, (head, judgements) in enumerate(curves.items(), start=1):
        axes = picture.add_subplot(rows, columns, place)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for name, judged in judgements.items():
            order = np.argsort(judged.probability, kind="stable")
            parts = [part for part in np.array_split(order, bins) if part.size]
            said = [judged.probability[part].mean() for part in parts]
            came = [judged.truth[part].mean() for part in parts]
            axes.plot(
                said, came, "o-", markersize=4, linewidth=1.2, label=f"{name} (n = {len(judged.truth)})"
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=head)
        axes.set(xlabel="said", ylabel="came true")
        axes.legend(fontsize=7, loc="upper left")
    picture.savefig(path, dpi=110)
