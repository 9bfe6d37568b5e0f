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
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from classifiers.calibration import Calibration, fit_line
from classifiers.calibration_methods import HeadFilms
from classifiers.resampling import fit_lines
from suite.training.evaluation import Figure
from suite.training.intervals import DRAWS
from suite.training.patient_draws import patient_weight_blocks

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

Values = npt.NDArray[np.float64]
BINS = 15
FIGURES = ("ece_width", "ece_mass", "brier", "slope", "intercept")
LINE_DRAWS = 200
"""Draws, of each block, that a line is fitted to."""

COLOURS = {"before": "#e69f00", "after": "#0072b2"}
"""Of the palette by Okabe and Ito."""

_END = 1e-6
_Z = 1.959964


def ece_width(truth: Values, probability: Values, bins: int = BINS) -> float:
    """ECE over bins of equal width."""
    place = np.clip((probability * bins).astype(np.intp), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.bincount(place, probability - truth, minlength=bins)
    return float(np.abs(gap[count > 0]).sum() / len(truth))


def ece_mass(truth: Values, probability: Values, bins: int = BINS) -> float:
    """ECE over bins of equal mass."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    gaps = [abs(float(probability[part].mean() - truth[part].mean())) * part.size for part in parts]
    return sum(gaps) / len(truth)


def brier(truth: Values, probability: Values) -> float:
    """Mean squared distance of probability and truth."""
    return float(((probability - truth) ** 2).mean())


def slope_and_intercept(truth: Values, probability: Values) -> tuple[float, float]:
    """Of the truth on the log-odds; NaN where there are not both kinds of films."""
    if truth.min() == truth.max():
        return float("nan"), float("nan")
    return fit_line(_log_odds(probability), truth)


def _log_odds(probability: Values) -> Values:
    kept = np.clip(probability, _END, 1.0 - _END)
    return np.asarray(np.log(kept / (1.0 - kept)))


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

    @classmethod
    def by(cls, calibration: Calibration, films: HeadFilms) -> Self:
        """What ``calibration`` says of ``films``."""
        said = calibration.probabilities(films.score)
        return cls(films.truth, said, said >= calibration.operating_point, films.patients.tolist())

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The films of several heads together; those of one patient stay one draw of the bootstrap."""
        return cls(
            np.concatenate([each.truth for each in parts]),
            np.concatenate([each.probability for each in parts]),
            np.concatenate([each.suggested for each in parts]),
            [patient for each in parts for patient in each.patients],
        )

    def figures(self, rng: np.random.Generator, draws: int = DRAWS) -> dict[str, Figure]:
        """``FIGURES``, ``sensitivity`` and ``specificity`` with intervals from a bootstrap over patients."""
        values = dict(
            zip(("slope", "intercept"), slope_and_intercept(self.truth, self.probability), strict=True)
        )
        values |= {
            "ece_width": ece_width(self.truth, self.probability),
            "ece_mass": ece_mass(self.truth, self.probability),
            "brier": brier(self.truth, self.probability),
            "sensitivity": self._share(1.0),
            "specificity": self._share(0.0),
        }
        names = (*FIGURES, "sensitivity", "specificity")
        blocks = [self._draw(weights) for weights in patient_weight_blocks(self.patients, rng, draws)]
        figures = {}
        for name in names:
            drawn = np.concatenate([block[name] for block in blocks])
            kept = drawn[~np.isnan(drawn)]
            low, high = np.percentile(kept, (2.5, 97.5)) if kept.size else (np.nan, np.nan)
            figures[name] = Figure(values[name], float(low), float(high), len(self.truth))
        return figures

    def _share(self, of: float) -> float:
        kind = self.truth == of
        return float((self.suggested[kind] == bool(of)).mean()) if kind.any() else float("nan")

    def _draw(self, weights: Values) -> dict[str, Values]:
        """The figures of each draw of patients, given as weights (D, N)."""
        total = weights.sum(1)
        gap = self.probability - self.truth
        place = np.clip((self.probability * BINS).astype(np.intp), 0, BINS - 1)
        member = np.eye(BINS)[place]
        positive, negative = self.truth == 1.0, self.truth == 0.0
        both = (weights @ positive > 0) & (weights @ negative > 0)
        lines = np.full((len(weights), 2), np.nan)
        few = np.flatnonzero(both)[:LINE_DRAWS]
        if few.size:  # a part with one kind of label has no line in any draw
            lines[few] = fit_lines(_log_odds(self.probability), self.truth, weights[few])
        with np.errstate(invalid="ignore"):
            return {
                "ece_width": np.abs((weights * gap) @ member).sum(1) / total,
                "ece_mass": _drawn_ece_mass(self.probability, gap, weights),
                "brier": weights @ gap**2 / total,
                "slope": lines[:, 0],
                "intercept": lines[:, 1],
                "sensitivity": weights @ (positive & self.suggested) / (weights @ positive),
                "specificity": weights @ (negative & ~self.suggested) / (weights @ negative),
            }


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """The same films of one head judged by sigmoid(score), and by a calibration fitted on other patients."""

    before: Judged
    after: Judged

    @classmethod
    def of(cls, calibration: Calibration, films: HeadFilms) -> Self:
        """``films`` by sigmoid(score) and by ``calibration``."""
        raw = np.asarray(expit(films.score))
        return cls(
            Judged(films.truth, raw, raw >= 0.5, films.patients.tolist()), Judged.by(calibration, films)
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """As ``Judged.joined``."""
        return cls(
            Judged.joined([each.before for each in parts]), Judged.joined([each.after for each in parts])
        )

    def named(self) -> dict[str, Judged]:
        """The two as ``plot_reliability`` names its lines."""
        return {"before": self.before, "after": self.after}

    def figures(self, rng: np.random.Generator, draws: int = DRAWS) -> dict[str, Figure]:
        """ECE-15, Brier score, slope and intercept with intervals; error and score also ``_before``."""
        before, after = self.before.figures(rng, draws), self.after.figures(rng, draws)
        return {
            "ece": after["ece_width"],
            "ece_before": before["ece_width"],
            "brier": after["brier"],
            "brier_before": before["brier"],
            "slope": after["slope"],
            "intercept": after["intercept"],
        }


def shown_figures(
    name: str, judged: Judged, rng: np.random.Generator, *, head: str = "", draws: int = DRAWS
) -> dict[str, Figure]:
    """``NAME_shown_ece``, ``NAME_shown_brier`` and so on, of the probabilities that readers see.

    A calibration that is fitted on the set that it is measured on says what such a network can give there;
    this says what the calibration of a finished card does give.

    Args:
        name: of the set.
        judged: its films by the card's calibration.
        rng: of the bootstrap.
        head: of several, the one that ``judged`` is of; its figures end in ``_HEAD``.
        draws: of the bootstrap.
    """
    figures = judged.figures(rng, draws)
    named = {"ece": "ece_width", "brier": "brier", "slope": "slope", "intercept": "intercept"}
    ending = f"_{head}" if head else ""
    return {f"{name}_shown_{key}{ending}": figures[own] for key, own in named.items()}


def _drawn_ece_mass(probability: Values, gap: Values, weights: Values) -> Values:
    """``ece_mass`` of each draw (D,): its films in order of probability, cut into bins of equal weight."""
    order = np.argsort(probability, kind="stable")
    drawn = weights[:, order]
    total = drawn.sum(1, keepdims=True)
    middle = np.cumsum(drawn, axis=1) - drawn / 2
    place = np.clip((middle / total * BINS).astype(np.intp), 0, BINS - 1)
    place += BINS * np.arange(len(drawn))[:, None]
    sums = np.bincount(place.ravel(), (drawn * gap[order]).ravel(), minlength=BINS * len(drawn))
    return np.asarray(np.abs(sums.reshape(-1, BINS)).sum(1) / total[:, 0])


def plot_reliability(curves: Mapping[str, Mapping[str, Judged]], path: Path, bins: int = 10) -> None:
    """One diagram a head: what came true against what was said, in bins of equal mass.

    Bars are 95 % intervals of the share of a bin's films (Wilson 1927).

    Args:
        curves: for each head its judgements by name, such as ``before`` and ``after``; each name has one
            colour, also where a head lacks the other.
        path: a PNG.
        bins: of equal mass.
    """
    reliability_figure(curves, bins).savefig(path, dpi=110)


def reliability_figure(curves: Mapping[str, Mapping[str, Judged]], bins: int = 10) -> Picture:
    """The picture of ``plot_reliability``."""
    from matplotlib.figure import Figure as Picture
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(name for judgements in curves.values() for name in judgements))
    colours = {**{name: f"C{2 + place}" for place, name in enumerate(names)}, **COLOURS}
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    picture = Picture(figsize=(3.2 * columns, 3.6 * rows), layout="constrained")
    for place, (head, judgements) in enumerate(curves.items(), start=1):
        axes = picture.add_subplot(rows, columns, place)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        films = max((len(judged.truth) for judged in judgements.values()), default=0)
        for name, judged in judgements.items():
            said, came, low, high = _binned(judged, bins)
            axes.errorbar(
                said, came, yerr=(came - low, high - came), fmt="o-", color=colours[name], markersize=4,
                linewidth=1.2, elinewidth=0.6, label=name,
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_title(f"{head.replace('_', ' ')} (n = {films})", fontsize=10)
        axes.set(xlabel="said", ylabel="came true")
    # once, and below: a curve may lie in any corner of its diagram
    handles = [Line2D([], [], color=colours[name], marker="o", markersize=4) for name in names]
    picture.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    return picture


def _binned(judged: Judged, bins: int) -> tuple[Values, Values, Values, Values]:
    """Of bins of equal mass (B,): mean probability, share that came true, and that share's interval."""
    order = np.argsort(judged.probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    count = np.array([part.size for part in parts], dtype=np.float64)
    said = np.array([judged.probability[part].mean() for part in parts])
    came = np.array([judged.truth[part].mean() for part in parts])
    centre = (came + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * np.sqrt(came * (1 - came) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return said, came, np.minimum(centre - half, came), np.maximum(centre + half, came)
