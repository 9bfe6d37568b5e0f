"""Films for tests: chest-like pictures of any matrix, as arrays, files, radiographs and stage inputs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from suite.grid import Grid
from suite.stages.contract import Artifact
from suite.study import FULL_16_BIT, FloatImage, GreyScale, Projection, Radiograph


def chest_pixels(rows: int, columns: int, seed: int = 0) -> FloatImage:
    """A bright body (H, W) with two dark lungs, a bright heart to the picture's right, and noise."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x = (y + 0.5) / rows, (x + 0.5) / columns
    film = 0.75 - 0.15 * np.abs(x - 0.5)
    for centre in (0.3, 0.7):
        film -= 0.5 * np.exp(-(((x - centre) / 0.13) ** 4) - ((y - 0.5) / 0.3) ** 4)
    film += 0.25 * np.exp(-(((x - 0.57) / 0.1) ** 2) - ((y - 0.62) / 0.12) ** 2)
    film += np.random.default_rng(seed).normal(0.0, 0.01, film.shape)
    return np.clip(film, 0.0, 1.0).astype(np.float32)


def chest(
    rows: int,
    columns: int,
    seed: int = 0,
    *,
    projection: Projection = Projection.PA,
    grey_scale: GreyScale = FULL_16_BIT,
    spacing: tuple[float, float] | None = None,
) -> Radiograph:
    """``chest_pixels`` as a radiograph."""
    pixels = chest_pixels(rows, columns, seed)
    return Radiograph(pixels, projection, f"chest-{seed}.png", spacing=spacing, grey_scale=grey_scale)


def framed_by_constant_border(rows: int, columns: int, border: int) -> Radiograph:
    """A chest inside a wide black border, as a film with collimator blades or a scanned one."""
    pixels = np.zeros((rows, columns), np.float32)
    pixels[border:-border, border:-border] = chest_pixels(rows - 2 * border, columns - 2 * border)
    return Radiograph(pixels, Projection.PA, "bordered.png")


def artifact(film: Radiograph) -> Artifact:
    """A film as the stages get it."""
    return Artifact(film, Grid.of(film.shape))


def write_16_bit(path: Path, pixels: FloatImage) -> Path:
    """Pixels in [0, 1] as a 16-bit PNG."""
    return write_png(path, np.rint(pixels * 65535).astype(np.uint16))


def write_png(path: Path, values: np.ndarray) -> Path:
    """An integer array as a PNG file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    return path
