"""What a reader should know before believing a bone image: one sentence each."""

from __future__ import annotations

import numpy as np

from gan.residual import Limits, ResidualEnergy
from suite.film_edge import share_at_edge
from suite.stages.artifacts import GateResult, Measured
from suite.study import FloatImage, Mask, Radiograph

WHITE = 0.999
CLIPPED_SHARE = 0.02
"""A film that is plain white in more than this share of the box around its lungs has lost what lay there."""

VIEW_CHECKS = frozenset({"chest", "view", "whole_chest", "projection", "body_part"})
"""The gate's tests that say what a film shows."""

SHOWN_CHECKS = frozenset({"polarity", "rotation", "header_orientation"})
"""Those that say how it is shown. A mirrored film is read as well as any: half of the training films were."""

CUT_OFF = 0.1
"""Lungs that cover more of a side of the film than this are cut off: what is left may hold little bone.
``benchmarks/cut_films.py``: it holds for 3 of 200 whole films of NIH and JSRT, and for 9 of the 14 parts of
them that the gate lets pass."""

SHOWN_SMALL = 0.5
"""A box around the lungs that is shorter than this share of the film's longer side shows ribs so small that a
second look takes much again, suppressed or not."""

OVER = 1.25
"""How far beyond the validation films' own range something has to lie: they are few."""


def doubts_about(
    film: Radiograph, lungs: Mask, taken: ResidualEnergy, limits: Limits, gate: GateResult | None = None
) -> tuple[str, ...]:
    """Sentences about a film, its lungs (H, W) and what was taken from it; none where all is as expected.

    Args:
        limits: what was seen on validation films.
        gate: the gate's result, where a gate ran.
    """
    doubts = []
    failed = {check.name for check in gate.checks if not check.passed} if gate is not None else set()
    if film.projection.is_lateral:
        doubts.append("The headers call this a lateral film; bone was learned from frontal chests only.")
    elif failed & VIEW_CHECKS:
        doubts.append(
            "This does not look like a whole frontal chest; bone was learned from frontal chests only."
        )
    elif failed & SHOWN_CHECKS:
        doubts.append(
            "This film looks turned or negative; bone was learned from upright films with bright bone only."
        )
    may_be_suppressed = not doubts and tells_suppression(lungs)
    if not (lungs > 0).any():
        return (*doubts, "No lungs were found, so no bone was taken from the film.")
    if clipped_share(film.pixels, lungs) > CLIPPED_SHARE:
        doubts.append(
            "Parts of the chest are plain white: what was clipped there is missing from both bone images."
        )
    if taken.structure > OVER * limits.most_structure:
        doubts.append(
            "More was taken from the lungs than from any validation film; "
            "compare the bone image with the film."
        )
    elif may_be_suppressed and taken.again > limits.most_again:
        doubts.append("Hardly any bone was found inside the lungs: the film may be bone-suppressed already.")
    return tuple(doubts)


def tells_suppression(lungs: Mask) -> bool:
    """Whether lungs (H, W) are shown whole and large enough for what a second look takes to mean anything."""
    if not (lungs > 0).any():
        return False
    longest = max(side.stop - side.start for side in _box(lungs))
    return share_at_edge(lungs) <= CUT_OFF and longest >= SHOWN_SMALL * max(lungs.shape)


def clipped_share(pixels: FloatImage, lungs: Mask) -> float:
    """Share of plain white in the box around the lungs (H, W)."""
    return float((pixels[_box(lungs)] >= WHITE).mean())


def _box(lungs: Mask) -> tuple[slice, slice]:
    """Rows and columns of the box around the lungs (H, W)."""
    rows, columns = np.flatnonzero((lungs > 0).any(axis=1)), np.flatnonzero((lungs > 0).any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def measured(taken: ResidualEnergy) -> Measured:
    """The residual in numbers, as ``ResidualEnergy`` has it; ``None`` without lungs."""
    known = bool(np.isfinite(taken.energy))
    return Measured(
        {
            "bone_residual_energy": round(taken.energy, 5) if known else None,
            "bone_residual_structure": round(taken.structure, 5) if known else None,
            "bone_residual_again": round(taken.again, 5) if known else None,
        }
    )
