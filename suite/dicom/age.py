"""How old the patient of a film is: as the file says, or between the dates of birth and study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.dicom.attributes import text
from suite.patient_age import age_between, age_in_years

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DAYS = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
"""When the film was taken; the first that gives an age counts."""


def find_age(dataset: Dataset) -> str | None:
    """Patient's Age, or where none is there that can be read, the DICOM age on the day of the film.

    The standard asks for a birth date and leaves the age to the device, so many files have the date alone.
    """
    written = text(dataset, "PatientAge")
    if age_in_years(written or "") is not None:
        return written
    birth = text(dataset, "PatientBirthDate") or ""
    ages = (age_between(birth, text(dataset, day) or "") for day in _DAYS)
    return next((age for age in ages if age is not None), written)
