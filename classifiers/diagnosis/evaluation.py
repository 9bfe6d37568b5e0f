"""How a diagnosis network is measured: areas, heatmaps against known places, what its scores are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from classifiers.cam import heatmap_from
from classifiers.diagnosis.head_calibration import (
    HeadCalibrations,
    SetCalibration,
    figures_by_card,
    trained_heads,
    unlearned_heads,
)
from classifiers.diagnosis.predictions import Predictions
from classifiers.localisation import LocatedMap, framed_heatmap, localisation_figures, located_rows
from classifiers.validation_halves import ValidationHalves
from suite.datasets.finding_places import known_places
from suite.datasets.registry import is_computed
from suite.findings import CODES
from suite.stages.artifacts import Heatmap
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import auc, auc_figure
from suite.training.subgroups import areas_by_subgroup


@dataclass(frozen=True, slots=True)
class AskedMaps:
    """Maps of a method beside the closed form: its name, and by data set those of located findings."""

    method: str
    maps: Mapping[str, Sequence[LocatedMap]]


def validated(predictions: Mapping[str, Predictions]) -> Evaluation:
    """The mean area over findings and sets, from predictions on the validation part of each set."""
    return Evaluation(_mean_auc([_aucs(each, None) for each in predictions.values()]))


def measured(
    tested: Mapping[str, Predictions],
    held_out: Mapping[str, Predictions],
    positives: Mapping[str, Mapping[str, int]],
    *,
    beside: Mapping[str, Predictions],
    size: int,
    seed: int,
    shown: Mapping[str, Mapping[str, Any]] | None,
    also: AskedMaps | None = None,
    halves: Mapping[str, ValidationHalves] = MappingProxyType({}),
) -> Evaluation:
    """AUC of each finding with its interval, by data set where there are several.

    Also the calibration of each head, fitted on ``held_out``; what the calibrations ``shown`` give; and where
    the place of a finding is known how well the frontal heatmaps point at it.

    Args:
        tested: predictions on the test part of each set that was learned from, with their maps.
        held_out: predictions on the validation parts of the same sets.
        positives: training positives by code and set.
        beside: as ``tested``, of sets that are measured on only; they enter no mean and no calibration.
        size: side of the network's input.
        seed: of the bootstrap.
        shown: heads of a finished network's card; ``None`` in training, and where its stage would withdraw
            their calibrations.
        also: maps of another method, whose figures begin with its name; those of the closed form on the same
            findings with that and ``closed``.
        halves: of the validation parts, by set; heads of a set that is not there are calibrated on all of it.
    """
    rng = np.random.default_rng(seed)
    every = {**tested, **beside}
    by_dataset = {
        name: {**_aucs(each, rng), **_localisation(each, size, rng)} for name, each in every.items()
    }
    if also is not None:
        for name, each in every.items():
            by_dataset[name] |= asked_figures(also.method, also.maps[name], _located(each, size), seed)
    figures = _mean_auc([by_dataset[name] for name in tested])
    figures |= _without_lateral(list(tested.values()))
    for name, own in by_dataset.items():
        prefix = f"{name}_" if len(tested) > 1 or name in beside else ""
        figures |= {f"{prefix}{key}": figure for key, figure in own.items()}
    if shown is not None:
        for name, each in every.items():
            figures |= figures_by_card(shown, name, each, rng)
    unlearned = unlearned_heads(tested, by_dataset)
    calibrations = replace(_calibrations(tested, held_out, positives, rng, halves), unlearned=unlearned)
    whole = _joined(list(tested.values()))
    notes = ["Held-out patients; scores are logits.", *(own.note() for own in halves.values())]
    if unlearned:
        names = ", ".join(sorted(unlearned))
        notes.append(f"Not learned, though there was enough to learn from, and not shown: {names}.")
    return Evaluation(
        {**figures, **calibrations.figures(rng)},
        _rows(whole),
        notes,
        {"heads": calibrations.heads()},
        {code: (whole.truth[:, i], whole.scores[:, i]) for i, code in enumerate(CODES)},
        pictures=calibrations.pictures(),
        by_dataset=by_dataset,
        by_subgroup=_by_subgroup(every, rng),
    )


def _by_subgroup(every: Mapping[str, Predictions], rng: np.random.Generator) -> dict[str, dict[str, Figure]]:
    """Areas of each set's films of one view, sex or age."""
    names = [f"auc_{code}" for code in CODES]
    return {
        f"{name}, {group}": figures
        for name, each in every.items()
        for group, figures in areas_by_subgroup(each.records, each.truth, each.scores, names, rng).items()
    }


def _rows(predictions: Predictions) -> list[dict[str, Any]]:
    return [
        {
            "film": record.id,
            "patient": record.patient_id,
            **dict(zip(CODES, map(float, row), strict=True)),
        }
        for record, row in zip(predictions.records, predictions.scores, strict=True)
    ]


def _calibrations(
    tested: Mapping[str, Predictions],
    held_out: Mapping[str, Predictions],
    positives: Mapping[str, Mapping[str, int]],
    rng: np.random.Generator,
    halves: Mapping[str, ValidationHalves],
) -> HeadCalibrations:
    """Each head's calibrations: set by set, fitted on the validation part, judged on the test part."""
    trained = trained_heads(positives)
    real_first = sorted(tested, key=is_computed)
    each = [
        SetCalibration.of(name, held_out[name], tested[name], trained, rng, halves.get(name))
        for name in real_first
    ]
    return HeadCalibrations(positives, each)


def _localisation(predictions: Predictions, size: int, rng: np.random.Generator) -> dict[str, Figure]:
    """Figures of ``classifiers.localisation`` for the findings whose place the records know."""
    rows = located_rows(_located(predictions, size))
    return localisation_figures(rows, rng) if rows else {}


def asked_figures(
    method: str, maps: Sequence[LocatedMap], closed: Sequence[LocatedMap], seed: int
) -> dict[str, Figure]:
    """``METHOD_hit_rate`` ... of ``maps``; ``METHOD_closed_hit_rate`` ... of ``closed`` on the same findings.

    Draws of both are the same, and none of another figure's.
    """
    asked = {(each.record.id, each.code) for each in maps}
    beside = [each for each in closed if (each.record.id, each.code) in asked]
    figures: dict[str, Figure] = {}
    for prefix, measured_maps in ((method, maps), (f"{method}_closed", beside)):
        rows = located_rows(measured_maps)
        own = localisation_figures(rows, np.random.default_rng(seed)) if rows else {}
        figures |= {f"{prefix}_{name}": figure for name, figure in own.items()}
    return figures


def _located(predictions: Predictions, size: int) -> list[LocatedMap]:
    """The closed-form map of each finding whose place the records know."""
    if predictions.maps is None:
        return []
    located = [
        LocatedMap.of(record, code, _heatmap(maps[CODES.index(code)], shape, size))
        for record, maps, shape in zip(predictions.records, predictions.maps, predictions.shapes, strict=True)
        for code in known_places(record)
    ]
    return [each for each in located if each.outline.any()]


def _heatmap(evidence: npt.NDArray[np.float32], shape: npt.NDArray[np.int64], size: int) -> Heatmap:
    """A frontal map (h, w) as readers see it, of a film with ``shape`` rows and columns."""
    rows, columns = shape
    values = heatmap_from(torch.from_numpy(evidence)).numpy()
    return framed_heatmap("frontal", values, (int(rows), int(columns)), size)


def _aucs(predictions: Predictions, rng: np.random.Generator | None) -> dict[str, Figure]:
    """``auc_CODE``; without ``rng`` no intervals."""
    owners = [record.patient_id for record in predictions.records]
    truth, scores = predictions.truth, predictions.scores
    if rng is None:
        return {
            f"auc_{code}": Figure(auc(truth[:, i], scores[:, i]), n=int((~np.isnan(truth[:, i])).sum()))
            for i, code in enumerate(CODES)
        }
    return {f"auc_{code}": auc_figure(truth[:, i], scores[:, i], owners, rng) for i, code in enumerate(CODES)}


def _mean_auc(of_sets: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """The mean over findings, then over sets; n counts the findings."""
    values = [
        [
            figure.value
            for key, figure in own.items()
            if key.startswith("auc_") and not math.isnan(figure.value)
        ]
        for own in of_sets
    ]
    means = [float(np.mean(own)) for own in values if own]
    return {"mean_auc": Figure(float(np.mean(means)) if means else math.nan, n=max(map(len, values)))}


def _without_lateral(of_sets: Sequence[Predictions]) -> dict[str, Figure]:
    """What the mean would be had no study its lateral; nothing where none has one."""
    known = [each for each in of_sets if not np.isnan(each.lateral_effect).all()]
    alone = [replace(each, scores=each.scores - np.nan_to_num(each.lateral_effect)) for each in known]
    if not alone:
        return {}
    with_it = _mean_auc([_aucs(each, None) for each in known])["mean_auc"]
    without = _mean_auc([_aucs(each, None) for each in alone])["mean_auc"]
    return {"mean_auc_of_sets_with_laterals": with_it, "mean_auc_without_laterals": without}


def _joined(parts: Sequence[Predictions]) -> Predictions:
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("truth", "scores", "hits", "areas", "lateral_effect", "shapes")
    }
    return Predictions(tuple(record for part in parts for record in part.records), **columns, maps=None)
