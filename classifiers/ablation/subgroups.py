"""An ablation's networks on parts of the studies: those that have a finding, those of an age, sex or view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from classifiers.ablation.areas import both_kinds
from classifiers.ablation.predictions import Scored
from suite.findings import CODES
from suite.training.delong import placements
from suite.training.subgroups import group_of


def hit_rates(runs: Mapping[str, Sequence[Scored]]) -> dict[str, dict[str, float]]:
    """Hit rates of studies that have the finding in view, mean over seeds."""
    rates: dict[str, dict[str, float]] = {}
    chance: dict[str, float] = {}
    for name, seeds in runs.items():
        rates[name] = {}
        for index, code in enumerate(CODES):
            hits = np.stack([scored.hits[:, index] for scored in seeds])
            if not np.isnan(hits).all():
                rates[name][code] = float(np.nanmean(hits))
                chance[code] = float(np.nanmean(seeds[0].areas[:, index]))
    return {**rates, "chance": chance} if chance else {}


def by_subgroup(
    runs: Mapping[str, Sequence[Scored]], first: Scored, attributes: Sequence[str]
) -> dict[str, tuple[int, dict[str, float]]]:
    """Mean area over findings with both kinds in the group."""
    out: dict[str, tuple[int, dict[str, float]]] = {}
    for attribute in attributes:
        values = [group_of(attribute, value) for value in first.attributes[attribute]]
        for group in sorted(set(values) - {""}):
            rows = np.array([value == group for value in values])
            means = {name: _group_mean(seeds, rows) for name, seeds in runs.items()}
            out[f"{attribute}: {group}"] = int(rows.sum()), means
    return out


def _group_mean(seeds: Sequence[Scored], rows: npt.NDArray[np.bool_]) -> float:
    values = []
    for scored in seeds:
        for index in range(len(CODES)):
            truth, scores = scored.truth[rows, index], scored.scores[rows, index]
            if both_kinds(truth):
                known = ~np.isnan(truth)
                values.append(placements(truth[known], scores[known]).auc)
    return float(np.mean(values)) if values else math.nan
