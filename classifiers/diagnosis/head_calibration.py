"""What the heads' scores are worth, data set by data set: fitted on validation parts, measured on test parts.

Films of one set say nothing of those of another: a calibration is fitted on the validation part of a set and
judged on the test part of the same set. The one that the stage shows comes from the first real set that can
give it. Computed films give none that holds for a real film, so a head whose positives were all computed is
measured here and shown without a probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from classifiers.calibration import Calibration
from classifiers.calibration_methods import fit_calibration
from classifiers.diagnosis.predictions import Predictions
from classifiers.reliability import BeforeAfter, Judged, plot_reliability, shown_figures
from classifiers.validation_halves import ValidationHalves
from suite.datasets.registry import is_computed
from suite.findings import CODES
from suite.training.evaluation import Figure

MIN_TRAINING_POSITIVES = 20
"""A head with fewer positive films to learn from is not trained, and says so."""

MIN_TELLING_POSITIVES = 20
"""A head that cannot tell so many positive held-out films from the others has not learned its finding."""

COMPUTED_ONLY = "learned from computed films only"
UNCALIBRATED = "too few held-out films to calibrate it"
UNORDERED = "its score orders held-out films no better than chance"

_POOLED_DRAWS = 200
"""Resamples for figures over all heads, which have 13 rows a film."""


@dataclass(frozen=True, slots=True)
class SetCalibration:
    """Heads of one data set.

    Attributes:
        name: of the set.
        fitted: calibrations by code, of the heads that its validation part suffices for and that order it.
        unordered: heads that it would suffice for, whose score orders it no better than chance.
        judged: of the fitted, by code, the films of its test part whose label is known.
    """

    name: str
    fitted: Mapping[str, Calibration]
    unordered: frozenset[str]
    judged: Mapping[str, BeforeAfter]

    @classmethod
    def of(
        cls,
        name: str,
        held: Predictions,
        measured: Predictions,
        codes: Sequence[str],
        rng: np.random.Generator,
        halves: ValidationHalves | None = None,
    ) -> Self:
        """Fit on the validation part ``held`` and judge on the test part ``measured``, head by head.

        ``halves`` of the validation part: a head that they hold apart is fitted on the second one alone.
        """
        halves = halves or ValidationHalves(name, held.records)
        films = {code: halves.of_head(code, held.of_head(code)) for code in codes}
        sources = {code: f"{len(halves.calibrating(code))} held-out {name} films" for code in codes}
        fits = {code: fit_calibration(own, sources[code], rng) for code, own in films.items()}
        fitted = {code: calibration for code, calibration in fits.items() if calibration is not None}
        unordered = frozenset(code for code, own in films.items() if code not in fitted and own.suffices())
        tested = {code: measured.of_head(code) for code in fitted}
        judged = {code: BeforeAfter.of(fitted[code], own) for code, own in tested.items() if own.truth.size}
        return cls(name, fitted, unordered, judged)

    def figures(self, rng: np.random.Generator) -> dict[str, Figure]:
        """``SET_ece`` of all heads' films together, ``SET_ece_CODE`` of each head's, and so on."""
        found = {f"{self.name}_{key}": figure for key, figure in pooled_figures(self.judged, rng).items()}
        for code, judged in self.judged.items():
            found |= {f"{self.name}_{key}_{code}": figure for key, figure in judged.figures(rng).items()}
        return found

    def draw(self, path: Path) -> None:
        """Reliability diagrams, one a head, into a PNG."""
        plot_reliability({code: judged.named() for code, judged in self.judged.items()}, path)


def pooled_figures(judged: Mapping[str, BeforeAfter], rng: np.random.Generator) -> dict[str, Figure]:
    """Figures of the films of several heads together; a film counts once for each head that knows it."""
    if not judged:
        return {}
    return BeforeAfter.joined(tuple(judged.values())).figures(rng, _POOLED_DRAWS)


def figures_by_card(
    heads: Mapping[str, Mapping[str, Any]], name: str, measured: Predictions, rng: np.random.Generator
) -> dict[str, Figure]:
    """``shown_figures`` of all heads' films together, then of each head's, by the calibrations of a card.

    Args:
        heads: of the card.
        name: of the set.
        measured: scores of its test part.
        rng: of the bootstrap.
    """
    judged: dict[str, Judged] = {}
    for code in CODES:
        stored, films = heads[code]["calibration"], measured.of_head(code)
        if stored is not None and films.truth.size:
            judged[code] = Judged.by(Calibration.from_json(stored), films)
    if not judged:
        return {}
    found = shown_figures(name, Judged.joined(tuple(judged.values())), rng, draws=_POOLED_DRAWS)
    for code, own in judged.items():
        found |= shown_figures(name, own, rng, head=code)
    return found


@dataclass(frozen=True, slots=True)
class HeadCalibrations:
    """All heads of a network over the sets it learned from.

    Attributes:
        positives: training positives by code and set.
        sets: real ones first.
        unlearned: heads that had enough to learn from and did not, see ``unlearned_heads``.
    """

    positives: Mapping[str, Mapping[str, int]]
    sets: Sequence[SetCalibration]
    unlearned: frozenset[str] = frozenset()

    @property
    def trained(self) -> tuple[str, ...]:
        """Codes of the heads that had enough to learn from, and learned."""
        return tuple(code for code in trained_heads(self.positives) if code not in self.unlearned)

    def heads(self) -> dict[str, Any]:
        """The card's entry of each head: how it was taught, and the calibration that may be shown."""
        return {code: self._head(code) for code in CODES}

    def _head(self, code: str) -> dict[str, Any]:
        by_set = dict(self.positives[code])
        shown = self.shown(code)
        return {
            "trained": code in self.trained,
            "training_positives": sum(by_set.values()),
            "training_positives_by_set": by_set,
            "calibration": None if shown is None else shown.fitted[code].as_json(),
            "calibrated_on": None if shown is None else shown.name,
            "no_probability": self._reason(code) if code in self.trained and shown is None else None,
        }

    def _reason(self, code: str) -> str:
        """Why a trained head has no probability."""
        if is_computed_only(self.positives[code]):
            return COMPUTED_ONLY
        real = [each for each in self.sets if not is_computed(each.name)]
        return UNORDERED if any(code in each.unordered for each in real) else UNCALIBRATED

    def shown(self, code: str) -> SetCalibration | None:
        """The first real set that can calibrate a trained head; computed films calibrate none."""
        if code not in self.trained:
            return None
        return next((each for each in self.sets if code in each.fitted and not is_computed(each.name)), None)

    def figures(self, rng: np.random.Generator) -> dict[str, Figure]:
        """Those of each set, then ``ece`` and ``ece_CODE``: of the calibrations that ``heads`` gives."""
        found: dict[str, Figure] = {}
        for each in self.sets:
            found |= each.figures(rng)
        by_code = {code: shown for code in CODES if (shown := self.shown(code)) is not None}
        judged = {code: shown.judged[code] for code, shown in by_code.items() if code in shown.judged}
        if judged:
            found["ece"] = pooled_figures(judged, rng)["ece"]
        return found | {f"ece_{code}": found[f"{by_code[code].name}_ece_{code}"] for code in judged}

    def pictures(self) -> dict[str, Any]:
        """Reliability diagrams by file name."""
        return {f"reliability-{each.name}.png": each.draw for each in self.sets if each.judged}


def trained_heads(positives: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """Codes of the heads with enough positive films, of whatever set."""
    return tuple(code for code, by_set in positives.items() if sum(by_set.values()) >= MIN_TRAINING_POSITIVES)


def unlearned_heads(
    measured: Mapping[str, Predictions], areas: Mapping[str, Mapping[str, Figure]]
) -> frozenset[str]:
    """Codes of the heads that tell nothing: on no set does the interval of their area lie above 0.5.

    Said only of a head that some set has ``MIN_TELLING_POSITIVES`` positive test films for; fewer may miss a
    head that learned.

    Args:
        measured: predictions on the test part of each set.
        areas: ``auc_CODE`` with its interval, by set.
    """
    found = set()
    for index, code in enumerate(CODES):
        positives = [int((own.truth[:, index] == 1.0).sum()) for own in measured.values()]
        lows = [areas[name][f"auc_{code}"].low for name in measured]
        telling = any(low > 0.5 for low in lows)  # not where an interval is unknown, NaN
        if max(positives, default=0) >= MIN_TELLING_POSITIVES and not telling:
            found.add(code)
    return frozenset(found)


def is_computed_only(by_set: Mapping[str, int]) -> bool:
    """Whether a head has positives and all of them are computed films."""
    real = sum(count for name, count in by_set.items() if not is_computed(name))
    return not real and sum(by_set.values()) > 0
