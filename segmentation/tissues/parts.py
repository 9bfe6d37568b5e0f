"""Films by body part, split as XNet's authors did: every part has films to choose by and to test on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from suite.datasets.manifest import Manifest, Record, Split, SplitName

UNNAMED = "unnamed"
"""The part of a film whose data set does not say."""


def part_of(record: Record) -> str:
    """The body part a record's data set gives it."""
    return record.attributes.get("part", UNNAMED)


def at_most(manifest: Manifest, count: int) -> Manifest:
    """The first ``count`` films of each body part, 0: all, so that no part outweighs the others.

    Which they are depends on the films' names, not on their order.
    """
    if not count:
        return manifest
    kept: set[str] = set()
    for part in {part_of(record) for record in manifest}:
        names = [record.id for record in manifest if part_of(record) == part]
        kept.update(sorted(names, key=lambda name: _draw(0, manifest.name, name))[:count])
    return Manifest(manifest.name, tuple(record for record in manifest if record.id in kept))


def split_by_part(manifest: Manifest, seed: int = 0, shares: tuple[float, float] = (0.1, 0.2)) -> Split:
    """Train, validation and test parts of a set, drawn within each body part.

    Every body part of three patients or more is in all three; one with a single patient is tested on only.
    A patient with films of several parts stays where the first, by name, put them.

    Args:
        manifest: what is split.
        seed: of the draw.
        shares: of validation and test; the authors', 21 and 21 of 150, leave little to test on.
    """
    places: dict[str, SplitName] = {}
    for part in sorted({part_of(record) for record in manifest}):
        patients = {record.patient_id for record in manifest if part_of(record) == part}
        drawn = sorted(patients, key=lambda patient: _draw(seed, manifest.name, patient))
        for place, names in _dealt(drawn, shares).items():
            for name in names:
                places.setdefault(name, place)
    parts: dict[SplitName, list[Record]] = {"train": [], "validation": [], "test": []}
    for record in manifest:
        parts[places[record.patient_id]].append(record)
    return Split({name: tuple(records) for name, records in parts.items()})


def _dealt(patients: list[str], shares: tuple[float, float]) -> dict[SplitName, Iterable[str]]:
    count = len(patients)
    validation = max(1, round(shares[0] * count)) if count >= 3 else 0
    test = max(1, round(shares[1] * count)) if count != 2 else 1
    return {
        "test": patients[:test],
        "validation": patients[test : test + validation],
        "train": patients[test + validation :],
    }


def _draw(seed: int, name: str, patient: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}:{patient}".encode()).digest()
