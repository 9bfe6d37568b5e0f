"""What speaks against an outline of the lungs, in sentences for the reader."""

from __future__ import annotations

import numpy as np

from segmentation.postprocessing import FURTHEST_APART, distance_between
from suite.study import Mask

CUT_OFF = 0.05
"""Share of a side of the film along which a lung touches it; JSRT's outlined films have at most 0.03."""


def doubts_about(lungs: Mask, sides: dict[str, int]) -> tuple[str, ...]:
    """Why a lung mask (H, W) may be wrong, or the film may not show the whole lungs.

    Args:
        lungs: 0 background, and the number of each side.
        sides: those numbers, ``right`` and ``left``.
    """
    found = {name: (lungs == number).astype(np.uint8) for name, number in sides.items()}
    lines = [
        f"The outline of the {name} lung runs along the film's edge: the film cuts the lung off, or the "
        "outline has left the patient; look at the lung mask."
        for name, lung in found.items()
        if share_at_edge(lung) > CUT_OFF
    ]
    if not all(lung.any() for lung in found.values()):
        return ("Only one lung or none was found.", *lines)
    if distance_between(found["right"], found["left"]) > FURTHEST_APART:
        lines.append(
            "The outlines of the lungs lie further apart than lungs do: one of them may lie beside the "
            "patient, or most of a lung is hidden; look at the lung mask."
        )
    return tuple(lines)


def share_at_edge(lung: Mask) -> float:
    """How much of one of the film's four sides a mask (H, W) covers, at most, in shares of that side."""
    edges = (lung[0], lung[-1], lung[:, 0], lung[:, -1])
    return max(float(np.count_nonzero(edge)) / edge.size for edge in edges)
