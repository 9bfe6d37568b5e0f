"""Fast separable filters for films: Gaussian pyramid, small blur, fractal texture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]


@njit(cache=True)
def _blur3(image: Array, side: float) -> Array:  # pragma: no cover
    rows, columns = image.shape
    middle = np.float32(1.0 - 2.0 * side)
    edge = np.float32(side)
    across = np.empty_like(image)
    for r in range(rows):
        for c in range(columns):
            a = image[r, c - 1 if c > 0 else 0]
            b = image[r, c + 1 if c < columns - 1 else columns - 1]
            across[r, c] = middle * image[r, c] + edge * (a + b)
    out = np.empty_like(image)
    for r in range(rows):
        up, down = r - 1 if r > 0 else 0, r + 1 if r < rows - 1 else rows - 1
        for c in range(columns):
            out[r, c] = middle * across[r, c] + edge * (across[up, c] + across[down, c])
    return out


def small_blur(image: Image, sigma: float) -> Image:
    """Gaussian-like blur of ``sigma`` pixels by repeated three-point kernels of the same variance."""
    if sigma <= 0.0:
        return image
    passes = max(1, int(np.ceil(sigma**2 / 0.5)))
    side = 0.5 * sigma**2 / passes
    for _ in range(passes):
        image = _blur3(image, side)
    return image


@njit(cache=True)
def _reduce(image: Array) -> Array:  # pragma: no cover
    rows, columns = (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2
    out = np.empty((rows, columns), image.dtype)
    for r in range(rows):
        for c in range(columns):
            out[r, c] = image[2 * r, 2 * c]
    return out


@njit(cache=True)
def _expand(image: Array, rows: int, columns: int) -> Array:  # pragma: no cover
    out = np.empty((rows, columns), image.dtype)
    last_r, last_c = image.shape[0] - 1, image.shape[1] - 1
    for r in range(rows):
        a = min(r // 2, last_r)
        b = min(a + (r & 1), last_r)
        for c in range(columns):
            d = min(c // 2, last_c)
            e = min(d + (c & 1), last_c)
            out[r, c] = np.float32(0.25) * (image[a, d] + image[a, e] + image[b, d] + image[b, e])
    return out


def laplacian_pyramid(image: Image, levels: int) -> tuple[list[Image], Image]:
    """Detail bands from fine to coarse, each at its own matrix, and the residual low-pass."""
    bands = []
    for _ in range(levels):
        low = _reduce(small_blur(image, 1.0))
        bands.append(image - _expand(low, *image.shape))
        image = low
    return bands, image


def collapse(bands: list[Image], low: Image) -> Image:
    """The picture that ``laplacian_pyramid`` took apart."""
    for band in reversed(bands):
        low = band + _expand(low, *band.shape)
    return low


def wide_blur(image: Image, sigma: float) -> Image:
    """Gaussian-like blur of many pixels, worked on a reduced matrix."""
    shapes = []
    while sigma > 3.0 and min(image.shape) > 16:
        shapes.append(image.shape)
        image = _reduce(small_blur(image, 0.8))
        sigma = float(np.sqrt(max(sigma**2 - 0.64, 0.25))) / 2.0
    image = small_blur(image, sigma)
    for rows, columns in reversed(shapes):
        image = _expand(image, rows, columns)
    return image


def fractal(
    shape: tuple[int, int], rng: np.random.Generator, roughness: float, levels: int = 6, finest: int = 0
) -> Image:
    """Random texture of unit variance whose bands shrink by ``roughness`` from coarse to fine.

    ``finest`` leaves out that many of the finest bands.
    """
    sizes = [shape]
    for _ in range(levels):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    image = rng.standard_normal(sizes[-1], dtype=np.float32)
    weight = 1.0
    for k in range(levels - 1, -1, -1):
        image = _expand(image, *sizes[k])
        weight *= roughness
        if k >= finest:
            image += np.float32(weight) * rng.standard_normal(sizes[k], dtype=np.float32)
        else:
            image = small_blur(image, 0.7)
    image -= image.mean()
    return np.asarray(image / max(float(image.std()), 1e-6), dtype=np.float32)
