"""The sha256 that is kept with a signed report and with each addendum, and which parts of them that covers.

Form 2 covers the study, the reading the report is of, all sections, the signer and the time. Reports that
were signed before it have form 1, without the reading. A digest says by itself which form it is: one of form
2 does not fit the content of form 1, so a report whose reading was exchanged does not pass for an older one.

An addendum's digest covers its text, signer and time, and the digest of what it was added to: the report, or
the addendum before it. So none can be changed, exchanged, or taken out from before another; that the last was
taken out is told by the audit trail, which counts them (:mod:`suite.records.written`). Addenda that were
signed by versions before this chain have no digest; they lie at its beginning, and one that comes later
covers them too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FORM_2 = "radsuite.written-report/2"
ADDENDUM_FORM = "radsuite.addendum/1"


@dataclass(frozen=True, slots=True)
class SignedContent:
    """What a signature stands for.

    Attributes:
        job_id: the reading the report is of.
        signed_at: seconds since 1970.
    """

    study_id: str
    job_id: str | None
    sections: Mapping[str, str]
    signed_by: str | None
    signed_at: float | None


@dataclass(frozen=True, slots=True)
class SignedAddendum:
    """What the signature below an addendum stands for.

    Attributes:
        signed_at: seconds since 1970.
    """

    text: str
    signed_by: str
    signed_at: float


def digest(content: SignedContent) -> str:
    """The digest to keep, in hexadecimal digits."""
    return _sha256(
        [
            FORM_2,
            content.study_id,
            content.job_id,
            dict(content.sections),
            content.signed_by,
            content.signed_at,
        ]
    )


def fits(content: SignedContent, kept: str | None) -> bool:
    """Whether a kept digest, of whichever form, is that of the content."""
    form_1 = _sha256([content.study_id, dict(content.sections), content.signed_by, content.signed_at])
    return any(hmac.compare_digest(kept or "", expected) for expected in (digest(content), form_1))


def addenda_digests(report: str | None, addenda: Sequence[SignedAddendum]) -> list[str]:
    """The digest to keep with each addendum, the oldest first, below the digest of their report."""
    found: list[str] = []
    before = report
    for item in addenda:
        before = _sha256([ADDENDUM_FORM, before, item.text, item.signed_by, item.signed_at])
        found.append(before)
    return found


def first_misfit(
    report: str | None, addenda: Sequence[SignedAddendum], kept: Sequence[str | None]
) -> int | None:
    """Position of the first addendum that is not what was signed; ``None`` when each is.

    Args:
        kept: digest by addendum; ``None`` only in those before the first that has one.
    """
    is_in_chain = False
    for index, (own, expected) in enumerate(zip(kept, addenda_digests(report, addenda), strict=True)):
        if own is None and not is_in_chain:
            continue
        if not hmac.compare_digest(own or "", expected):
            return index
        is_in_chain = True
    return None


def _sha256(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
