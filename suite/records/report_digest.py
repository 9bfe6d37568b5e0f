"""The sha256 that is kept with a signed report, and which parts of it that covers.

Form 2 covers the study, the reading the report is of, all sections, the signer and the time. Reports that
were signed before it have form 1, without the reading. A digest says by itself which form it is: one of form
2 does not fit the content of form 1, so a report whose reading was exchanged does not pass for an older one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORM_2 = "radsuite.written-report/2"


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


def _sha256(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
