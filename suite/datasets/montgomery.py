"""Montgomery County: 138 films with both lungs outlined, 58 of them with tuberculosis (Jaeger 2014).

Layout::

    CXR_png/MCUCXR_0001_0.png            _0 normal, _1 tuberculosis
    ManualMask/leftMask/MCUCXR_0001_0.png
    ManualMask/rightMask/MCUCXR_0001_0.png
    ClinicalReadings/MCUCXR_0001_0.txt   sex, age, findings in words

The folders name the side of the picture: ``leftMask`` is the patient's right lung. Some people have several
films, which only the readings tell ("same pt as MCUCXR_0162_1"); they get one patient id.

Films have 4020 x 4892 or 4892 x 4020 pixels of 0.0875 mm in both directions (the set's own readme). A copy
that was made smaller as a whole has larger ones; of a film with other proportions nobody knows.
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from suite.datasets import readings
from suite.datasets.manifest import FilmFile, Manifest, Record

LICENCE = readings.LICENCE
LAYOUT = "CXR_png/MCUCXR_0001_0.png, ManualMask/leftMask, ManualMask/rightMask, ClinicalReadings"
SPACING_MM = 0.0875
MATRIX = (4020, 4892)
"""Pixels along the short and the long side of a film."""

_FOLDERS = {"right_lung": "leftMask", "left_lung": "rightMask"}
_OTHER_FILM = re.compile(r"MCUCXR_(\d+)_[01]")


def read(folder: Path) -> Manifest:
    """All films of the folder; a lung that is not outlined is no target.

    Raises:
        DatasetError: the folder does not have the layout.
    """
    films = tuple(readings.named_films(folder, "MCUCXR", "montgomery", LAYOUT))
    return Manifest("montgomery", tuple(_record(folder, film) for film in films))


def _record(folder: Path, film: readings.NamedFilm) -> Record:
    reading = readings.read_reading(folder, film)
    masks = {lung: folder / "ManualMask" / name / film.path.name for lung, name in _FOLDERS.items()}
    # the lowest number that a person's readings name, so that all of them agree
    person = min([film.number, *_OTHER_FILM.findall(reading)])
    return Record(
        id=film.id,
        patient_id=f"montgomery-{person}",
        frontal=FilmFile(film.path),
        abnormal=film.abnormal,
        targets={lung: path for lung, path in masks.items() if path.is_file()},
        attributes=readings.attributes(reading) | _spacing(film.path),
    )


def _spacing(path: Path) -> dict[str, str]:
    """``spacing_mm`` of a film with the set's proportions; only its header is read."""
    try:
        with Image.open(path) as picture:
            short, long = sorted(picture.size)
    except (OSError, ValueError, SyntaxError):
        return {}  # whoever reads the film says that it is none
    if abs(short - long * MATRIX[0] / MATRIX[1]) > 1:
        return {}
    return {"spacing_mm": f"{SPACING_MM * MATRIX[1] / long:.6g}"}
