"""What is known of a film's lungs: visible fields, by side or together; whole lungs of computed films."""

from __future__ import annotations

from functools import partial

import numpy as np

from segmentation.films import framed_planes
from segmentation.lungs.network import PLANES
from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.datasets.outlines import has_sides, lung_sides, lung_union
from suite.framing import frame
from suite.study import Mask
from suite.training.bank import Bank, Planes
from suite.training.films import load_film


def knows_whole(record: Record) -> bool:
    """Whether the film's whole lungs are outlined, with what heart and diaphragm hide."""
    return "lung_whole" in record.targets


def lung_planes(record: Record) -> Mask:
    """The planes of ``PLANES`` (H, W, 4) in {0, 1}; where the whole lungs are not known, the visible ones.

    A whole lung has every pixel of its visible field. Where an outline does not tell the sides apart, every
    plane has both lungs.
    """
    if not has_sides(record):
        return np.repeat(lung_union(record)[..., None], len(PLANES), axis=-1)
    visible = lung_sides(record)
    whole = phantom.lung_planes(record, whole=True) | visible if knows_whole(record) else visible
    return np.concatenate((visible, whole), axis=-1)


def lung_bank(records: tuple[Record, ...], size: int) -> Bank:
    """Films (1, size, size), ``PLANES`` (4, size, size), and ``known`` (4,): 1 for planes that are known.

    Of a film whose outline does not tell the sides apart no plane is known for itself.
    """
    return Bank.decode(records, partial(_planes, size=size))


def film_bank(records: tuple[Record, ...], size: int) -> Bank:
    """Films (1, size, size) without outlines."""
    return Bank.decode(records, partial(_film, size=size))


def _film(record: Record, size: int) -> Planes:
    return {"film": frame(load_film(record.frontal), size).pixels[None]}


def _planes(record: Record, size: int) -> Planes:
    known = np.full(len(PLANES), has_sides(record), np.float32)
    known[2:] = knows_whole(record)
    return {**framed_planes(record, size, lung_planes), "known": known}
