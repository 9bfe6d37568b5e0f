"""Triage and diagnosis calibrated anew on a site's films, head by head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, cast, get_args

import numpy as np

from classifiers.calibration import MIN_POSITIVES, Calibration, Method, state_of
from classifiers.calibration_methods import Choice, HeadFilms, choose, cross_fitted, fit, fit_curve
from classifiers.operating_points import OperatingRule
from classifiers.reliability import Judged, plot_reliability
from suite.calibration.contract import ABNORMAL, CalibrationPlan, HeadReport, Recalibration, ScoredFilms
from suite.errors import InputError
from suite.findings import CODES
from suite.stages.weights import ModelCard, shipped_card


@dataclass(frozen=True, slots=True)
class Refitted:
    """One head: its calibration from now on, the report, and the judgements of the diagram."""

    calibration: Calibration | None
    report: HeadReport
    judged: Mapping[str, Judged]


class Recalibrator:
    """What both networks share: the plan, and how a head is fitted."""

    stage: ClassVar[str]
    heads: ClassVar[tuple[str, ...]]

    def __init__(self, plan: CalibrationPlan) -> None:
        if plan.method not in get_args(Choice):
            raise InputError(f"the method {plan.method!r} is not known; use {', '.join(get_args(Choice))}.")
        self.plan = plan
        self.method = cast("Choice", plan.method)
        self.rule = OperatingRule.parse(plan.rule)
        self.card: ModelCard = shipped_card("classifiers", self.stage)

    def recalibrate(self, films: ScoredFilms) -> Recalibration:
        """New calibrations for every head that the films suffice for; the others are kept as they were."""
        content = deepcopy(dict(self.card.content))
        refitted = {head: self._head(head, films) for head in self.heads}
        for head, result in refitted.items():
            if result.calibration is not None and not result.report.kept:
                self._store(content, head, result.calibration)
        content["recalibration"] = self._account(films, refitted)
        curves = {head: result.judged for head, result in refitted.items() if result.judged}
        draw = partial(plot_reliability, curves) if curves else None
        return Recalibration(content, [each.report for each in refitted.values()], draw)

    def before(self, head: str) -> Calibration | None:
        """The calibration that the shipped card has for a head."""
        raise NotImplementedError

    def untrained(self, head: str) -> bool:
        """Whether the network's own training could not teach the head."""
        return False

    def _store(self, content: dict[str, Any], head: str, calibration: Calibration) -> None:
        raise NotImplementedError

    def _account(self, films: ScoredFilms, refitted: Mapping[str, Refitted]) -> dict[str, Any]:
        return {
            "source": self.plan.source,
            "films": len(films.ids),
            "patients": len(set(films.patients)),
            "rule": self.rule.name,
            "method": self.plan.method,
            "seed": self.plan.seed,
            "kept": {head: each.report.kept for head, each in refitted.items() if each.report.kept},
        }

    def _head(self, head: str, films: ScoredFilms) -> Refitted:
        own = HeadFilms.known(films.labels[head], films.scores[head], films.patients)
        positives, negatives = own.counts
        before = self.before(head)
        reason = self._reason_to_keep(head, own)
        if reason:
            return Refitted(before, HeadReport(head, positives, negatives, kept=reason), {})
        return self._refit(head, own, before)

    def _reason_to_keep(self, head: str, films: HeadFilms) -> str:
        if self.untrained(head):
            return "not trained: the network's own data could not teach it."
        positives, negatives = films.counts
        if not films.suffices():
            return (
                f"kept as it was: {positives} films with it and {negatives} without; "
                f"at least {MIN_POSITIVES} of each, of {MIN_POSITIVES} patients, are needed."
            )
        if not films.orders():
            return (
                f"kept as it was: the score orders these films no better than chance (AUC {films.area:.2f})."
            )
        return ""

    def _refit(self, head: str, films: HeadFilms, before: Calibration | None) -> Refitted:
        rng = np.random.default_rng([self.plan.seed, self.heads.index(head)])
        method, why = choose(films, rng) if self.method == "auto" else (self.method, "as asked for")
        after = fit(films, method, self.rule, self.plan.source, rng)
        probability, suggested = cross_fitted(films, self._quick(method), rng)
        judged = {"after": Judged(films.truth, probability, suggested, films.patients.tolist())}
        if before is not None:
            judged = {"before": Judged.by(before, films), **judged}
        figures = {name: each.figures(np.random.default_rng(self.plan.seed)) for name, each in judged.items()}
        report = HeadReport(
            head,
            *films.counts,
            method=f"{method} ({why})",
            operating_point=(
                float("nan") if before is None else before.operating_point,
                after.operating_point,
            ),
            before=figures.get("before", {}),
            after=figures["after"],
            uncertain=(_uncertain(before, films), _uncertain(after, films)),
        )
        return Refitted(after, report, judged)

    def _quick(self, method: Method) -> Callable[[HeadFilms], Calibration]:
        """A fit with its operating point and without an interval, which folds do not need."""

        def fitted(films: HeadFilms) -> Calibration:
            curve = fit_curve(films, method)
            cut = self.rule.cut(films.truth, curve.probabilities(films.score))
            return replace(curve, operating_point=cut)

        return fitted


def _uncertain(calibration: Calibration | None, films: HeadFilms) -> float:
    """Share of films in the abstain band."""
    if calibration is None:
        return float("nan")
    states = [
        state_of(calibration.probability(score), calibration.interval(score), calibration.operating_point)
        for score in films.score.tolist()
    ]
    return states.count("uncertain") / len(states)


class TriageRecalibrator(Recalibrator):
    """The one head of triage."""

    stage = "triage"
    heads = (ABNORMAL,)

    def before(self, head: str) -> Calibration | None:
        return Calibration.from_json(self.card.content["calibration"])

    def _store(self, content: dict[str, Any], head: str, calibration: Calibration) -> None:
        content["calibration"] = calibration.as_json()


class DiagnosisRecalibrator(Recalibrator):
    """The 13 heads of diagnosis; a head that was not trained stays so."""

    stage = "diagnosis"
    heads = CODES

    def before(self, head: str) -> Calibration | None:
        stored = self.card.content["heads"][head]["calibration"]
        return None if stored is None else Calibration.from_json(stored)

    def untrained(self, head: str) -> bool:
        return not self.card.content["heads"][head]["trained"]

    def _store(self, content: dict[str, Any], head: str, calibration: Calibration) -> None:
        content["heads"][head] |= {
            "calibration": calibration.as_json(),
            "calibrated_on": self.plan.source,
            "no_probability": None,
        }
