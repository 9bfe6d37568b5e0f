"""Films and label pictures of a data set, as networks learn from them and are measured on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from suite.datasets import scr
from suite.datasets.manifest import FilmFile, Record
from suite.errors import DatasetError
from suite.film import read_film
from suite.study import FloatImage, Mask, Projection, Radiograph


def open_film(film: FilmFile) -> Radiograph:
    """A film of a data set as ``radsuite analyze`` reads it, with bone bright; raw JSRT films too.

    Raises:
        InputError: the file cannot be read, or shows no radiograph.
    """
    if film.path.suffix.lower() != scr.RAW_SUFFIX:
        return read_film(film.path, source=str(film), inverted=film.inverted)
    pixels = scr.read_raw_film(film.path)
    return Radiograph(1.0 - pixels if film.inverted else pixels, Projection.UNKNOWN, str(film))


def load_film(film: FilmFile) -> FloatImage:
    """The pixels (H, W) in [0, 1] of ``open_film``."""
    return open_film(film).pixels


def film_on_scale(film: FilmFile, white: int) -> FloatImage:
    """A film's stored greys (H, W) in shares of ``white``, whatever part of that scale they use.

    Layers that are stored on the film's own scale lie on this one; ``load_film`` may stretch a film.

    Raises:
        DatasetError: the file cannot be read as a grey picture.
    """
    picture = cv2.imread(str(film.path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 2:
        raise DatasetError(f"{film}: is missing or no grey picture; fetch or make the data set again.")
    greys = picture.astype(np.float32) / np.float32(white)
    return 1.0 - greys if film.inverted else greys


def read_mask(path: Path) -> Mask:
    """A label picture (H, W) as stored, one channel.

    Raises:
        DatasetError: the file cannot be read as one.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 2:
        raise DatasetError(f"{path}: is not a label picture with one channel; check the data set's folder.")
    return np.asarray(picture)


def check_aspect(planes: Mask, shape: tuple[int, ...], record: Record) -> None:
    """That planes (H, W) or (H, W, M) can be of the film of ``shape``: drawn on its matrix, or a finer one.

    Raises:
        DatasetError: their aspect ratio is another.
    """
    rows, columns = shape
    if abs(planes.shape[0] / planes.shape[1] - rows / columns) > 0.02:
        raise DatasetError(
            f"{record.id}: its mask of {planes.shape[:2]} pixels has another aspect ratio than the film of "
            f"{shape}; check that they belong together."
        )


def planes_on_film(planes: Mask, shape: tuple[int, ...], record: Record) -> Mask:
    """Planes at the film's shape; outlines drawn on another matrix of the same film are resized.

    Raises:
        DatasetError: as for ``check_aspect``.
    """
    planes = planes if planes.ndim == 3 else planes[..., None]
    check_aspect(planes, shape, record)
    rows, columns = shape
    if planes.shape[:2] == (rows, columns):
        return planes
    resized = np.asarray(cv2.resize(planes, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return resized if resized.ndim == 3 else resized[..., None]
