"""Dual-energy triples as a hospital exports them: standard film, soft-tissue image, bone image.

Layout::

    STUDY/standard.dcm    or .png, .tif, .jpg, or DICOM without a suffix; the other two may be of another kind
    STUDY/soft.dcm        names in capitals are read too
    STUDY/bone.dcm        bone bright
    index.csv             optional: study, patient_id; without it every folder is its own patient. A column
                          ``moved`` (yes, no, or empty) has what somebody saw of motion between the exposures.

The three pictures of a study have the same matrix and lie on each other, and bone is bright in the bone
image; ``read_triple`` checks that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite.datasets.layout import read_table
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.file_kinds import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from suite.study import FloatImage

LICENCE = "the hospital's own"
LAYOUT = (
    "STUDY/standard, STUDY/soft and STUDY/bone as DICOM, PNG or TIFF, perhaps index.csv (study, patient_id, "
    "moved)"
)
NAMES = ("standard", "soft", "bone")

MOST_SHIFT = 2.0
"""Pixels at ``CHECKED_SIDE`` by which two pictures of a study may lie apart."""

CHECKED_SIDE = 512

FINE = (2.0, 12.0)
"""Edges of bones lie between these two standard deviations, in pixels at ``CHECKED_SIDE``."""


@dataclass(frozen=True, slots=True)
class Triple:
    """The pictures of one study, each (H, W) in [0, 1] on a scale of its own."""

    standard: FloatImage
    soft: FloatImage
    bone: FloatImage


def read(folder: Path) -> Manifest:
    """All studies of the folder that have the three pictures. No picture is opened.

    Raises:
        DatasetError: a study lacks a picture or has it twice, there is no study, or ``index.csv`` has
            another word than yes or no under ``moved``.
    """
    index = _index(folder)
    homes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    records = []
    for home in homes:
        pictures = {name: _picture(home, name) for name in NAMES}
        told = index.get(home.name, {})
        moved = (told.get("moved") or "").strip().lower()
        records.append(
            Record(
                id=home.name,
                patient_id=f"dual-energy-{told.get('patient_id', home.name)}",
                frontal=FilmFile(pictures["standard"]),
                targets={"soft": pictures["soft"], "bone": pictures["bone"]},
                attributes={"moved": moved} if moved else {},
            )
        )
    return Manifest("dual-energy", tuple(records))


def _index(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of ``index.csv`` by study; none where there is no such file."""
    path = folder / "index.csv"
    if not path.is_file():
        return {}
    rows = {row["study"]: row for row in read_table(path, ("study", "patient_id"))}
    for study, row in rows.items():
        if (row.get("moved") or "").strip().lower() not in ("", "yes", "no"):
            raise DatasetError(
                f"{path}: study {study} has {row['moved']!r} under moved; write yes or no, or nothing."
            )
    return rows


def _picture(home: Path, name: str) -> Path:
    found = [
        path
        for path in sorted(home.iterdir())
        if path.stem.lower() == name and path.suffix.lower() in ("", *IMAGE_SUFFIXES) and path.is_file()
    ]
    if len(found) != 1:
        what = "lacks" if not found else "has more than one"
        raise DatasetError(f"{home}: {what} picture {name!r}; data set dual-energy needs {LAYOUT}.")
    return found[0]


def read_triple(record: Record) -> Triple:
    """The three pictures of a study, read as ``radsuite analyze`` reads films.

    Raises:
        InputError: a picture cannot be read.
        DatasetError: their matrices differ, one is shifted or turned against the standard film, or bone is
            dark in the bone image.
    """
    from suite.training.films import load_film

    files = {"standard": record.frontal}
    files |= {name: FilmFile(record.targets[name]) for name in ("soft", "bone")}
    pictures = {name: load_film(file) for name, file in files.items()}
    standard = pictures["standard"]
    for name in ("soft", "bone"):
        if pictures[name].shape != standard.shape:
            raise DatasetError(
                f"{files[name]}: has {pictures[name].shape} pixels, the standard film {standard.shape}; "
                "export all three with one matrix."
            )
        apart = shift_between(standard, pictures[name])
        if name == "soft":  # of the bone image a quarter shows too little of what the film does
            apart = max(apart, turn_between(standard, pictures[name]))
        if apart > MOST_SHIFT:
            raise DatasetError(
                f"{files[name]}: lies {apart:.1f} pixels of {CHECKED_SIDE} beside the standard film; "
                "register the study or leave it out."
            )
    triple = Triple(**pictures)
    if share_of_bone(triple) < 0.0:
        raise DatasetError(
            f"{files['bone']}: bone is dark in it; exchange black and white, so that it is bright."
        )
    return triple


def share_of_bone(triple: Triple) -> float:
    """How much of a film's fine structure its bone image explains beside its soft-tissue image.

    Returns:
        The standardised coefficient of a regression of the film on both; below 0 where bone is dark in the
        bone image. Computed studies have 0.2 to 0.7, JSRT films with their BSE layers 0.2 to 0.3.
    """
    import cv2
    import numpy as np

    def fine(picture: FloatImage) -> FloatImage:
        small = _small(picture)
        band = cv2.GaussianBlur(small, (0, 0), FINE[0]) - cv2.GaussianBlur(small, (0, 0), FINE[1])
        return np.asarray(band / max(float(band.std()), 1e-6), np.float32)

    film, soft, bone = (fine(picture).ravel() for picture in (triple.standard, triple.soft, triple.bone))
    (_, of_bone), *_ = np.linalg.lstsq(np.stack((soft, bone), axis=1), film, rcond=None)
    return float(of_bone)


def shift_between(first: FloatImage, second: FloatImage) -> float:
    """How far two pictures (H, W) of one body lie apart, in pixels at ``CHECKED_SIDE``: phase correlation.

    Edges are compared, whatever their sign: soft-tissue and bone image share only some with the film.
    """
    return _shift(_edges(first), _edges(second))


def turn_between(first: FloatImage, second: FloatImage) -> float:
    """How far all but one quarter of two pictures (H, W) lie apart at most, in pixels at ``CHECKED_SIDE``.

    Pictures that are turned or scaled against each other lie apart in every quarter and not on the whole.
    One quarter may show too little to tell.
    """
    a, b = _edges(first), _edges(second)
    rows, columns = a.shape[0] // 2, a.shape[1] // 2
    quarters = [
        (slice(top, top + rows), slice(left, left + columns)) for top in (0, rows) for left in (0, columns)
    ]
    return sorted(_shift(a[place].copy(), b[place].copy()) for place in quarters)[-2]


def _small(picture: FloatImage) -> FloatImage:
    """A picture (H, W) whose longer side is ``CHECKED_SIDE``."""
    import cv2
    import numpy as np

    rows, columns = picture.shape
    factor = CHECKED_SIDE / max(rows, columns)
    size = (max(8, round(columns * factor)), max(8, round(rows * factor)))
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    )


def _edges(picture: FloatImage) -> FloatImage:
    """How steep ``_small`` of a picture (H, W) is, the steepest cut off: no marker outweighs the rest."""
    import cv2
    import numpy as np

    small = cv2.GaussianBlur(_small(picture), (0, 0), 1.5)
    steepness = np.hypot(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
    return np.minimum(steepness, np.float32(np.quantile(steepness, 0.98)))


def _shift(first: FloatImage, second: FloatImage) -> float:
    """How many pixels two pictures (H, W) of edges are apart."""
    import cv2
    import numpy as np

    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    (across, down), _ = cv2.phaseCorrelate(first, second, window)
    return float(np.hypot(across, down))
