"""JSRT and SCR as they are distributed: raw films, and one mask a film and organ.

Layout, all below one folder (Shiraishi 2000; van Ginneken 2006)::

    All247images/JPCLN001.IMG            2048 x 2048, 16 bit big-endian, 12 used, black is high, no header
                                         (or Nodule154images/ and NonNodule93images/)
    scratch/fold1/masks/heart/JPCLN001.gif
    scratch/fold2/masks/left lung/...    and right lung, left clavicle, right clavicle; 1024 x 1024

``scratch/`` may be left out, masks may be PNG, underscores may stand for the blanks, and films may have been
converted to PNG (bone bright). The smaller copy with one bit field a film is data set ``jsrt``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.errors import DatasetError
from suite.findings import CODES

if TYPE_CHECKING:
    from suite.study import FloatImage

LICENCE = "research and education; cite, do not redistribute, no commercial use"
LAYOUT = "All247images/JPCLN001.IMG and scratch/fold1/masks/heart/JPCLN001.gif"
RAW_SUFFIX = ".img"
SIDE = 2048
WHITE = 4095
SPACING_MM = 0.175

_FILM_FOLDERS = ("All247images", "Nodule154images", "NonNodule93images", "images", ".")
_MASK_FOLDERS = ("scratch", ".")
_FILM_SUFFIXES = (RAW_SUFFIX, ".png")
_MASK_SUFFIXES = (".gif", ".png")
_ORGANS = ("right lung", "left lung", "heart", "right clavicle", "left clavicle")
_NODULE = {"JPCLN": 1.0, "JPCNN": 0.0}


def read(folder: Path) -> Manifest:
    """All films of the folder, with the organs that are outlined as targets by the organ's name.

    Raises:
        DatasetError: no film, or no outline, is where the layout has it.
    """
    films = _films(folder)
    masks = _masks(folder)
    if not films or not masks:
        missing = "no film" if not films else "no outline"
        raise DatasetError(f"{folder}: holds {missing}; data set scr needs {LAYOUT}.")
    records = [_record(name, film, masks.get(name, {})) for name, film in sorted(films.items())]
    return Manifest("scr", tuple(records))


def read_raw_film(path: Path) -> FloatImage:
    """A raw JSRT film (2048, 2048) in [0, 1], bone bright.

    Raises:
        DatasetError: the file is missing or has another size than such a film.
    """
    import numpy as np

    try:
        stored = np.fromfile(path, dtype=">u2")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); fetch the film again.") from error
    if stored.size != SIDE * SIDE or path.stat().st_size != 2 * SIDE * SIDE:
        raise DatasetError(
            f"{path}: has {path.stat().st_size} bytes and a raw JSRT film {2 * SIDE * SIDE}; fetch it again."
        )
    density = np.minimum(stored.astype(np.uint16), WHITE).reshape(SIDE, SIDE)
    return (1.0 - density / np.float32(WHITE)).astype(np.float32)


def _films(folder: Path) -> dict[str, Path]:
    """Films by name; of a film that is there twice, the first folder's."""
    found: dict[str, Path] = {}
    for place in _FILM_FOLDERS:
        for path in sorted((folder / place).glob("JPC[LN]N*")):
            if path.suffix.lower() in _FILM_SUFFIXES:
                found.setdefault(path.stem, path)
    return found


def _masks(folder: Path) -> dict[str, dict[str, Path]]:
    """Outlines by film and organ; which fold a film is in does not matter to its outline."""
    found: dict[str, dict[str, Path]] = {}
    for place, organ in product(_MASK_FOLDERS, _ORGANS):
        for path in _outlines(folder / place, organ):
            found.setdefault(path.stem, {}).setdefault(organ.replace(" ", "_"), path)
    return found


def _outlines(folder: Path, organ: str) -> Iterator[Path]:
    """Outlines of an organ, whose folder may be named with a space or an underscore."""
    for spelled in {organ, organ.replace(" ", "_")}:
        for path in sorted(folder.glob(f"fold[12]/masks/{spelled}/JPC[LN]N*")):
            if path.suffix.lower() in _MASK_SUFFIXES:
                yield path


def _record(name: str, film: Path, masks: dict[str, Path]) -> Record:
    nodule = _NODULE[name[:5]]
    labels = list(UNKNOWN)
    labels[CODES.index("lung_lesion")] = nodule
    return Record(
        id=name,
        # as in data set jsrt, so that one person is not learned from in one and measured on in the other
        patient_id=f"jsrt-{name}",
        frontal=FilmFile(film),
        labels=tuple(labels),
        abnormal=nodule,
        targets=masks,
        attributes={"view": "PA", "spacing_mm": str(SPACING_MM)},
    )
