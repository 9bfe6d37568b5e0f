"""The frontal channels of the diagnosis network, the same in training and in use."""

from __future__ import annotations

import numpy as np

from suite.framing import Framed, frame
from suite.study import FloatImage, Mask

BONE_GAIN = 3.0
"""Bone takes up a third of the film's range at most; this brings its channel to the others' contrast."""

NAMES = ("x-ray", "lung-segmented", "bone-subtracted")


def frontal_channels(
    pixels: FloatImage, lung_mask: Mask, bone_subtracted: FloatImage, size: int
) -> tuple[FloatImage, Framed]:
    """A film (H, W), its lungs and its bone layer as (3, size, size) in [0, 1], and the frame they share."""
    framed = frame(pixels, size)
    lungs = framed.grid.apply((lung_mask > 0).astype(np.float32))
    bone = framed.grid.apply(bone_subtracted) * np.float32(BONE_GAIN / framed.levels.width)
    planes = np.stack((framed.pixels, framed.pixels * lungs, np.clip(bone, 0.0, 1.0)))
    return planes.astype(np.float32), framed
