"""A data set's own names for findings, and what they say about the suite's 13."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from suite.findings import CODES

Names = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Exact synonyms of each code, and names that leave it open.

    Attributes:
        synonyms: names that mean the finding, or a kind of it, by code. A code without an entry is one the
            set does not know.
        doubtful: names under which the finding may or may not hide, by code: "volume loss" is no
            atelectasis, yet a film so named is no example of a chest without one.
    """

    synonyms: Names
    doubtful: Names = field(default_factory=dict)

    def labels(self, names: Collection[str]) -> tuple[float, ...]:
        """13 labels of a film that the set describes by all of ``names`` and nothing else."""
        return tuple(self._label(code, frozenset(names)) for code in CODES)

    def _label(self, code: str, names: frozenset[str]) -> float:
        if code not in self.synonyms:
            return math.nan
        if names & self.synonyms[code]:
            return 1.0
        return math.nan if names & self.doubtful.get(code, frozenset()) else 0.0


def named(*names: str) -> frozenset[str]:
    """A set of names."""
    return frozenset(names)
