"""What speaks against an outline of the lungs, in sentences for the reader."""

from __future__ import annotations

import numpy as np

from segmentation.postprocessing import FURTHEST_APART, distance_between
from suite.film_edge import share_at_edge
from suite.study import Mask

CUT_OFF = 0.05
"""Share of a side of the film along which a lung touches it; JSRT's outlined films have at most 0.03."""

CUT_THROUGH = 0.2
"""The same, from which the film shows a part of a chest. ``benchmarks/cut_films.py``: it holds for none of
200 whole films of NIH and JSRT, and for 8 of the 14 parts of them that the gate lets pass."""


def doubts_about(lungs: Mask, sides: dict[str, int]) -> tuple[str, ...]:
    """Why a lung mask (H, W) may be wrong, or the film may not show the whole lungs.

    Args:
        lungs: 0 background, and the number of each side.
        sides: those numbers, ``right`` and ``left``.
    """
    found = {name: (lungs == number).astype(np.uint8) for name, number in sides.items()}
    lines = [line for name, lung in found.items() for line in _cut_off(name, share_at_edge(lung))]
    if not all(lung.any() for lung in found.values()):
        return ("Only one lung or none was found.", *lines)
    if distance_between(found["right"], found["left"]) > FURTHEST_APART:
        lines.append(
            "The outlines of the lungs lie further apart than lungs do: one of them may lie beside the "
            "patient, or most of a lung is hidden; look at the lung mask."
        )
    return tuple(lines)


def _cut_off(name: str, share: float) -> tuple[str, ...]:
    """What a lung says that covers ``share`` of a side of the film."""
    if share > CUT_THROUGH:
        return (
            f"The outline of the {name} lung runs along much of one side of the film: this looks like a part "
            "of a chest, and nothing is said of what is missing; give the whole film.",
        )
    if share > CUT_OFF:
        return (
            f"The outline of the {name} lung runs along the film's edge: the film cuts the lung off, or the "
            "outline has left the patient; look at the lung mask.",
        )
    return ()
