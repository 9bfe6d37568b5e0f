"""Which studies the diagnosis network can use, and how many of them show each finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from classifiers.learned_sets import LearnedSets
from classifiers.validation_halves import ValidationHalves
from suite.datasets.manifest import Record
from suite.findings import CODES


def is_chest(record: Record) -> bool:
    """Whether a study shows a chest, which all do whose set does not say otherwise."""
    return record.attributes.get("part", "chest") == "chest"


def stated_positives(card: Mapping[str, Any] | None) -> dict[str, dict[str, int]]:
    """``training_positives`` of finished weights by their card; empty where it does not say."""
    heads = {} if card is None else card.get("heads", {})
    if not all("training_positives_by_set" in heads.get(code, {}) for code in CODES):
        return {}
    return {code: dict(heads[code]["training_positives_by_set"]) for code in CODES}


def training_positives(sets: LearnedSets) -> dict[str, dict[str, int]]:
    """Positive training studies by code and set."""
    left = len(sets.part("train"))
    by_set = {}
    for name in sets.names:
        own = sets.part_of(name, "train")[:left]
        left -= len(own)
        labels = np.array([record.labels for record in own]).reshape(-1, len(CODES))
        by_set[name] = np.nansum(labels, axis=0)
    return {code: {name: int(sums[i]) for name, sums in by_set.items()} for i, code in enumerate(CODES)}


def halved_validation(sets: LearnedSets) -> dict[str, ValidationHalves]:
    """Halves of the validation part of each set that is learned from."""
    found = {}
    for name in sets.names:
        records = sets.part_of(name, "validation")
        truth = np.array([record.labels for record in records]).reshape(-1, len(CODES))
        labels = {code: truth[:, index] for index, code in enumerate(CODES)}
        found[name] = ValidationHalves.of(name, sets.data[name].name, records, labels, sets.split_seed)
    return found
