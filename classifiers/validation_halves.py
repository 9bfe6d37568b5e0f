"""Validation patients in two halves: one chooses the epoch, scores are calibrated on the other.

The epoch that did best on some films did a little better on them than it does on others. A calibration
fitted on the same films takes that luck for skill. A head that has too few films in a half is calibrated on
both, which costs less honesty than a curve through a handful of films would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from classifiers.calibration import MIN_POSITIVES
from classifiers.calibration_methods import HeadFilms
from suite.datasets.manifest import Manifest, Record

MIN_HALF = 20
"""Films with and without a finding that each half needs for a head to be calibrated on one of them."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ValidationHalves:
    """The validation part of one data set.

    Attributes:
        dataset: its name.
        whole: all records.
        first, second: those of either half; no patient is in both.
        apart: heads that are calibrated on the second half; empty: the set is not halved.
        together: other heads that could be calibrated: their films of a half are too few.
    """

    dataset: str
    whole: tuple[Record, ...]
    first: tuple[Record, ...] = ()
    second: tuple[Record, ...] = ()
    apart: frozenset[str] = frozenset()
    together: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, dataset: str, manifest: str, records: Sequence[Record], labels: Mapping[str, Values], seed: int
    ) -> Self:
        """Halve ``records`` by a hash of seed, set and patient, as data sets are split.

        Args:
            dataset: name of the set.
            manifest: name of its manifest, which the hash depends on.
            records: the validation part.
            labels: of each head by name, 1, 0 or NaN a record (N,).
            seed: of the split.
        """
        if not records:
            return cls(dataset, ())
        split = Manifest(manifest, tuple(records)).fold(0, 2, seed, validation=0.0)
        chosen = {record.id for record in split["train"]}
        inside = np.array([record.id in chosen for record in records])
        apart = frozenset(
            name
            for name, own in labels.items()
            if min(_fewest(own[inside]), _fewest(own[~inside])) >= MIN_HALF
        )
        together = tuple(
            name for name, own in labels.items() if name not in apart and _fewest(own) >= MIN_POSITIVES
        )
        return cls(dataset, tuple(records), split["train"], split["test"], apart, together)

    @property
    def choosing(self) -> tuple[Record, ...]:
        """What chooses the epoch."""
        return self.first if self.apart else self.whole

    def calibrating(self, head: str) -> tuple[Record, ...]:
        """What the head is calibrated on."""
        return self.second if head in self.apart else self.whole

    def of_head(self, head: str, films: HeadFilms) -> HeadFilms:
        """Those of a head's ``films`` of the validation part that it is calibrated on."""
        if head not in self.apart:
            return films
        kept = {record.patient_id for record in self.second}
        return films.rows(np.flatnonzero([patient in kept for patient in films.patients.tolist()]))

    def note(self) -> str:
        """One sentence for the card."""
        few = f"fewer than {MIN_HALF} films with or without it in a half"
        if not self.apart:
            return (
                f"The epoch was chosen and scores are calibrated on the same {self.dataset} validation "
                f"patients, so that probabilities may be a little too sure: {few}."
            )
        said = (
            f"Of the {self.dataset} validation patients one half ({len(self.first)} films) chose the epoch, "
            f"and scores are calibrated on the other ({len(self.second)} films)"
        )
        return said + (f"; on both, having {few}: {', '.join(self.together)}." if self.together else ".")


def _fewest(labels: Values) -> int:
    """The fewer of the films with and of those without."""
    return int(min((labels == 1.0).sum(), (labels == 0.0).sum()))
