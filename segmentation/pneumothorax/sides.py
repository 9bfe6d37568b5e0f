"""Which side gas lies on, and how much of the lung's room it takes."""

from __future__ import annotations

import cv2
import numpy as np

from suite.study import Mask

RIGHT, LEFT = 128, 255
"""The lung mask's own numbers; the patient's right is on the picture's left."""


def with_sides(gas: Mask, lungs: Mask | None) -> Mask:
    """Gas (H, W) of 0 and 1 as 0, 128 right and 255 left.

    A connected piece belongs to the side on which most of it lies. The sides meet halfway between the middles
    of the two lungs; without a mask of both lungs, in the middle of the film.
    """
    middle = _midline(lungs) if lungs is not None else gas.shape[1] / 2
    count, pieces, _, centres = cv2.connectedComponentsWithStats(gas, connectivity=8)
    sides = np.zeros(count, np.uint8)
    sides[1:] = np.where(centres[1:, 0] + 0.5 < middle, RIGHT, LEFT)
    return sides[pieces]


def _midline(lungs: Mask) -> float:
    columns = [np.flatnonzero((lungs == side).any(axis=0)) for side in (RIGHT, LEFT)]
    if not columns[0].size or not columns[1].size:
        return lungs.shape[1] / 2
    return float(columns[0].mean() + columns[1].mean() + 1) / 2


def measured(gas: Mask, lungs: Mask | None) -> dict[str, float | None]:
    """Numbers of a mask of ``with_sides``, for the report's measurements.

    ``pneumothorax_right_share`` is the gas over gas and visible lung of that side together, ``None`` where no
    lung mask says how much lung there is; areas are in pixels of the film.
    """
    numbers: dict[str, float | None] = {"pneumothorax_area_px": float(np.count_nonzero(gas))}
    for name, side in (("right", RIGHT), ("left", LEFT)):
        own = gas == side
        numbers[f"pneumothorax_{name}_area_px"] = float(np.count_nonzero(own))
        room = 0 if lungs is None else np.count_nonzero(own | (lungs == side))
        numbers[f"pneumothorax_{name}_share"] = np.count_nonzero(own) / room if room else None
    return numbers
