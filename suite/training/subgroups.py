"""Areas under the ROC curve by view, sex and age of the films: what a mean over all of them hides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from suite.datasets.manifest import Record
from suite.patient_age import age_in_years
from suite.training.evaluation import Figure
from suite.training.intervals import auc_figure

Values = npt.NDArray[np.float64]

ATTRIBUTES = ("view", "sex", "age")
"""Attributes of a record that films are told apart by, where their data set gives them."""

AGE_GROUPS = ((0, 40, "under 40"), (40, 65, "40 to 64"), (65, 200, "65 and older"))
"""First year, first year no more, and name."""

LEAST = 5
"""Films with a finding, and without it, below which a group has no area: its interval would say nothing."""


def group_of(attribute: str, value: str) -> str:
    """The group a record's value belongs to: of ages one of ``AGE_GROUPS``; empty where it is not known.

    Ages are years, or written as DICOM does ("034Y", "011M").
    """
    if attribute != "age":
        return value
    years = age_in_years(value)
    if years is None:
        return ""
    return next((name for low, high, name in AGE_GROUPS if low <= years < high), "")


def areas_by_subgroup(
    records: Sequence[Record], truth: Values, scores: Values, names: Sequence[str], rng: np.random.Generator
) -> dict[str, dict[str, Figure]]:
    """Areas of each group by name, such as ``"view: AP"``; attributes that tell no films apart are left out.

    Args:
        records: of the films.
        truth, scores: (N, F): labels in {0, 1, NaN}, and scores.
        names: of the F columns.
        rng: of the bootstrap over patients.
    """
    found: dict[str, dict[str, Figure]] = {}
    for attribute in ATTRIBUTES:
        values = [group_of(attribute, record.attributes.get(attribute, "")) for record in records]
        groups = sorted(set(values) - {""})
        for group in groups if len(groups) > 1 else ():
            rows = np.array([value == group for value in values])
            owners = [record.patient_id for record, inside in zip(records, rows, strict=True) if inside]
            found[f"{attribute}: {group}"] = {
                name: _area(truth[rows, column], scores[rows, column], owners, rng)
                for column, name in enumerate(names)
            }
    return found


def _area(truth: Values, scores: Values, patients: Sequence[str], rng: np.random.Generator) -> Figure:
    known = truth[~np.isnan(truth)]
    if min((known > 0).sum(), (known <= 0).sum()) < LEAST:
        return Figure(float("nan"), n=len(known))
    return auc_figure(truth, scores, patients, rng)
