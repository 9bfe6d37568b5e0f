"""A patient's age as headers and tables write it, and from the dates of birth and study."""

from __future__ import annotations

import re
from datetime import datetime

OLDEST = 120
"""Years. A birth date that makes a patient older stands for "unknown", as 1900-01-01 does."""

_AGE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*([DWMY]?)", re.IGNORECASE)
_DAYS_A_YEAR = 365.25
_YEARS = {"D": 1 / _DAYS_A_YEAR, "W": 7 / _DAYS_A_YEAR, "M": 1 / 12, "Y": 1.0, "": 1.0}


def age_in_years(value: str) -> float | None:
    """A DICOM age ("034Y", "018M", "003W", "010D") or a plain number of years; ``None`` if it is neither."""
    found = _AGE.fullmatch(value.strip())
    return float(found[1]) * _YEARS[found[2].upper()] if found else None


def age_between(birth: str, day: str) -> str | None:
    """The DICOM age on a day of a patient born on another: whole years, below two years days or months.

    Args:
        birth, day: DICOM dates, YYYYMMDD.

    Returns:
        such as "034Y", "018M" or "010D"; ``None`` where one is no date, or they give no person's age.
    """
    born, then = _date(birth), _date(day)
    if born is None or then is None or then < born:
        return None
    months = (then.year - born.year) * 12 + then.month - born.month - (then.day < born.day)
    if months >= 24:
        return f"{months // 12:03d}Y" if months // 12 <= OLDEST else None
    return f"{months:03d}M" if months >= 3 else f"{(then - born).days:03d}D"


def _date(text: str) -> datetime | None:
    """A DICOM date; those of ACR-NEMA, YYYY.MM.DD, are read too."""
    digits = text.strip().replace(".", "")
    try:
        return datetime.strptime(digits, "%Y%m%d") if len(digits) == 8 else None
    except ValueError:
        return None
