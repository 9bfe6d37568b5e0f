"""Ages as headers and tables write them, and from dates."""

from __future__ import annotations

import pytest

from suite.patient_age import age_between, age_in_years


@pytest.mark.parametrize(
    ("value", "years"),
    [("034Y", 34), ("018M", 1.5), ("026W", 0.498), ("68", 68), ("", None), ("old", None)],
)
def test_ages_are_read_as_dicom_writes_them(value: str, years: float | None) -> None:
    assert age_in_years(value) == (None if years is None else pytest.approx(years, abs=0.01))


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        ("20091231", "20251230", "015Y"),  # the day before the sixteenth birthday
        ("20091231", "20251231", "016Y"),
        ("20240229", "20260228", "023M"),
        ("20250115", "20250415", "003M"),
        ("20251220", "20260101", "012D"),
        ("1950.07.01", "20260101", "075Y"),
        ("19000101", "20260101", None),  # stands for "unknown"
        ("20260102", "20260101", None),
        ("20261301", "20260101", None),
        ("2010", "20260101", None),
        ("", "20260101", None),
        ("20100101", "", None),
    ],
)
def test_an_age_is_counted_in_whole_years_months_or_days(birth: str, day: str, age: str | None) -> None:
    assert age_between(birth, day) == age
