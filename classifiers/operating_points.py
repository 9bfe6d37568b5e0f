"""Operating points by a stated rule: from which probability on a finding is suggested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from suite.errors import InputError

Values = npt.NDArray[np.float64]


def youden(truth: Values, probability: Values) -> float:
    """The probability that maximises sensitivity + specificity - 1, midway to the next lower one."""
    ranked, hits, alarms, distinct = _roc(truth, probability)
    best = int(np.argmax(np.where(distinct, hits - alarms, -1.0)))
    return _midway(ranked, best)


def at_sensitivity(truth: Values, probability: Values, wanted: float) -> float:
    """The highest cut whose sensitivity here is ``wanted`` or more, midway to the next lower probability."""
    ranked, hits, _, distinct = _roc(truth, probability)
    best = int(np.argmax(distinct & (hits >= wanted - 1e-9)))
    return _midway(ranked, best)


def at_specificity(truth: Values, probability: Values, wanted: float) -> float:
    """The lowest cut whose specificity here is ``wanted`` or more, midway to the next lower probability.

    Where even the highest probability belongs to too many films without the finding, nothing is suggested:
    the cut lies midway between that probability and 1.
    """
    ranked, _, alarms, distinct = _roc(truth, probability)
    good = np.flatnonzero(distinct & (alarms <= 1.0 - wanted + 1e-9))
    return _midway(ranked, int(good[-1])) if good.size else float((ranked[0] + 1.0) / 2)


def _roc(truth: Values, probability: Values) -> tuple[Values, Values, Values, npt.NDArray[np.bool_]]:
    """Probabilities from the highest on; hits and false alarms with a cut at each; where the next differs."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(truth[order]) / truth.sum()
    alarms = np.cumsum(1 - truth[order]) / (1 - truth).sum()
    ranked = probability[order]
    return ranked, hits, alarms, np.append(ranked[:-1] != ranked[1:], True)


def _midway(ranked: Values, place: int) -> float:
    following = ranked[place + 1] if place + 1 < len(ranked) else ranked[place]
    return float((ranked[place] + following) / 2)


@dataclass(frozen=True, slots=True)
class OperatingRule:
    """``youden``, or a wanted sensitivity or specificity, met on the films the calibration is fitted on."""

    kind: Literal["youden", "sensitivity", "specificity"]
    wanted: float = float("nan")

    @property
    def name(self) -> str:
        """As cards and reports state it."""
        return "Youden's J" if self.kind == "youden" else f"{self.kind} {self.wanted:g}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``youden``, ``sensitivity=0.95`` or ``specificity=0.9``.

        Raises:
            InputError: it is none of these, or the wanted share is not between 0 and 1.
        """
        kind, separator, share = text.strip().lower().partition("=")
        if kind == "youden" and not separator:
            return cls("youden")
        try:
            wanted = float(share)
        except ValueError:
            wanted = float("nan")
        if 0.0 < wanted < 1.0:
            if kind == "sensitivity":
                return cls("sensitivity", wanted)
            if kind == "specificity":
                return cls("specificity", wanted)
        raise InputError(
            f"the rule {text!r} is not known; use youden, sensitivity=0.95 or specificity=0.9, "
            "with a share between 0 and 1."
        )

    def cut(self, truth: Values, probability: Values) -> float:
        """The operating point on films with labels (N,) in {0, 1} and probabilities (N,)."""
        if self.kind == "youden":
            return youden(truth, probability)
        if self.kind == "sensitivity":
            return at_sensitivity(truth, probability, self.wanted)
        return at_specificity(truth, probability, self.wanted)


YOUDEN = OperatingRule("youden")
