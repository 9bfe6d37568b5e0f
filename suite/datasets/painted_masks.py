"""Films with masks painted in an editor (GIMP, Photoshop): one colour for open beam, soft tissue and bone
each.

Layout::

    legend.csv          colour, tissue      "#ff0000,bone": open beam, soft tissue, bone; each at least once
    images/NAME         any film that `radsuite analyze` reads
    masks/STEM.png      the film's own matrix, 8 bit, saved without loss (PNG, TIFF or BMP)
    index.csv           optional: image, part, patient_id; without it every film is its own patient

XNet's authors labelled their 150 images so. The rule for colours: one of the legend is its tissue. Any
other is taken for an edge the editor has smoothed only if it is a mixture of two colours of the legend and
both lie, pure, within 2 pixels; it goes to the nearer of the two. Everything else is an unknown colour and
refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from suite.datasets.layout import read_table, require_file
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from suite.study import Mask

NAME: Final = "painted-masks"
TARGET: Final = "painted"
LICENCE = "your own films"
LAYOUT = (
    "legend.csv (colour, tissue), images/NAME, masks/STEM.png, perhaps index.csv (image, part, patient_id)"
)
TISSUES: Final = ("open beam", "soft tissue", "bone")
"""Tissues by class number."""

EDGE_REACH: Final = 2
"""Pixels within which a mixed colour must have both its pure ones."""

MIXTURE_TOLERANCE: Final = 12.0
"""Largest distance in RGB of a mixed colour from the straight line between its two pure ones."""

_MASK_ENDINGS = (".png", ".tif", ".tiff", ".bmp")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")

Colour = tuple[int, int, int]


def read(folder: Path) -> Manifest:
    """All films that have a mask, every mask checked for its size and its colours.

    Raises:
        DatasetError: the folder does not have the layout, a film has no mask or one of another size, or a
            mask has a colour the legend does not.
    """
    legend = require_file(folder, "legend.csv", NAME, LAYOUT)
    read_legend(legend)
    rows = _rows(folder)
    if not rows:
        raise DatasetError(f"{folder / 'images'}: holds no film; data set {NAME} needs {LAYOUT}.")
    records = []
    for row in rows:
        image = folder / "images" / row["image"]
        if not image.is_file():
            raise DatasetError(
                f"{image}: is named in index.csv but missing; correct the table or add the film."
            )
        targets = {TARGET: _mask_of(folder, image), "legend": legend}
        part = {"part": row["part"]} if row.get("part") else {}
        record = Record(
            row["image"],
            row.get("patient_id") or row["image"],
            FilmFile(image),
            targets=targets,
            attributes=part,
        )
        _check(record)
        records.append(record)
    return Manifest(NAME, tuple(records))


def _rows(folder: Path) -> list[dict[str, str]]:
    """The films by the table, or by the folder where there is no table."""
    if (folder / "index.csv").is_file():
        return read_table(folder / "index.csv", ("image", "part", "patient_id"))
    images = folder / "images"
    if not images.is_dir():
        raise DatasetError(f"{folder}: images is missing; data set {NAME} needs {LAYOUT}.")
    names = sorted(path.name for path in images.iterdir() if path.is_file() and not _is_left_over(path.name))
    return [{"image": name} for name in names]


def _is_left_over(name: str) -> bool:
    """Whether a file is one that a system leaves in folders of pictures, and no film."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def _mask_of(folder: Path, image: Path) -> Path:
    for ending in _MASK_ENDINGS:
        for spelled in (ending, ending.upper()):
            path = folder / "masks" / f"{image.stem}{spelled}"
            if path.is_file():
                return path
    lossy = [each for each in (folder / "masks").glob("*.jp*g") if each.stem == image.stem]
    if lossy:
        raise DatasetError(f"{lossy[0]}: JPEG changes the colours of a mask; export it anew as PNG.")
    raise DatasetError(f"{image}: has no mask masks/{image.stem}.png; paint one or take the film away.")


def _check(record: Record) -> None:
    from suite.training.films import load_film

    rows, columns = tissue_classes(record).shape
    film = load_film(record.frontal).shape
    if (rows, columns) != film:
        raise DatasetError(
            f"{record.targets[TARGET]}: is {rows} x {columns} pixels but its film {film[0]} x {film[1]}; "
            "export the mask at the film's size."
        )


def read_legend(path: Path) -> dict[Colour, int]:
    """The class number (0 open beam, 1 soft tissue, 2 bone) of each colour (red, green, blue).

    Raises:
        DatasetError: a colour is not of the form #rrggbb or comes twice, a tissue is unknown, or one is
            missing.
    """
    legend: dict[Colour, int] = {}
    for row in read_table(path, ("colour", "tissue")):
        found = _COLOUR.fullmatch(row["colour"].strip())
        if found is None:
            raise DatasetError(
                f"{path}: colour {row['colour']!r} is not of the form #rrggbb; write #ff0000 for red."
            )
        tissue = row["tissue"].strip().lower().replace("_", " ")
        if tissue not in TISSUES:
            raise DatasetError(f"{path}: tissue {row['tissue']!r} is not known; use {', '.join(TISSUES)}.")
        red, green, blue = bytes.fromhex(found[1])
        if (red, green, blue) in legend:
            raise DatasetError(f"{path}: colour {row['colour']} comes twice; give each colour one tissue.")
        legend[red, green, blue] = TISSUES.index(tissue)
    missing = [name for index, name in enumerate(TISSUES) if index not in legend.values()]
    if missing:
        raise DatasetError(f"{path}: has no colour for {missing[0]}; add a line for it.")
    return legend


def tissue_classes(record: Record) -> Mask:
    """The painted mask (H, W): 0 open beam, 1 soft tissue, 2 bone.

    Raises:
        DatasetError: the file is no 8-bit picture, not painted everywhere, or has a colour the legend does
            not.
    """
    path = record.targets[TARGET]
    return classes_of(_read_colours(path), read_legend(record.targets["legend"]), path)


def _read_colours(path: Path) -> NDArray[np.uint8]:
    """The picture (H, W, 3) in red, green, blue."""
    import cv2
    import numpy as np

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8:
        raise DatasetError(f"{path}: is no 8-bit picture; export the mask as an 8-bit PNG.")
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    if picture.shape[2] == 4:
        if (picture[..., 3] < 255).any():
            row, column = np.argwhere(picture[..., 3] < 255)[0]
            raise DatasetError(
                f"{path}: is transparent at row {row}, column {column}; paint it all and flatten the picture."
            )
        picture = picture[..., :3]
    return np.ascontiguousarray(picture[..., ::-1])


def classes_of(picture: NDArray[np.uint8], legend: Mapping[Colour, int], path: Path) -> Mask:
    """Class numbers (H, W) of a painted picture (H, W, 3) by the rule of this module.

    Args:
        picture: red, green, blue.
        legend: class number by colour.
        path: for the message.

    Raises:
        DatasetError: a colour is neither in the legend nor a smoothed edge between two of it.
    """
    import numpy as np

    colours = np.array(list(legend), dtype=np.int16)
    numbers = np.array(list(legend.values()), dtype=np.uint8)
    entry = np.full(picture.shape[:2], -1, dtype=np.int16)
    for index, colour in enumerate(colours):
        entry[(picture == colour).all(axis=-1)] = index
    if (entry < 0).any():
        entry = _with_edges(picture, entry, colours)
    unknown = np.argwhere(entry < 0)
    if len(unknown):
        row, column = unknown[0]
        red, green, blue = (int(value) for value in picture[row, column])
        raise DatasetError(
            f"{path}: colour #{red:02x}{green:02x}{blue:02x} at row {row}, column {column} is not in "
            "legend.csv; add it there, or repaint the mask and save it as PNG."
        )
    return numbers[entry]


def _with_edges(
    picture: NDArray[np.uint8], entry: NDArray[np.int16], colours: NDArray[np.int16]
) -> NDArray[np.int16]:
    """``entry`` with smoothed edges given to the nearer of their two colours; what is no edge stays -1."""
    import numpy as np

    places = np.argwhere(entry < 0)
    mixed = picture[tuple(places.T)].astype(np.float64)
    near = _nearby(entry, len(colours))[tuple(places.T)]
    best = np.full(len(places), np.inf)
    given = np.full(len(places), -1, dtype=np.int16)
    for first in range(len(colours)):
        for second in range(first + 1, len(colours)):
            share, distance = _along(mixed, colours[first], colours[second])
            fits = near[:, first] & near[:, second] & (distance <= MIXTURE_TOLERANCE) & (distance < best)
            best[fits] = distance[fits]
            given[fits] = np.where(share < 0.5, first, second)[fits]
    filled = entry.copy()
    filled[tuple(places.T)] = given
    return filled


def _nearby(entry: NDArray[np.int16], count: int) -> NDArray[np.bool_]:
    """(H, W, count): whether a pixel of each pure colour lies within ``EDGE_REACH``."""
    import cv2
    import numpy as np

    side = 2 * EDGE_REACH + 1
    kernel = np.ones((side, side), np.uint8)
    planes: Sequence[Any] = [
        cv2.dilate((entry == index).astype(np.uint8), kernel) > 0 for index in range(count)
    ]
    return np.stack(planes, axis=-1)


def _along(
    mixed: NDArray[np.float64], first: NDArray[np.int16], second: NDArray[np.int16]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far along the line between two colours each mixed one (N, 3) lies (0 to 1), and how far off it."""
    import numpy as np

    line = (second - first).astype(np.float64)
    share = np.clip((mixed - first) @ line / (line @ line), 0.0, 1.0)
    return share, np.linalg.norm(mixed - first - share[:, None] * line, axis=1)
