"""Readers and networks side by side: how often they agree, week by week, finding by finding, pair by pair.

Only verdicts that stand are counted, each reader's latest on each finding of each reading.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

from sqlalchemy import select

from suite.findings import CODES
from suite.jobs.database import Database
from suite.jobs.models import Review
from suite.records.reviews import Verdict

Z = 1.959964
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One reader's standing verdict on one finding of one reading."""

    study_id: str
    job_id: str
    finding: str
    reader: str
    verdict: Verdict
    at: float

    @property
    def agrees(self) -> bool:
        """Whether reader and network say the same."""
        return self.verdict is Verdict.ACCEPTED

    @property
    def is_present(self) -> bool:
        """Whether the reader sees the finding."""
        return self.verdict is not Verdict.REJECTED


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its Wilson interval at 95 %; ``n`` 0 has no share."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 1927; the whole range while nothing was counted."""
        if not self.n:
            return 0.0, 1.0
        share, n = self.value, self.n
        middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        spread = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - spread), min(1.0, middle + spread)


@dataclass(frozen=True, slots=True)
class FindingAgreement:
    """One finding: how many suggestions were accepted, rejected, and how many were added beside them."""

    finding: str
    accepted: int
    rejected: int
    added: int

    @property
    def confirmed(self) -> Share:
        """Share of the judged suggestions that readers accepted."""
        return Share(self.accepted, self.accepted + self.rejected)


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two readers on the findings that both judged.

    Attributes:
        kappa: Cohen's, on present or absent; NaN where chance alone would always agree.
    """

    first: str
    second: str
    same: Share
    kappa: float


def judgements(database: Database) -> list[Judgement]:
    """All standing verdicts, the oldest first."""
    rows = (
        select(Review)
        .where(Review.undone_at.is_(None), Review.verdict != Verdict.COMMENT.value)
        .where(Review.finding.is_not(None), Review.job_id.is_not(None))
        .order_by(Review.created_at, Review.id)
    )
    latest: dict[tuple[str | None, str | None, str], Judgement] = {}
    with database.read() as session:
        for row in session.scalars(rows):
            key = (row.job_id, row.finding, row.user)
            latest.pop(key, None)  # a later verdict also comes later in the order
            latest[key] = Judgement(
                row.study_id,
                row.job_id or "",
                row.finding or "",
                row.user,
                Verdict(row.verdict),
                row.created_at,
            )
    return list(latest.values())


def by_week(found: Iterable[Judgement]) -> list[tuple[str, Share]]:
    """Share of verdicts that agree with the network, by the Monday (UTC) on which their week begins."""
    weeks: dict[str, list[bool]] = defaultdict(list)
    for one in found:
        day = datetime.fromtimestamp(one.at, UTC).date()
        weeks[(day - timedelta(days=day.weekday())).isoformat()].append(one.agrees)
    return [(week, Share(sum(agreed), len(agreed))) for week, agreed in sorted(weeks.items())]


def by_finding(found: Sequence[Judgement]) -> list[FindingAgreement]:
    """Findings that anybody judged, in the vocabulary's order."""
    counts = Counter((one.finding, one.verdict) for one in found)
    return [
        FindingAgreement(
            code,
            counts[code, Verdict.ACCEPTED],
            counts[code, Verdict.REJECTED],
            counts[code, Verdict.ADDED],
        )
        for code in CODES
        if any(counts[code, verdict] for verdict in Verdict)
    ]


def by_pair(found: Iterable[Judgement]) -> list[PairAgreement]:
    """Readers two by two, by name, where they judged the same finding of the same reading."""
    said: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for one in found:
        said[one.job_id, one.finding][one.reader] = one.is_present
    pairs: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for readers in said.values():
        for first, second in combinations(sorted(readers), 2):
            pairs[first, second].append((readers[first], readers[second]))
    return [
        PairAgreement(first, second, Share(sum(a == b for a, b in both), len(both)), cohens_kappa(both))
        for (first, second), both in sorted(pairs.items())
    ]


def cohens_kappa(both: Sequence[tuple[bool, bool]]) -> float:
    """Agreement of two readers beyond chance (Cohen 1960); NaN where it is undefined."""
    n = len(both)
    if not n:
        return math.nan
    observed = sum(first == second for first, second in both) / n
    first, second = sum(a for a, _ in both) / n, sum(b for _, b in both) / n
    chance = first * second + (1 - first) * (1 - second)
    return math.nan if chance == 1.0 else (observed - chance) / (1 - chance)
