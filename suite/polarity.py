"""Films with white and black exchanged, and whether a frontal chest film looks like one of them.

In such a negative the middle is darker than what lies beside it.
"""

from __future__ import annotations

import numpy as np

from suite.borders import find_borders
from suite.study import FloatImage

CLEARLY_NEGATIVE = -0.2
"""Difference, middle minus side, that both sides must fall below. Of 1125 NIH, 207 JSRT and 55 published
films, all of them positives, none does; white lungs on both sides are what comes nearest."""

INVERTED = "Inverted, because the data set says that white and black are exchanged in the file."
"""Step of ``Radiograph.preprocessing``."""

_GRID = 64
_ROWS = slice(16, 44)
_MIDDLE, _RIGHT_LUNG, _LEFT_LUNG = slice(28, 36), slice(12, 24), slice(40, 52)


def looks_negative(pixels: FloatImage) -> bool:
    """Whether a film (H, W) in [0, 1] is clearly a negative, were it a frontal chest film.

    Sure negatives are missed (about half of them), positives are not accused: for a warning, not for a gate.
    """
    import cv2

    rows, columns = pixels.shape
    inside = np.ascontiguousarray(pixels[find_borders(pixels).interior((rows, columns))])
    small = cv2.resize(inside, (_GRID, _GRID), interpolation=cv2.INTER_AREA)[_ROWS]
    middle = float(small[:, _MIDDLE].mean())
    sides = (float(small[:, side].mean()) for side in (_RIGHT_LUNG, _LEFT_LUNG))
    return all(middle - side < CLEARLY_NEGATIVE for side in sides)
