"""Films and label pictures of a data set, as networks learn from them and are measured on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from suite.datasets import scr
from suite.datasets.manifest import Record
from suite.errors import DatasetError
from suite.intake import read_film
from suite.study import FloatImage, Mask


def load_film(path: Path) -> FloatImage:
    """The film at ``path`` (H, W) in [0, 1], read as ``radsuite analyze`` reads it; raw JSRT films too."""
    if path.suffix.lower() == scr.RAW_SUFFIX:
        return scr.read_raw_film(path)
    return read_film(path).pixels


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
