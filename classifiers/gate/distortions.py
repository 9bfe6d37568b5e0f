"""What may happen to a film: what leaves it readable, and what the gate must notice.

Films are float32 (H, W) in [0, 1]; a numpy generator makes every choice.
"""

from __future__ import annotations

import cv2
import numpy as np

from suite.study import FloatImage

_LETTERS = ("L", "R", "AP", "PA ERECT", "PORTABLE", "SUPINE", "AP SITTING", "12:45", "MOBILE", "#3")


def crop(film: FloatImage, rng: np.random.Generator, least: float) -> FloatImage:
    """A part of the film that keeps at least the share ``least`` of each side."""
    rows, columns = film.shape
    height, width = (int(side * rng.uniform(least, 1.0)) for side in (rows, columns))
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    return film[top : top + height, left : left + width]


def part_of_chest(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """So little of a chest film that most of the lungs is missing: one half, one end, or a small window."""
    rows, columns = film.shape
    kind = int(rng.integers(3))
    if kind == 0:
        width = int(columns * rng.uniform(0.3, 0.48))
        return film[:, :width] if rng.random() < 0.5 else film[:, columns - width :]
    if kind == 1:
        height = int(rows * rng.uniform(0.22, 0.42))
        return film[:height] if rng.random() < 0.5 else film[rows - height :]
    height, width = (int(side * rng.uniform(0.2, 0.48)) for side in (rows, columns))
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    return film[top : top + height, left : left + width]


def lean(film: FloatImage, rng: np.random.Generator, degrees: float = 12.0) -> FloatImage:
    """Turned, stretched and sheared a little; outside is black or the film's edge drawn out."""
    rows, columns = film.shape
    angle, scale = float(rng.normal(0, degrees / 2)), float(rng.uniform(0.88, 1.1))
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), float(np.clip(angle, -degrees, degrees)), scale)
    matrix[0] *= float(rng.uniform(0.92, 1.08))
    matrix[0, 1] += float(rng.normal(0, 0.03))
    matrix[0, 2] += float(rng.normal(0, 0.03)) * columns
    matrix[1, 2] += float(rng.normal(0, 0.03)) * rows
    border = cv2.BORDER_REPLICATE if rng.random() < 0.4 else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(
        film, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=0
    )
    return np.asarray(warped, dtype=np.float32)


def bend(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Turned by any angle and warped smoothly, so that no two drawings have one outline."""
    rows, columns = film.shape
    angle, scale = float(rng.normal(0, 25)), float(rng.uniform(0.8, 1.5))
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, scale)
    turned = cv2.warpAffine(film, matrix, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    strength = np.float32(rng.uniform(0, 0.05) * rows)
    dx, dy = (
        cv2.resize(
            rng.standard_normal((4, 4), dtype=np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
        )
        for _ in range(2)
    )
    maps = (x + strength * dx, y + strength * dy)
    bent = cv2.remap(turned, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent, dtype=np.float32)


def collimate(
    film: FloatImage, rng: np.random.Generator, most: float = 0.12, white: float = 0.25
) -> FloatImage:
    """Up to four edges covered by a shutter: black, or with the chance ``white`` that."""
    out = film.copy()
    rows, columns = film.shape
    value = 1.0 if rng.random() < white else 0.0
    top, bottom, left, right = (float(rng.uniform(0, most)) * (rng.random() < 0.5) for _ in range(4))
    out[: int(top * rows)] = value
    out[rows - int(bottom * rows) :] = value
    out[:, : int(left * columns)] = value
    out[:, columns - int(right * columns) :] = value
    return out


def margin(film: FloatImage, rng: np.random.Generator, most: float = 0.3) -> FloatImage:
    """An empty frame around the film, black or white, as a page or a larger detector leaves it."""
    rows, columns = film.shape
    value = 0.0 if rng.random() < 0.75 else 1.0
    pads = [(int(rng.uniform(0, most) * side), int(rng.uniform(0, most) * side)) for side in (rows, columns)]
    return np.pad(film, pads, constant_values=value).astype(np.float32)


def relevel(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Another window and gamma: too dark, too light, clipped at either end, but still a film."""
    black, white = float(rng.uniform(-0.2, 0.25)), float(rng.uniform(0.7, 1.2))
    gamma = float(np.exp(rng.uniform(-0.8, 0.8)))
    return np.asarray(np.clip((film - black) / (white - black), 0.0, 1.0) ** gamma, dtype=np.float32)


def reprocess(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Another vendor's processing: part of a wide blur taken away, or added."""
    wide = cv2.blur(film, (max(film.shape) // 5,) * 2)
    share = float(rng.uniform(-0.3, 0.7))
    return np.asarray(np.clip(film - share * (wide - wide.mean()), 0.0, 1.0), dtype=np.float32)


def write(film: FloatImage, words: str, place: tuple[int, int], size: float, grey: float) -> FloatImage:
    """The film with words on it; ``place`` (x, y) is the lower left corner of the first letter."""
    ink = np.zeros(film.shape, dtype=np.uint8)
    cv2.putText(ink, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1)
    share = ink.astype(np.float32) / np.float32(255)
    return np.asarray(film + share * (grey - film), dtype=np.float32)


def letter(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A few side markers, words, arrows and leads."""
    out = film.copy()
    rows, columns = film.shape
    for _ in range(int(rng.integers(1, 4))):
        grey = float(rng.choice((0.0, 1.0, 1.0)))
        place = (int(rng.uniform(0, 0.9) * columns), int(rng.uniform(0.05, 1.0) * rows))
        if rng.random() < 0.7:
            out = write(out, str(rng.choice(_LETTERS)), place, float(rng.uniform(0.25, 0.7)), grey)
        else:
            end = (int(rng.uniform(0, 1) * columns), int(rng.uniform(0, 1) * rows))
            cv2.line(out, place, end, grey, 1)
    return out


def blur_and_noise(film: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Softer, and grainier."""
    out = film
    if rng.random() < 0.5:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.3, 1.3))), dtype=np.float32)
    noise = rng.standard_normal(out.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.04))
    return np.clip(out + noise, np.float32(0), np.float32(1))


def permitted(film: FloatImage, rng: np.random.Generator, least: float = 0.82) -> FloatImage:
    """A readable film changed as films differ: every change in turn, each with its own chance."""
    out = lean(film, rng) if rng.random() < 0.6 else film
    if rng.random() < 0.6:
        out = crop(out, rng, least)
    if rng.random() < 0.3:
        out = reprocess(out, rng)
    if rng.random() < 0.7:
        out = relevel(out, rng)
    if rng.random() < 0.3:
        out = collimate(out, rng)
    if rng.random() < 0.15:
        out = margin(out, rng)
    if rng.random() < 0.35:
        out = letter(out, rng)
    return blur_and_noise(out, rng) if rng.random() < 0.6 else np.ascontiguousarray(out)


def oriented(film: FloatImage, quarter_turns: int, *, mirrored: bool, inverted: bool) -> FloatImage:
    """A film mirrored left to right, then turned counter-clockwise by quarter turns, then as a negative."""
    out = film[:, ::-1] if mirrored else film
    out = np.rot90(out, quarter_turns)
    return np.ascontiguousarray(1.0 - out if inverted else out, dtype=np.float32)
