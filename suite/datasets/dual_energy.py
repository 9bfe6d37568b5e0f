"""Dual-energy triples as a hospital exports them: standard film, soft-tissue image, bone image.

Layout::

    STUDY/standard.dcm    or .png, .tif, .jpg; the other two may be of another kind
    STUDY/soft.dcm
    STUDY/bone.dcm        bone bright
    index.csv             optional: study, patient_id; without it every folder is its own patient

The three pictures of a study have the same matrix and lie on each other; ``read_triple`` checks that.
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
    "STUDY/standard, STUDY/soft and STUDY/bone as DICOM, PNG or TIFF, perhaps index.csv (study, patient_id)"
)
NAMES = ("standard", "soft", "bone")

MOST_SHIFT = 2.0
"""Pixels at ``CHECKED_SIDE`` by which two pictures of a study may lie apart."""

CHECKED_SIDE = 512


@dataclass(frozen=True, slots=True)
class Triple:
    """The pictures of one study, each (H, W) in [0, 1] on a scale of its own."""

    standard: FloatImage
    soft: FloatImage
    bone: FloatImage


def read(folder: Path) -> Manifest:
    """All studies of the folder that have the three pictures. No picture is opened.

    Raises:
        DatasetError: a study lacks a picture or has it twice, or there is no study.
    """
    patients = _patients(folder)
    homes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    records = []
    for home in homes:
        pictures = {name: _picture(home, name) for name in NAMES}
        records.append(
            Record(
                id=home.name,
                patient_id=f"dual-energy-{patients.get(home.name, home.name)}",
                frontal=FilmFile(pictures["standard"]),
                targets={"soft": pictures["soft"], "bone": pictures["bone"]},
            )
        )
    return Manifest("dual-energy", tuple(records))


def _patients(folder: Path) -> dict[str, str]:
    index = folder / "index.csv"
    if not index.is_file():
        return {}
    return {row["study"]: row["patient_id"] for row in read_table(index, ("study", "patient_id"))}


def _picture(home: Path, name: str) -> Path:
    found = [
        path for path in sorted(home.glob(f"{name}.*")) if path.suffix.lower() in (*IMAGE_SUFFIXES, ".dcm")
    ]
    if len(found) != 1:
        what = "lacks" if not found else "has more than one"
        raise DatasetError(f"{home}: {what} picture {name!r}; data set dual-energy needs {LAYOUT}.")
    return found[0]


def read_triple(record: Record) -> Triple:
    """The three pictures of a study, read as ``radsuite analyze`` reads films.

    Raises:
        InputError: a picture cannot be read.
        DatasetError: their matrices differ, or one is shifted against the standard film.
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
        if apart > MOST_SHIFT:
            raise DatasetError(
                f"{files[name]}: lies {apart:.1f} pixels of {CHECKED_SIDE} beside the standard film; "
                "register the study or leave it out."
            )
    return Triple(**pictures)


def shift_between(first: FloatImage, second: FloatImage) -> float:
    """How far two pictures (H, W) of one body lie apart, in pixels at ``CHECKED_SIDE``: phase correlation.

    Edges are compared, whatever their sign: soft-tissue and bone image share only some with the film.
    """
    import cv2
    import numpy as np

    def edges(picture: FloatImage) -> FloatImage:
        rows, columns = picture.shape
        factor = CHECKED_SIDE / max(rows, columns)
        size = (max(8, round(columns * factor)), max(8, round(rows * factor)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        small = cv2.GaussianBlur(small, (0, 0), 1.5)
        steepness = np.hypot(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
        return np.minimum(steepness, np.float32(np.quantile(steepness, 0.98)))

    a, b = edges(first), edges(second)
    window = cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F)
    (across, down), _ = cv2.phaseCorrelate(a, b, window)
    return float(np.hypot(across, down))
