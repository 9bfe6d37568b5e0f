"""Which studies of which data sets the diagnosis network learns from, is chosen by and is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from suite.datasets.manifest import Manifest, Record, SplitName
from suite.findings import CODES

FRACTIONS = (0.65, 0.15, 0.2)


def is_chest(record: Record) -> bool:
    """Whether a study shows a chest, which all do whose set does not say otherwise."""
    return record.attributes.get("part", "chest") == "chest"


def part_of(manifest: Manifest, name: SplitName, split_seed: int) -> tuple[Record, ...]:
    """Chest studies of one part of a set."""
    return tuple(record for record in manifest.split(split_seed, FRACTIONS)[name] if is_chest(record))


@dataclass(frozen=True, slots=True)
class LearnedSets:
    """The sets that are learned from.

    Attributes:
        data: the sets that are given, by name.
        names: of those that are learned from, in their order.
        split_seed: of the split by patient.
        limit: most training studies of all sets together; 0: all.
    """

    data: Mapping[str, Manifest]
    names: tuple[str, ...]
    split_seed: int
    limit: int

    def part(self, name: SplitName) -> tuple[Record, ...]:
        """Chest studies of one part of all sets."""
        records = tuple(record for each in self.names for record in self.part_of(each, name))
        return records[: self.limit] if self.limit and name == "train" else records

    def part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        """Chest studies of one part of one set, without the limit."""
        return part_of(self.data[dataset], name, self.split_seed)

    def training_positives(self) -> dict[str, dict[str, int]]:
        """Positive training studies by code and set."""
        left = len(self.part("train"))
        by_set = {}
        for name in self.names:
            own = self.part_of(name, "train")[:left]
            left -= len(own)
            labels = np.array([record.labels for record in own]).reshape(-1, len(CODES))
            by_set[name] = np.nansum(labels, axis=0)
        return {code: {name: int(sums[i]) for name, sums in by_set.items()} for i, code in enumerate(CODES)}
