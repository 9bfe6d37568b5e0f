"""From a network's planes to outlines: five organs that may overlap, in one bit field.

Planes, bits and their order are those of ``suite.datasets.outlines``: right lung 1, left lung 2, heart 4,
right clavicle 8, left clavicle 16. A pixel of a clavicle over the lung has both bits, so nothing is lost
where organs lie over each other on a projection.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segmentation.postprocessing import largest_piece
from suite.datasets.outlines import ORGANS
from suite.grid import Grid
from suite.study import Mask

Outputs = Literal["exclusive", "multilabel"]

PLANES: dict[Outputs, int] = {"multilabel": len(ORGANS), "exclusive": len(ORGANS) + 1}
"""Planes of the network: one an organ, or the background and one an organ."""

PRIORITY = ("right_clavicle", "left_clavicle", "heart", "right_lung", "left_lung")
"""Who has a pixel that several claim, in the form that allows one only: clavicle over heart over lung."""

_PAIRS = tuple(
    (ORGANS.index(f"right_{organ}"), ORGANS.index(f"left_{organ}")) for organ in ("lung", "clavicle")
)


def exclusive_classes(planes: Tensor) -> Tensor:
    """Overlapping planes (B, 5, H, W) in {0, 1} as classes (B, H, W): 0, or 1 + index of the organ."""
    classes = torch.zeros(planes.shape[:1] + planes.shape[2:], dtype=torch.long, device=planes.device)
    for organ in reversed(PRIORITY):
        index = ORGANS.index(organ)
        classes[planes[:, index] > 0.5] = 1 + index
    return classes


def probabilities(logits: Tensor, outputs: Outputs) -> Tensor:
    """Logits (B, P, H, W) as probabilities (B, 5, H, W) of the organs."""
    return logits.sigmoid() if outputs == "multilabel" else logits.softmax(1)[:, 1:]


def organ_planes(shares: npt.NDArray[np.float32], grid: Grid, outputs: Outputs) -> Mask:
    """Probabilities (5, h, w) on ``grid`` as masks (5, H, W) in {0, 1} on the grid's source.

    Sides never overlap: a pixel that the right and the left of a pair both claim goes to the more probable
    one. Of each organ the largest piece is kept, its holes filled. In the exclusive form the most probable
    organ has the pixel, where it is more probable than the background.
    """
    on_film = [grid.invert(plane) for plane in shares]
    if outputs == "exclusive":
        background = 1.0 - np.sum(on_film, axis=0)
        best = np.argmax([background, *on_film], axis=0)
        claimed = [best == 1 + index for index in range(len(ORGANS))]
    else:
        claimed = [plane > 0.5 for plane in on_film]
        for right, left in _PAIRS:
            right_wins = on_film[right] >= on_film[left]
            claimed[right] &= right_wins
            claimed[left] &= ~right_wins
    return _pieces(np.stack(claimed), outputs)


def _pieces(claimed: npt.NDArray[np.bool_], outputs: Outputs) -> Mask:
    """The largest piece of each organ without holes, but for holes in which an organ lies that it excludes.

    A hole of two organs that exclude each other is filled by the first of them.
    """
    pieces = np.stack([largest_piece(plane.astype(np.uint8)) for plane in claimed])
    own = pieces * claimed
    for index in range(len(ORGANS)):
        rivals = _excluded(index, outputs)
        taken = own[rivals].any(axis=0) | pieces[[rival for rival in rivals if rival < index]].any(axis=0)
        pieces[index][taken & (own[index] == 0)] = 0
    return pieces


def _excluded(index: int, outputs: Outputs) -> list[int]:
    """The organs that may not share a pixel with this one."""
    if outputs == "exclusive":
        return [other for other in range(len(ORGANS)) if other != index]
    return [other for pair in _PAIRS if index in pair for other in pair if other != index]
