"""An ablation's networks on parts of the studies: those that have a finding, those of an age, sex or view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifiers.ablation.areas import Area, Values, mean_area
from classifiers.ablation.predictions import Scored
from suite.findings import CODES
from suite.training.subgroups import LEAST, group_of


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
    runs: Mapping[str, Sequence[Scored]], first: Scored, attributes: Sequence[str], weights: Values
) -> dict[str, tuple[int, dict[str, Area]]]:
    """Studies of each group, and each network's mean area over the findings that the group can tell of.

    Those are the findings that ``LEAST`` studies of the group have, and as many have not.

    Args:
        runs: seeds by network.
        first: one of them, for the truth and the attributes that all share.
        attributes: of ``ATTRIBUTES`` and ``source``.
        weights: of the bootstrap over patients (draws, N).
    """
    out: dict[str, tuple[int, dict[str, Area]]] = {}
    for attribute in attributes:
        values = [group_of(attribute, value) for value in first.attributes[attribute]]
        for group in sorted(set(values) - {""}):
            rows = np.array([value == group for value in values])
            findings = [i for i in range(len(CODES)) if _fewer(first.truth[rows, i]) >= LEAST]
            means = {
                name: mean_area([scored.rows(rows) for scored in seeds], findings, weights[:, rows])
                for name, seeds in runs.items()
            }
            out[f"{attribute}: {group}"] = int(rows.sum()), means
    return out


def _fewer(truth: Values) -> int:
    """Of the studies with and those without, how many there are of the fewer."""
    return int(min((truth == 1.0).sum(), (truth == 0.0).sum()))
