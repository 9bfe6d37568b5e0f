"""Text burned into the margins of a film: what lies outside the exposed field, and lines of letters near it.

A lead marker (L, R) is exposed with the patient and has soft edges; burned-in letters are drawn by a machine:
one value, hard edges, several in a row. Only the latter are blanked, and only in the outer part of the film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from suite.borders import FLATNESS, Borders, find_borders

MARGIN = 0.22
"""Share of each side in which letters are looked for; machines write into corners and along edges."""

_CONTRAST = 0.3
"""A letter differs from its surroundings by this share of the film's range, over a pixel or two."""

_LEAST_LETTERS = 3
_TALLEST_LETTER = 0.05
_SMALLEST_LETTER = 5

Stored = npt.NDArray[Any]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Blanked:
    """What was overwritten: borders in pixels, and boxes ``(x0, y0, x1, y1)`` of letters."""

    borders: Borders
    boxes: tuple[Box, ...]

    @property
    def anything(self) -> bool:
        sides = (self.borders.top, self.borders.bottom, self.borders.left, self.borders.right)
        return bool(self.boxes) or any(sides)


def clean_margins(film: Stored) -> Blanked:
    """Blank the margins of a film (H, W) of stored values, in place.

    Each border gets its commonest value, a box of letters the median of the pixels around it.
    """
    borders = outside_field(film)
    _fill_borders(film, borders)
    boxes = letter_boxes(film)
    for box in boxes:
        _fill_box(film, box)
    return Blanked(borders, tuple(boxes))


def outside_field(film: Stored) -> Borders:
    """Rows and columns at the edges that hold one value and perhaps letters: beyond the collimator.

    The patient is never among them: whatever is larger than a letter ends the border.
    """
    value = _commonest(np.concatenate([film[0], film[-1], film[:, 0], film[:, -1]]))
    tolerance = FLATNESS * (float(film.max()) - float(film.min()))
    other = (np.abs(film.astype(np.float32) - float(value)) > tolerance).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(other, connectivity=8)
    sizes = statistics[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    small = np.flatnonzero(sizes <= _tallest(film)[0])
    without_letters = film.copy()
    without_letters[np.isin(labels, small[small > 0])] = value
    return find_borders(without_letters) if count > 1 else Borders(0, 0, 0, 0)


def _tallest(film: Stored) -> tuple[float, int]:
    """The largest and the smallest side of a letter, in pixels."""
    return max(_SMALLEST_LETTER + 1, _TALLEST_LETTER * max(film.shape)), _SMALLEST_LETTER


def _commonest(values: Stored) -> Any:
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()]


def _fill_borders(film: Stored, borders: Borders) -> None:
    rows, columns = film.shape
    for part in (
        film[: borders.top],
        film[rows - borders.bottom :],
        film[:, : borders.left],
        film[:, columns - borders.right :],
    ):
        if part.size:
            part[...] = _commonest(part)


def letter_boxes(film: Stored) -> list[Box]:
    """Lines of machine-drawn letters in the margin of a film (H, W)."""
    letters = _strokes(film)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(letters, connectivity=8)
    tallest, smallest = _tallest(film)
    kept = np.zeros(count, dtype=np.uint8)
    for index in range(1, count):
        width, height = statistics[index, cv2.CC_STAT_WIDTH], statistics[index, cv2.CC_STAT_HEIGHT]
        kept[index] = smallest <= max(width, height) <= tallest
    letters = kept[labels]
    return _lines(letters, np.asarray(statistics), np.asarray(labels))


def _strokes(film: Stored) -> npt.NDArray[np.uint8]:
    """Pixels of thin strokes at the darkest or the brightest value of the film, inside the margin."""
    low, high = int(film.min()), int(film.max())
    if high == low:
        return np.zeros(film.shape, np.uint8)
    grey = ((film.astype(np.float32) - low) / (high - low)).astype(np.float32)
    around = (
        cv2.medianBlur((grey * 255).astype(np.uint8), _odd(0.02 * max(film.shape))).astype(np.float32) / 255
    )
    extreme = (film == high) | (film == low) | (film == _commonest(film[film > (low + high) / 2]))
    strokes = (extreme & (np.abs(grey - around) > _CONTRAST)).astype(np.uint8)
    rows, columns = (round(MARGIN * side) for side in film.shape)
    strokes[rows : film.shape[0] - rows, columns : film.shape[1] - columns] = 0
    return strokes


def _odd(value: float) -> int:
    return max(15, int(value)) | 1


def _lines(
    letters: npt.NDArray[np.uint8], statistics: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> list[Box]:
    """Boxes around letters that stand in a row: joined along the row over the width of a letter or two."""
    if not letters.any():
        return []
    used = np.unique(labels[letters > 0])
    height = int(np.median(statistics[used, cv2.CC_STAT_HEIGHT]))
    reach = max(3, 2 * height)
    joined = cv2.morphologyEx(letters, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
    joined = cv2.dilate(joined, np.ones((3, 3), np.uint8))
    count, groups, boxes, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for index in range(1, count):
        members = np.unique(labels[(groups == index) & (letters > 0)])
        if len(members) < _LEAST_LETTERS:
            continue
        x, y, width, tall = (int(value) for value in boxes[index, :4])
        pad = max(2, height // 3)
        found.append((max(0, x - pad), max(0, y - pad), x + width + pad, y + tall + pad))
    return found


def _fill_box(film: Stored, box: Box) -> None:
    x0, y0, x1, y1 = box
    ring = max(4, (y1 - y0) // 2)
    outer = film[max(0, y0 - ring) : y1 + ring, max(0, x0 - ring) : x1 + ring]
    film[y0:y1, x0:x1] = np.median(outer).astype(film.dtype)
