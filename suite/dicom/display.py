"""One DICOM image as the picture a screen shows: windowed, cropped and scaled as asked (PS3.18 8.3.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from suite.dicom.pixel_layout import read_layout
from suite.dicom.pixels import decode, has_pixels
from suite.dicom.reading import read_dataset
from suite.dicom.rendering import render
from suite.dicom.rules import Window, read_rules
from suite.errors import InputError, UnreadableFileError
from suite.luminance import to_luminance

MAX_SIDE = 8192
"""Longest side of a picture that is asked for."""


@dataclass(frozen=True, slots=True)
class Display:
    """How an image is shown.

    Attributes:
        window: centre, width and function in modality values; ``None`` takes the file's own.
        viewport: columns and rows into which the picture is fitted; ``None`` is its own size.
        region: left, top, columns and rows of the part shown; ``None`` is all of it.
        quality: of JPEG, 1 to 100.
        media_type: ``image/jpeg`` or ``image/png``.
    """

    window: Window | None = None
    viewport: tuple[int, int] | None = None
    region: tuple[int, int, int, int] | None = None
    quality: int = 90
    media_type: str = "image/jpeg"


def rendered(path: Path, display: Display) -> bytes:
    """An encoded 8-bit picture of a single-frame image.

    Raises:
        InputError: the file holds no image that can be shown, or the region lies outside it.
    """
    grey = _crop(_shown(path, display.window), display.region)
    picture = np.rint(grey * 255.0).astype(np.uint8)
    if display.viewport is not None:
        picture = _fit(picture, display.viewport)
    ending, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if display.media_type == "image/jpeg":
        ending, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, display.quality]
    done, encoded = cv2.imencode(ending, picture, options)
    if not done:
        raise InputError("The picture is too large for this format; ask for a smaller viewport.")
    return encoded.tobytes()


def _shown(path: Path, window: Window | None) -> npt.NDArray[np.float32]:
    """Display values (H, W) in [0, 1]."""
    dataset = read_dataset(path, path.stem)
    if not has_pixels(dataset):
        raise UnreadableFileError(f"{path.stem}: it holds no image to show; ask for its metadata.")
    layout = read_layout(dataset, path.stem)
    stored = decode(dataset, layout, path.stem)
    if not layout.is_monochrome:
        luminance, _, _ = to_luminance(stored, path.stem)
        return (luminance / np.float32(np.iinfo(luminance.dtype).max)).astype(np.float32)
    rules = read_rules(dataset, layout)
    if window is not None:
        rules = replace(rules, voi=(window,))
    return render(stored, rules).pixels


def _crop(grey: npt.NDArray[np.float32], region: tuple[int, int, int, int] | None) -> npt.NDArray[np.float32]:
    if region is None:
        return grey
    left, top, columns, rows = region
    part = grey[top : top + rows, left : left + columns]
    if part.shape != (rows, columns) or not part.size:
        raise InputError("The region lies outside the image; give left, top, width and height in its pixels.")
    return part


def _fit(picture: npt.NDArray[np.uint8], viewport: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The largest picture of the same shape that fits."""
    rows, columns = picture.shape
    scale = min(viewport[0] / columns, viewport[1] / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)
