"""Outlines of organs, whatever data set they come from: one function for five organs, one for the two lungs.

What a set gives is named by the targets of its records:

====================================  ================================================================
``organs``                            bit field of all five organs (jsrt)
``right_lung``, ``left_lung`` and,    a picture an organ, the patient's sides, anything but 0 inside
for five organs, ``heart``,           (scr; montgomery has the lungs)
``right_clavicle``, ``left_clavicle``
``lung_mask``, ``heart``,             as ``radsuite phantom`` writes them: 128 right, 255 left
``clavicles_scr``                     (phantom)
``lungs``                             both lungs in one picture, sides unknown (shenzhen)
====================================  ================================================================

Lungs are visible fields in the SCR convention everywhere but in ``shenzhen`` and ``montgomery``, whose
outlines follow their own readers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from suite.datasets.jsrt import ORGAN_BITS
from suite.datasets.manifest import Manifest, Record
from suite.errors import DatasetError
from suite.study import Mask

ORGANS: tuple[str, ...] = tuple(ORGAN_BITS)
"""Right lung, left lung, heart, right clavicle, left clavicle: the planes of ``organ_planes``, in order."""

LUNGS = ("right_lung", "left_lung")
_RIGHT, _LEFT = 128, 255


def has_organs(record: Record) -> bool:
    """Whether all five organs of the film are outlined."""
    targets = record.targets
    return (
        "organs" in targets
        or all(organ in targets for organ in ORGANS)
        or {"lung_mask", "heart", "clavicles_scr"} <= targets.keys()
    )


def has_lungs(record: Record) -> bool:
    """Whether the film's lungs are outlined, side by side or together."""
    return has_sides(record) or "lungs" in record.targets or "lung_mask" in record.targets


def has_sides(record: Record) -> bool:
    """Whether the right and the left lung are told apart."""
    return _is_phantom(record) or "organs" in record.targets or all(lung in record.targets for lung in LUNGS)


def with_organs(manifest: Manifest) -> Manifest:
    """Only the records with all five organs.

    Raises:
        DatasetError: there is none.
    """
    return _those_with(
        manifest, tuple(filter(has_organs, manifest)), "outlines of lungs, heart and clavicles"
    )


def with_sides(manifest: Manifest) -> Manifest:
    """Only the records whose right and left lung are told apart.

    Raises:
        DatasetError: there is none.
    """
    return _those_with(manifest, tuple(filter(has_sides, manifest)), "outlines of the right and left lung")


def with_lungs(manifest: Manifest) -> Manifest:
    """Only the records whose lungs are outlined, side by side or together.

    Raises:
        DatasetError: there is none.
    """
    return _those_with(manifest, tuple(filter(has_lungs, manifest)), "outlines of the lungs")


def organ_planes(record: Record) -> Mask:
    """The five organs (H, W, 5) in {0, 1}, planes in the order of ``ORGANS``; they may overlap.

    Raises:
        DatasetError: an organ is not outlined, or a file cannot be read.
    """
    if "organs" in record.targets:
        return _bits(record.targets["organs"], tuple(ORGAN_BITS.values()))
    if all(organ in record.targets for organ in ORGANS):
        return _stack([read_outline(record.targets[organ]) for organ in ORGANS], record)
    if has_organs(record):
        lungs, clavicles = (_values(record.targets[name]) for name in ("lung_mask", "clavicles_scr"))
        heart = read_outline(record.targets["heart"])
        planes = [lungs == _RIGHT, lungs == _LEFT, heart, clavicles == _RIGHT, clavicles == _LEFT]
        return _stack([np.asarray(plane, np.uint8) for plane in planes], record)
    missing = [organ for organ in ORGANS if organ not in record.targets]
    raise DatasetError(f"record {record.id} has no outline of {', '.join(missing)}; leave it out.")


def as_bits(planes: Mask) -> Mask:
    """Organ planes (5, H, W) in {0, 1} as one bit field (H, W): the values of ``ORGAN_BITS``, added up."""
    weights = np.array(list(ORGAN_BITS.values()), np.uint8)
    return np.asarray(np.einsum("o,ohw->hw", weights, planes), np.uint8)


def lung_sides(record: Record) -> Mask:
    """Right and left lung (H, W, 2) in {0, 1}, the patient's sides.

    Raises:
        DatasetError: the record does not tell the sides apart, or a file cannot be read.
    """
    if "organs" in record.targets:
        return _bits(record.targets["organs"], tuple(ORGAN_BITS[lung] for lung in LUNGS))
    if all(lung in record.targets for lung in LUNGS):
        return _stack([read_outline(record.targets[lung]) for lung in LUNGS], record)
    if _is_phantom(record):
        stored = _values(record.targets["lung_mask"])
        return np.stack([stored == _RIGHT, stored == _LEFT], axis=-1).astype(np.uint8)
    raise DatasetError(
        f"record {record.id} does not tell the right lung from the left; measure on both lungs together."
    )


def lung_union(record: Record) -> Mask:
    """Both lungs as one mask (H, W) in {0, 1}; every set with outlined lungs has it.

    Raises:
        DatasetError: no lung is outlined, or a file cannot be read.
    """
    if has_sides(record):
        return np.asarray(lung_sides(record).max(axis=-1))
    for name in ("lungs", "lung_mask"):
        if name in record.targets:
            return read_outline(record.targets[name])
    raise DatasetError(f"record {record.id} has no outline of the lungs; leave it out.")


def read_outline(path: Path) -> Mask:
    """A picture of one organ (PNG, GIF, any depth), inside where it is not 0: (H, W) in {0, 1}.

    Raises:
        DatasetError: the file is missing, no picture, or no label picture with one channel.
    """
    return (_values(path) > 0).astype(np.uint8)


def _values(path: Path) -> Mask:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            # a palette is a way to store greys: what counts is the grey shown, not its number
            shown = picture if picture.mode in ("1", "L", "I;16", "I") else picture.convert("L")
            stored = np.asarray(shown.convert("L") if shown.mode == "1" else shown)
            # of a deeper picture only what is inside counts: its white must not become 0 in eight bits
            return np.minimum(stored, 255).astype(np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{path}: is missing or no picture; fetch the data set again.") from error


def _bits(path: Path, bits: tuple[int, ...]) -> Mask:
    stored = _values(path)
    return np.stack([(stored & bit) > 0 for bit in bits], axis=-1).astype(np.uint8)


def _stack(planes: list[Mask], record: Record) -> Mask:
    if len({plane.shape for plane in planes}) > 1:
        raise DatasetError(
            f"record {record.id}: its outlines have different sizes; fetch the data set again."
        )
    return np.stack(planes, axis=-1)


def _is_phantom(record: Record) -> bool:
    """``lung_mask`` with sides is the phantom's; ``covid-lungs`` uses the name for both lungs together."""
    return {"lung_mask", "lung_whole"} <= record.targets.keys()


def _those_with(manifest: Manifest, records: tuple[Record, ...], what: str) -> Manifest:
    if not records:
        raise DatasetError(f"data set {manifest.name} has no film with {what}; give another set.")
    return Manifest(manifest.name, records)
