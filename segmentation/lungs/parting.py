"""Where an outline of both lungs is parted into right and left, and what of a lung is missed beside that."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from suite.study import Mask


def midline(truth: Mask) -> int:
    """The column at which an outline of both lungs (H, W) is parted; without lungs the film's middle.

    It is the one with the fewest lung pixels in the middle third of the lungs' width.
    """
    columns = np.flatnonzero(truth.any(axis=0))
    if not columns.size:
        return truth.shape[1] // 2
    first, last = int(columns[0]), int(columns[-1])
    third = (last - first) // 3
    counts = truth[:, first + third : last - third].sum(axis=0)
    if not counts.size:
        return (first + last + 1) // 2
    lowest = np.flatnonzero(counts == counts.min())
    return first + third + int(lowest[len(lowest) // 2])


def missed_medially(found: Mask, drawn: Mask) -> float:
    """Share of a missed right lung (H, W up to the midline) that lies between the outline and the midline.

    Rows in which nothing was found do not count as such; NaN where nothing is missed.
    """
    missed = (drawn > 0) & (found == 0)
    beyond = np.cumsum(found[:, ::-1], axis=1)[:, ::-1] == 0
    return share_of(found.any(axis=1, keepdims=True) & beyond, missed)


def share_of(found: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_]) -> float:
    """Share of what is there (H, W) that is found, in [0, 1]; NaN where nothing is."""
    total = np.count_nonzero(there)
    return np.count_nonzero(found & there) / total if total else math.nan
