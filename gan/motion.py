"""Motion between the two exposures of a dual-energy study, recognised from what it leaves in the bone image.

Where soft tissue moved, the bone image holds its edge once bright and once dark: locally it looks like the
soft-tissue image's gradient times a shift. Real bone does not, since the soft-tissue image has no bone in it.
So the motion of each small square is the shift that explains the bone image best, and the study's motion is
what the most moved squares have in common.
"""

from __future__ import annotations

import cv2
import numpy as np

from suite.grid import Grid
from suite.levels import auto_levels
from suite.study import FloatImage

SIDE = 256
SQUARE = 21
"""Side of a square in pixels at ``SIDE``: 3 cm of a chest."""

FINE = 2.0
"""Only what varies over fewer pixels is looked at; a moved edge is finer than a rib."""

SHARE = 0.05
"""The study's motion is exceeded in this share of all squares."""

LIMIT = 0.0105
"""Studies with more motion are neither learned from nor measured on."""


def motion_of(soft: FloatImage, bone: FloatImage) -> float:
    """How much of a bone image (H, W) is moved soft tissue (H, W): the edge height explained by a shift.

    In shares of the bone image's used range; about the same for every still study, larger with motion.
    """
    s, b = (_prepared(image) for image in (soft, bone))
    b = b - cv2.GaussianBlur(b, (0, 0), FINE)
    gx, gy = (cv2.Sobel(s, cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    xx, xy, yy = (_mean(plane) for plane in (gx * gx, gx * gy, gy * gy))
    xb, yb = _mean(gx * b), _mean(gy * b)
    # a square without an edge of its own cannot tell a shift
    ridge = 0.05 * float(np.mean(xx + yy)) + 1e-12
    xx, yy = xx + ridge, yy + ridge
    explained = (yy * xb * xb - 2 * xy * xb * yb + xx * yb * yb) / np.maximum(xx * yy - xy * xy, 1e-20)
    return float(np.sqrt(np.quantile(np.maximum(explained, 0.0), 1.0 - SHARE)))


def _prepared(image: FloatImage) -> FloatImage:
    framed = auto_levels(image).apply(Grid.of(image.shape).square().resize(SIDE).apply(image))
    return np.asarray(cv2.GaussianBlur(framed, (0, 0), 1.0))


def _mean(plane: FloatImage) -> FloatImage:
    return np.asarray(cv2.blur(plane, (SQUARE, SQUARE)))
