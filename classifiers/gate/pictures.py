"""Pictures that are no radiographs at all: photographs, pages, textures, slices, scrambled films, nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from classifiers.gate.distortions import write
from suite.study import FloatImage

SIDE = 144
TRAINING_PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
    "hubble_deep_field", "microaneurysms", "moon", "text",
)  # fmt: skip
"""Pictures that scikit-image carries with it; those below are kept for testing."""

TEST_PHOTOGRAPHS = ("cat", "cell", "immunohistochemistry", "logo", "page", "retina", "rocket")


@cache
def photograph(name: str) -> FloatImage:
    """A picture of scikit-image as grey float32 (H, W) in [0, 1]; needs no download."""
    from skimage import data

    picture = np.asarray(getattr(data, name)())
    if picture.ndim == 3:
        picture = picture[..., :3].mean(axis=-1)
    grey = picture.astype(np.float32)
    return (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6)


def crop_of_photograph(rng: np.random.Generator) -> FloatImage:
    """A random part of one of the photographs kept for training."""
    picture = photograph(str(rng.choice(TRAINING_PHOTOGRAPHS)))
    rows, columns = picture.shape
    share = float(rng.uniform(0.35, 1.0))
    height, width = max(int(share * rows), 16), max(int(share * columns), 16)
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    return picture[top : top + height, left : left + width]


def page(rng: np.random.Generator) -> FloatImage:
    """Lines of text, a table or a diagram, dark on light."""
    sheet = np.full((SIDE, SIDE), 1.0, dtype=np.float32)
    size = float(rng.uniform(0.2, 0.6))
    for baseline in range(int(rng.integers(8, 30)), SIDE, int(rng.integers(8, 26))):
        words = "".join(chr(int(code)) for code in rng.integers(65, 122, int(rng.integers(5, 30))))
        place = (int(rng.integers(0, 30)), baseline)
        sheet = write(sheet, words, place, size, float(rng.uniform(0, 0.4)))
    for _ in range(int(rng.integers(0, 6))):
        corner = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        other = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        cv2.rectangle(sheet, corner, other, float(rng.uniform(0, 0.9)), int(rng.choice((-1, 1, 2))))
    return sheet


def texture(rng: np.random.Generator) -> FloatImage:
    """Noise of one coarseness or several, a gradient under it, or both."""
    sheet = np.zeros((SIDE, SIDE), dtype=np.float32)
    for _ in range(int(rng.integers(1, 4))):
        cells = int(rng.integers(2, SIDE))
        noise = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        sheet += float(rng.uniform(0, 1)) * cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    return np.asarray(sheet + float(rng.normal(0, 2)) * x + float(rng.normal(0, 2)) * y, dtype=np.float32)


def shapes(rng: np.random.Generator) -> FloatImage:
    """Plain ellipses and boxes on an even ground, two dark ones side by side now and then."""
    sheet = np.full((SIDE, SIDE), float(rng.uniform(0, 1)), dtype=np.float32)
    for _ in range(int(rng.integers(1, 8))):
        centre = tuple(int(value) for value in rng.integers(0, SIDE, 2))
        axes = tuple(int(value) for value in rng.integers(5, 60, 2))
        cv2.ellipse(sheet, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0, 1)), -1)
    if rng.random() < 0.3:
        grey = float(rng.uniform(0, 0.3))
        for column in (SIDE // 3, 2 * SIDE // 3):
            cv2.ellipse(sheet, (column, SIDE // 2), (18, int(rng.integers(25, 55))), 0, 0, 360, grey, -1)
    return np.asarray(cv2.GaussianBlur(sheet, (0, 0), float(rng.uniform(0.5, 4))), dtype=np.float32)


def axial_slice(rng: np.random.Generator) -> FloatImage:
    """A cross-section as computed tomography shows it: a body's oval, lungs or bowel in it, spine behind."""
    sheet = np.zeros((SIDE, SIDE), dtype=np.float32)
    half = SIDE // 2
    wide, high = int(rng.integers(48, 68)), int(rng.integers(30, 50))
    fat, flesh = float(rng.uniform(0.25, 0.45)), float(rng.uniform(0.5, 0.65))
    cv2.ellipse(sheet, (half, half), (wide, high), 0, 0, 360, fat, -1)
    cv2.ellipse(sheet, (half, half), (wide - 5, high - 5), 0, 0, 360, flesh, -1)
    if rng.random() < 0.6:
        for side in (-1, 1):
            axes = (int(0.36 * wide), int(0.62 * high))
            cv2.ellipse(sheet, (half + side * wide // 2, half), axes, 8 * side, 0, 360, 0.05, -1)
    else:
        cv2.ellipse(sheet, (half - wide // 3, half - 4), (wide // 3, high // 2), 0, 0, 360, flesh + 0.1, -1)
    cv2.circle(sheet, (half, half + int(0.6 * high)), 9, 0.9, -1)
    cv2.circle(sheet, (half, half + int(0.6 * high) + 9), 4, flesh, -1)
    for _ in range(int(rng.integers(5, 25))):
        spot = (int(half + rng.normal(0, wide / 2)), int(half + rng.normal(0, high / 2)))
        cv2.circle(sheet, spot, int(rng.integers(1, 5)), float(rng.uniform(0.3, 1)), -1)
    if rng.random() < 0.5:
        cv2.ellipse(sheet, (half, half - 10), (wide + 5, high + 12), 0, 40, 140, 0.7, 1)
    return np.asarray(cv2.GaussianBlur(sheet, (0, 0), 0.8), dtype=np.float32)


def sector(rng: np.random.Generator) -> FloatImage:
    """An ultrasound fan of speckle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    radius, angle = np.hypot(x - 0.5, y + 0.1), np.arctan2(x - 0.5, y + 0.1)
    speckle = cv2.GaussianBlur(rng.exponential(1.0, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.0)
    echo = (
        speckle
        * np.exp(-float(rng.uniform(0, 2)) * radius)
        * (1 + 0.5 * np.sin(float(rng.uniform(5, 25)) * radius))
    )
    inside = (np.abs(angle) < float(rng.uniform(0.4, 0.8))) & (radius > 0.18) & (radius < 1.05)
    return np.asarray(echo * inside, dtype=np.float32)


_KINDS: tuple[Callable[[np.random.Generator], FloatImage], ...] = (
    crop_of_photograph, crop_of_photograph, crop_of_photograph, page, texture, shapes, axial_slice, sector,
)  # fmt: skip


def draw_picture(rng: np.random.Generator) -> FloatImage:
    """Any of the above, float32 (H, W) in [0, 1]."""
    picture = _KINDS[int(rng.integers(len(_KINDS)))](rng)
    low, high = float(picture.min()), float(picture.max())
    return np.asarray((picture - low) / max(high - low, 1e-6), dtype=np.float32)


def scramble(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A film cut into tiles and put together wrongly: all of a chest's texture and nothing of its form."""
    parts = int(rng.integers(3, 7))
    rows, columns = film.shape[0] // parts, film.shape[1] // parts
    tiles = [
        film[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
        for row in range(parts)
        for column in range(parts)
    ]
    order = rng.permutation(len(tiles))
    bands = [np.hstack([tiles[i] for i in order[row * parts : (row + 1) * parts]]) for row in range(parts)]
    return np.ascontiguousarray(np.vstack(bands))


def contact_sheet(films: list[FloatImage]) -> FloatImage:
    """Several films on one picture, side by side or two by two: to be given one by one."""
    small = [cv2.resize(film, (96, 96), interpolation=cv2.INTER_AREA) for film in films]
    if len(small) < 4:
        return np.hstack(small)
    return np.vstack((np.hstack(small[:2]), np.hstack(small[2:4])))
