"""Pseudonyms, UIDs and date shifts computed from a secret: the same input gives the same output, for ever.

Nothing is stored. Who has the secret can tell which pseudonym a known patient has, and nobody else.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta

from pydicom.dataset import Dataset

from suite.dicom.attributes import text
from suite.errors import InputError

LEAST_SECRET = 16
_LONGEST_SHIFT_DAYS = 5 * 365
_STANDARD_UIDS = "1.2.840.10008."


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Everything that is derived from the secret.

    Raises:
        InputError: the secret is shorter than 16 characters.
    """

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < LEAST_SECRET:
            raise InputError(
                f"the secret for pseudonyms has {len(self.secret)} characters and needs at least "
                f"{LEAST_SECRET}; give a longer one."
            )

    def patient(self, dataset: Dataset) -> str:
        """Name of the patient: ``anon-`` and 12 hexadecimal digits."""
        return f"anon-{self._mac('patient', self._key(dataset)).hex()[:12]}"

    def shift(self, dataset: Dataset) -> timedelta:
        """How far the patient's dates move: whole days into the past, at most five years."""
        number = int.from_bytes(self._mac("shift", self._key(dataset))[:8], "big")
        return timedelta(days=-(1 + number % _LONGEST_SHIFT_DAYS))

    def uid(self, original: str) -> str:
        """A UID for a UID; the standard's own (transfer syntaxes, SOP classes) stay."""
        if not original or original.startswith(_STANDARD_UIDS):
            return original
        return f"2.25.{uuid.UUID(bytes=self._mac('uid', original)[:16], version=4).int}"

    def _key(self, dataset: Dataset) -> str:
        """Who the patient is: the id with its issuer, else name and birth date, else the study."""
        identifier = text(dataset, "PatientID")
        if identifier is not None:
            return f"id\n{identifier}\n{text(dataset, 'IssuerOfPatientID') or ''}"
        name = text(dataset, "PatientName")
        if name is not None:
            return f"name\n{name}\n{text(dataset, 'PatientBirthDate') or ''}"
        return f"study\n{text(dataset, 'StudyInstanceUID') or ''}"

    def _mac(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret.encode(), f"{purpose}\n{value}".encode(), hashlib.sha256).digest()


def shifted(value: str, by: timedelta) -> str:
    """A DA or DT value moved by whole days; empty when it is no date. Time of day and precision stay."""
    digits = value.strip().replace(".", "") if len(value.strip()) == 10 else value.strip()  # 1997.01.31
    if len(digits) < 8 or not digits[:8].isdigit():
        return ""
    try:
        moved = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) + by
    except (ValueError, OverflowError):
        return ""
    return f"{moved:%Y%m%d}".rjust(8, "0") + digits[8:]
