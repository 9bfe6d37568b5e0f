"""Numbers as a report holds them: five decimals, and nothing that JSON has no word for."""

from __future__ import annotations

import math
import numbers
from typing import Any


def rounded(value: float | None) -> float | None:
    """A number to five decimals; ``None`` stays."""
    return None if value is None else round(float(value), 5)


def measured_number(value: float | None) -> float | None:
    """A measured number: counts stay whole, the rest is rounded."""
    return value if isinstance(value, int) else rounded(value)


def checked_value(value: Any) -> float | str | None:
    """What a check of the gate saw: a word, a finite number, or nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return round(float(value), 5)
    return None
