"""The films a network did worst on, with the outlines of truth and prediction over them, as one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from suite.study import FloatImage, Mask

WORST = 12
COLUMNS = 4
SIDE = 384
"""Longest side of a film in the gallery, in pixels."""

TRUTH = "#56b4e9"
PREDICTION = "#e69f00"
"""Blue and orange of the palette by Okabe and Ito, told apart by colour-blind readers too."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A film with the masks that are compared on it.

    Attributes:
        film: (H, W) in [0, 1].
        truth, predicted: planes (h, w, M) or one picture of labels (h, w), each value above 0 outlined on its
            own; any matrix that covers the film.
    """

    film: FloatImage
    truth: Mask
    predicted: Mask


@dataclass(frozen=True, slots=True)
class GalleryFilm:
    """A film that may get into the gallery; ``load`` is called only if it does.

    Attributes:
        id: written above the film.
        score: the higher the better; NaN is never shown.
        load: reads film and truth and predicts again.
    """

    id: str
    score: float
    load: Callable[[], Overlay]


def worst(films: Sequence[GalleryFilm], count: int = WORST) -> list[GalleryFilm]:
    """The ``count`` films with the lowest score, the lowest first; of equal ones the earlier."""
    known = [film for film in films if not math.isnan(film.score)]
    return sorted(known, key=lambda film: film.score)[:count]


def draw_gallery(films: Sequence[GalleryFilm], path: Path, count: int = WORST) -> None:
    """Write the ``count`` worst of ``films`` to a PNG at ``path``; nothing where none has a score."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = worst(films, count)
    if not shown:
        return
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3.2 * columns, 3.7 * rows + 0.3), layout="constrained")
    for place, film in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        overlay = film.load()
        small = shrunk(overlay.film)
        axes.imshow(small, cmap="gray", vmin=0, vmax=1)
        for mask, colour in ((overlay.truth, TRUTH), (overlay.predicted, PREDICTION)):
            for line in outlines(mask, small.shape):
                axes.plot(*line.T, color=colour, linewidth=1)
        axes.set_title(f"{shortened(film.id)}\n{film.score:.3f}", fontsize=8, parse_math=False)
        axes.set_axis_off()
    lines = [Line2D([], [], color=TRUTH), Line2D([], [], color=PREDICTION)]
    figure.legend(lines, ["truth", "prediction"], loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def shortened(name: str, length: int = 38) -> str:
    """A name that fits over its film, without its middle where it is longer."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"


def shrunk(film: FloatImage) -> FloatImage:
    """A film whose longest side is at most ``SIDE`` pixels."""
    factor = SIDE / max(film.shape)
    if factor >= 1:
        return film
    size = (max(1, round(film.shape[1] * factor)), max(1, round(film.shape[0] * factor)))
    return np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA))


def outlines(mask: Mask, shape: tuple[int, ...]) -> Iterator[NDArray[np.float64]]:
    """Closed lines (N, 2) of (x, y) around every part of a mask, on a film of ``shape``."""
    labels = np.unique(mask[mask > 0])
    planes = np.moveaxis(mask, -1, 0) if mask.ndim == 3 else [mask == label for label in labels]
    rows, columns = mask.shape[:2]
    scale = np.array([shape[1] / columns, shape[0] / rows])
    for plane in planes:
        found, _ = cv2.findContours((plane > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for contour in found:
            points = (contour[:, 0, :] + 0.5) * scale - 0.5
            yield np.concatenate((points, points[:1]))
