"""How a triage network is measured: areas set by set, and what its scores are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from classifiers.calibration import Calibration
from classifiers.calibration_methods import HeadFilms, fit_calibration
from classifiers.reliability import BeforeAfter, Judged, plot_reliability, shown_figures
from suite.datasets.manifest import Record
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import auc, auc_figure
from suite.training.subgroups import areas_by_subgroup

HEAD = "abnormal"
NOT_CALIBRATED = (
    "No calibration: the validation films are too few (it takes five normal and five abnormal ones, each of "
    "five patients), or the score orders them by chance alone."
)
NOT_READ_BY = (
    "The triage stage does not read by weights without a calibration: train on more films, of which a tenth "
    "are for validation, or begin with weights that know films already (--set start_from=CARD)."
)


@dataclass(frozen=True, slots=True)
class MeasuredSet:
    """The test part of the set that counts: its name, its films, and how the network scores them."""

    name: str
    records: Sequence[Record]
    films: HeadFilms


def validated(films: HeadFilms) -> Evaluation:
    """The area, of films that choose the epoch."""
    return Evaluation({"auc": Figure(auc(films.truth, films.score), n=len(films.truth))})


def measured(
    tested: MeasuredSet,
    held_out: HeadFilms,
    beside: Mapping[str, HeadFilms],
    *,
    seed: int,
    card: Mapping[str, Any] | None,
    notes: Sequence[str],
) -> Evaluation:
    """AUC with its interval, set by set, and the calibration, fitted on ``held_out``.

    Args:
        tested: of the set that is measured and calibrated on.
        held_out: validation films of the same set.
        beside: test films of other sets, of which the area stands beside.
        seed: of the bootstrap.
        card: of a finished network, of which is also measured what its own calibration gives; ``None`` in
            training.
        notes: what else is to be said of the measurement.
    """
    rng = np.random.default_rng(seed)
    films = tested.films
    figures = {"auc": _area(films, rng)}
    figures |= {f"{name}_auc": _area(own, rng) for name, own in beside.items()}
    figures |= _shown(card, {tested.name: films, **beside}, rng)
    calibration = fit_calibration(held_out, f"{len(held_out.truth)} held-out {tested.name} films", rng)
    evaluation = Evaluation(
        figures,
        _rows(tested.records, films),
        [f"Held-out patients of {tested.name}; intervals by bootstrap over patients.", *notes],
        curves={HEAD: (films.truth, films.score)},
    )
    if calibration is None:
        evaluation = _uncalibrated(evaluation, trained=card is None)
    else:
        evaluation = _calibrated(evaluation, calibration, films, rng)
    return replace(evaluation, by_subgroup=_by_subgroup(tested, rng))


def _area(films: HeadFilms, rng: np.random.Generator) -> Figure:
    return auc_figure(films.truth, films.score, films.patients.tolist(), rng)


def _shown(
    card: Mapping[str, Any] | None, every: Mapping[str, HeadFilms], rng: np.random.Generator
) -> dict[str, Figure]:
    """What the measured card's calibration gives on each set; nothing in training."""
    stored = (card or {}).get("calibration")
    if stored is None:
        return {}
    own = Calibration.from_json(stored)
    found: dict[str, Figure] = {}
    for name, films in every.items():
        found |= shown_figures(name, Judged.by(own, films), rng) if films.truth.size else {}
    return found


def _uncalibrated(evaluation: Evaluation, *, trained: bool) -> Evaluation:
    """Says why there is no calibration, and after training what that means for the stage."""
    said = (NOT_CALIBRATED, NOT_READ_BY) if trained else (NOT_CALIBRATED,)
    return replace(evaluation, notes=[*evaluation.notes, *said])


def _calibrated(
    evaluation: Evaluation, calibration: Calibration, films: HeadFilms, rng: np.random.Generator
) -> Evaluation:
    """Adds decisions at the operating point, reliability before and after, and the calibration itself."""
    judged = BeforeAfter.of(calibration, films)
    after = judged.after.figures(rng)
    decisions = {name: after[name] for name in ("sensitivity", "specificity")}
    return replace(
        evaluation,
        figures={**evaluation.figures, **decisions, **judged.figures(rng)},
        extras={"calibration": calibration.as_json()},
        pictures={"reliability.png": partial(plot_reliability, {HEAD: judged.named()})},
    )


def _by_subgroup(tested: MeasuredSet, rng: np.random.Generator) -> dict[str, dict[str, Figure]]:
    """Areas of the films of one view, sex or age."""
    truth, score = tested.films.truth[:, None], tested.films.score[:, None]
    areas = areas_by_subgroup(tested.records, truth, score, ["auc"], rng)
    return {f"{tested.name}, {group}": own for group, own in areas.items()}


def _rows(records: Sequence[Record], films: HeadFilms) -> list[dict[str, Any]]:
    """A line a film: whose it is, its truth and its score."""
    return [
        {
            "film": record.id,
            "patient": record.patient_id,
            "abnormal": record.abnormal,
            "score": float(score),
        }
        for record, score in zip(records, films.score, strict=True)
    ]
