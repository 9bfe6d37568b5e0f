"""What a reader said about a suggestion, as the structured report needs to know it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from suite.errors import InputError
from suite.findings import CODES

VERDICTS = ("accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Review:
    """One reader's verdict on one finding.

    Attributes:
        finding: code of the finding.
        verdict: ``accepted`` or ``rejected``.
        reviewer: the reader's name, in DICOM's order ``Family^Given`` or as one word.
        time: of the verdict, in seconds since 1970 (UTC).

    Raises:
        InputError: an unknown finding or verdict, an empty name, or no time.
    """

    finding: str
    verdict: str
    reviewer: str
    time: float

    def __post_init__(self) -> None:
        if self.finding not in CODES:
            raise InputError(f"review of {self.finding!r}: no such finding; use one of {', '.join(CODES)}.")
        if self.verdict not in VERDICTS:
            raise InputError(
                f"review of {self.finding}: verdict {self.verdict!r} is unknown; use {' or '.join(VERDICTS)}."
            )
        if not self.reviewer.strip() or "\\" in self.reviewer or len(self.reviewer) > 64:
            raise InputError(f"review of {self.finding}: the reviewer needs a name of at most 64 characters.")
        if not math.isfinite(self.time) or self.time < 0:
            raise InputError(f"review of {self.finding}: time {self.time} is not a time since 1970.")

    @property
    def moment(self) -> datetime:
        """The time of the verdict, in UTC."""
        return datetime.fromtimestamp(self.time, UTC)


def latest_by_finding(reviews: tuple[Review, ...]) -> dict[str, Review]:
    """Each finding's last verdict: a reader who changes their mind is believed."""
    found: dict[str, Review] = {}
    for review in sorted(reviews, key=lambda review: review.time):
        found[review.finding] = review
    return found
