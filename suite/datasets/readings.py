"""What the two tuberculosis sets of the National Library of Medicine share: names and clinical readings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from suite.errors import DatasetError

LICENCE = "research and education; cite (Jaeger et al. 2014, Candemir et al. 2014)"

_AGE = re.compile(r"(\d+)\s*(y|m|d)", re.IGNORECASE)
_YEARS = {"y": 1.0, "m": 1.0 / 12.0, "d": 1.0 / 365.25}


@dataclass(frozen=True, slots=True)
class NamedFilm:
    """A film ``PREFIX_0001_0.png``: its running number, and 1 at the end for tuberculosis, 0 for none."""

    path: Path
    number: str
    abnormal: float

    @property
    def id(self) -> str:
        return self.path.stem


def named_films(folder: Path, prefix: str, dataset: str, layout: str) -> Iterator[NamedFilm]:
    """The films in ``folder/CXR_png``, in the order of their names.

    Raises:
        DatasetError: there is no such folder, or no film of the set in it.
    """
    pattern = re.compile(rf"{prefix}_(\d+)_([01])")
    films = []
    for path in sorted((folder / "CXR_png").glob(f"{prefix}_*.png")):
        match = pattern.fullmatch(path.stem)
        if match is None:
            raise DatasetError(
                f"{path}: is not named {prefix}_NUMBER_0 or _1; restore the name the set gave it."
            )
        films.append(NamedFilm(path, match[1], float(match[2])))
    if not films:
        raise DatasetError(f"{folder}: holds no CXR_png/{prefix}_*.png; data set {dataset} needs {layout}.")
    yield from films


def read_reading(folder: Path, film: NamedFilm) -> str:
    """The clinical reading of a film as one text; empty where the set has none."""
    path = folder / "ClinicalReadings" / f"{film.id}.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def attributes(reading: str) -> dict[str, str]:
    """``sex`` (M or F) and ``age`` in years, where the reading states them.

    Montgomery writes ``Patient's Sex: F`` and ``Patient's Age: 027Y``; Shenzhen ``male 45yrs``, with its own
    spellings (``femal``, ``female24yrs``) and ages of infants in months or days.
    """
    head = " ".join(reading.split("\n")[:2]).lower()
    found = {"view": "PA"}
    sex = re.search(r"sex:\s*([mf])|\b(m|f)(?:e)?m?al", head)
    if sex:
        found["sex"] = (sex[1] or sex[2]).upper()
    age = _AGE.search(head)
    if age:
        found["age"] = f"{math.floor(10 * int(age[1]) * _YEARS[age[2].lower()]) / 10:g}"
    return found
