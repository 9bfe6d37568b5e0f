"""A reading list in the computer: how long each kind of study waits under three orders.

Studies arrive, wait, and are read by one of several readers without interruption. The order is that of
arrival, that of :mod:`suite.jobs.priority` without its cap, or with it. Times are in minutes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from suite.errors import InputError

Minutes = npt.NDArray[np.float64]
_DAY = 24 * 60.0
MOST_STUDIES = 2_000_000


class Order(StrEnum):
    """Who is read next."""

    ARRIVAL = "order of arrival"
    PRIORITY = "priority without cap"
    CAPPED = "priority with cap"


@dataclass(frozen=True, slots=True)
class Studies:
    """What comes to be read, sorted by arrival; all arrays are (n,).

    Attributes:
        arrivals: minutes since the start.
        durations: minutes of reading each takes.
        findings: what each truly shows; empty for normal.
        priorities: 0 for those not suggested; never negative.
    """

    arrivals: Minutes
    durations: Minutes
    findings: npt.NDArray[np.str_]
    priorities: Minutes


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed where there are no data.

    Attributes:
        arrivals_per_hour: on average, at random (Poisson).
        reading_minutes: mean reading time.
        exponential: reading times scatter (exponential); otherwise all are alike.
        prevalence: share of studies with each finding; the rest is normal.
        sensitivity, specificity: of the suggestion, for every finding alike.
        urgent: findings that go before other suggestions.
        hours: how long studies arrive.

    Raises:
        InputError: a number outside its range, or prevalences above 1 in sum.
    """

    arrivals_per_hour: float
    reading_minutes: float
    prevalence: Mapping[str, float]
    sensitivity: float
    specificity: float
    hours: float
    exponential: bool = True
    urgent: frozenset[str] = frozenset({"pneumothorax"})

    def __post_init__(self) -> None:
        for name in ("arrivals_per_hour", "reading_minutes", "hours"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} is {getattr(self, name):g} and must be above 0.")
        for name, share in (
            ("sensitivity", self.sensitivity),
            ("specificity", self.specificity),
            *self.prevalence.items(),
        ):
            if not 0.0 <= share <= 1.0:
                raise InputError(f"{name} is {share:g} and must lie between 0 and 1.")
        if sum(self.prevalence.values()) > 1.0 + 1e-9:
            raise InputError("The prevalences sum to more than 1; each study has one leading finding.")
        if self.arrivals_per_hour * self.hours > MOST_STUDIES:
            raise InputError(f"That is more than {MOST_STUDIES:,} studies; simulate fewer hours.")

    def draw(self, random: np.random.Generator) -> Studies:
        """Studies after these assumptions."""
        count = int(random.poisson(self.arrivals_per_hour * self.hours))
        arrivals = np.sort(random.uniform(0.0, 60.0 * self.hours, count))
        names = np.array(["", *self.prevalence])
        shares = [max(0.0, 1.0 - sum(self.prevalence.values())), *self.prevalence.values()]
        findings = names[random.choice(len(names), count, p=np.array(shares) / sum(shares))]
        durations = (
            random.exponential(self.reading_minutes, count)
            if self.exponential
            else np.full(count, self.reading_minutes)
        )
        suggested = suggestions(findings, self.sensitivity, self.specificity, random)
        urgent = suggested & np.isin(findings, list(self.urgent))
        return Studies(arrivals, durations, findings, suggested.astype(np.float64) + urgent)


def suggestions(
    findings: npt.NDArray[np.str_], sensitivity: float, specificity: float, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which of the studies (n,) a suggestion of that sensitivity and specificity raises."""
    chance = np.where(findings == "", 1.0 - specificity, sensitivity)
    raised: npt.NDArray[np.bool_] = random.uniform(size=len(findings)) < chance
    return raised


def waiting(
    studies: Studies,
    order: Order,
    *,
    readers: int = 1,
    cap_minutes: float = 240.0,
    shift: tuple[float, float] = (0.0, 24.0),
) -> Minutes:
    """Minutes that each study (n,) waits before its reading begins.

    Args:
        studies: sorted by arrival.
        order: who is next.
        readers: how many read side by side.
        cap_minutes: with ``Order.CAPPED``, whoever waited that long is next, the longest first.
        shift: hours of the day between which readings begin.
    """
    arrivals, durations = studies.arrivals.tolist(), studies.durations.tolist()
    ranks = (-studies.priorities if order is not Order.ARRIVAL else np.zeros(len(arrivals))).tolist()
    waited = np.zeros(len(arrivals))
    free = [0.0] * readers
    heapq.heapify(free)
    queue = _Queue(ranks, arrivals, cap_minutes if order is Order.CAPPED else math.inf)
    arrived = 0
    for _ in range(len(arrivals)):
        now = heapq.heappop(free)
        if not queue and arrived < len(arrivals):
            now = max(now, arrivals[arrived])
        now = _in_shift(now, shift)
        while arrived < len(arrivals) and arrivals[arrived] <= now:
            queue.add(arrived)
            arrived += 1
        chosen = queue.take(now)
        waited[chosen] = now - arrivals[chosen]
        heapq.heappush(free, now + durations[chosen])
    return waited


class _Queue:
    """Those who wait, by rank and then arrival; past the cap, by arrival alone."""

    def __init__(self, ranks: Sequence[float], arrivals: Sequence[float], cap: float) -> None:
        self._ranks, self._arrivals, self._cap = ranks, arrivals, cap
        self._by_rank: list[tuple[float, int]] = []
        self._oldest = 0
        self._taken: set[int] = set()
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, index: int) -> None:
        heapq.heappush(self._by_rank, (self._ranks[index], index))
        self._count += 1

    def take(self, now: float) -> int:
        self._count -= 1
        while self._oldest in self._taken:
            self._taken.remove(self._oldest)
            self._oldest += 1
        if now - self._arrivals[self._oldest] >= self._cap:
            self._oldest += 1  # its entry in the other list is passed over later
            return self._oldest - 1
        while True:
            _, index = heapq.heappop(self._by_rank)
            if index >= self._oldest:
                self._taken.add(index)
                return index


def _in_shift(now: float, shift: tuple[float, float]) -> float:
    """``now``, or the beginning of the next shift."""
    begin, end = (60.0 * hour for hour in shift)
    day, minute = divmod(now, _DAY)
    if begin <= minute < end:
        return now
    return day * _DAY + begin + (0.0 if minute < begin else _DAY)


@dataclass(frozen=True, slots=True)
class Row:
    """Waiting of one kind of study under one order, in minutes."""

    kind: str
    order: Order
    studies: int
    mean: float
    p95: float
    worst: float


def compare(
    studies: Studies,
    *,
    readers: int = 1,
    cap_minutes: float = 240.0,
    shift: tuple[float, float] = (0.0, 24.0),
) -> list[Row]:
    """Waiting of each finding, of all abnormal, all normal and all studies, under each order."""
    waits = {
        order: waiting(studies, order, readers=readers, cap_minutes=cap_minutes, shift=shift)
        for order in Order
    }
    return [
        Row(
            kind,
            order,
            int(chosen.sum()),
            float(waited[chosen].mean()),
            float(np.percentile(waited[chosen], 95)),
            float(waited[chosen].max()),
        )
        for kind, chosen in _kinds(studies)
        for order, waited in waits.items()
        if chosen.any()
    ]


def _kinds(studies: Studies) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    for finding in sorted(set(studies.findings.tolist()) - {""}):
        yield finding, studies.findings == finding
    yield "abnormal", studies.findings != ""
    yield "normal", studies.findings == ""
    yield "all", np.ones(len(studies.arrivals), dtype=bool)
