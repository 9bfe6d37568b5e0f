"""Truth from projected structures: lungs in both conventions, heart, bones, tissue classes, boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from suite.phantom.filters import wide_blur
from suite.phantom.projection import Paths

Mask = npt.NDArray[np.uint8]

SIDES = ("right", "left")
_SHADOWS = ("heart", "mediastinum", "aorta", "heart_fat")
BONE_PARTS = ("ribs", "clavicle_left", "clavicle_right", "scapula_left", "scapula_right", "sternum", "spine",
              "humerus_left", "humerus_right")  # fmt: skip

PARENTS = {
    "enlarged_cardiomediastinum": ("cardiomegaly",),
    "lung_opacity": ("lung_lesion", "edema", "consolidation", "pneumonia", "atelectasis"),
}
"""CheXpert's hierarchy (Irvin 2019, figure 1): a child makes its parent true."""

_FINDING = "finding:"
_GAS = "finding_pneumothorax"
_SHOWN_MM = {
    "consolidation": 6.0, "pneumonia": 5.0, "edema": 6.0, "lung_opacity": 5.0, "atelectasis": 5.0,
    "pleural_effusion": 5.0, "pneumothorax": 6.0,
}  # fmt: skip
"""Millimetres of a finding's own material from which it counts as shown; 3 for all others."""

_IN_LUNG = ("consolidation", "pneumonia", "edema", "lung_opacity", "atelectasis", "lung_lesion")
"""Findings whose material stands where the lung's own would be."""

_PATCHY = ("consolidation", "pneumonia", "edema", "lung_opacity")
"""Findings made of many spots; their masks follow the patch, as readers outline it, not every spot."""


def frontal_masks(paths: Paths) -> dict[str, Mask]:
    """All masks of a frontal film, (H, W) uint8.

    ``lung_right`` and ``lung_left`` are the visible lung field of the SCR outlines: the projected lung
    outside the shadows of heart, mediastinum and abdomen. ``lung_whole_*`` are the lungs' full
    projections. ``rib_*`` holds one mask per rib. ``tissue`` is 0 open beam, 1 soft tissue, 2 bone.
    """
    masks = _shared(paths)
    shadow = paths.mask(*_SHADOWS, "abdomen_right", "abdomen_left").astype(bool)
    for side in SIDES:
        whole = masks[f"lung_whole_{side}"].astype(bool)
        masks[f"lung_{side}"] = largest(whole & ~shadow).astype(np.uint8)
    for side in SIDES:
        masks[f"clavicle_{side}"] = paths.mask(f"clavicle_{side}")
        masks[f"clavicle_scr_{side}"] = _inner_clavicle(
            masks[f"clavicle_{side}"], masks[f"lung_{side}"], side
        )
    for name in paths.labels:
        if name.startswith("rib_"):
            masks[name] = paths.mask(name)
    if _GAS in masks:  # readers do not outline it behind the shadows of heart, mediastinum and diaphragm
        masks[_GAS] *= masks["lung_right"] | masks["lung_left"]
    return masks


def lateral_masks(paths: Paths) -> dict[str, Mask]:
    """All masks of a lateral film, (H, W) uint8."""
    return _shared(paths)


def _shared(paths: Paths) -> dict[str, Mask]:
    masks = {f"lung_whole_{side}": paths.mask(f"lung_{side}") for side in SIDES}
    masks["heart"] = paths.mask("heart")
    masks["spine"] = paths.mask("spine")
    masks["ribs"] = paths.mask("ribs")
    masks["bone"] = paths.mask(*BONE_PARTS)
    dense = np.asarray([material.density > 0.1 for material in paths.materials], dtype=np.float32)
    soft = paths.lengths @ dense > 1.0
    masks["tissue"] = np.where(masks["bone"] > 0, 2, soft).astype(np.uint8)
    return masks | finding_masks(paths)


def finding_masks(paths: Paths) -> dict[str, Mask]:
    """One mask ``finding_<code>`` (H, W) for each finding in the scene, parents included.

    A finding is where a solid of its label is crossed, or where its own material is thick enough to show.
    """
    solids = {name.removeprefix(_FINDING) for name in paths.labels if name.startswith(_FINDING)}
    names = {material.name for material in paths.materials if material.name.startswith(_FINDING)}
    stuffs = {name: name.removeprefix(_FINDING).split("+") for name in names}
    masks: dict[str, Mask] = {}
    for code in sorted(solids.union(*stuffs.values())):
        shown = paths.mask(_FINDING + code).astype(bool)
        own = [name for name, codes in stuffs.items() if code in codes]
        if own:
            shown |= _thick(paths, code, paths.length(*own))
        masks[f"finding_{code}"] = shown.astype(np.uint8)
    for parent, children in PARENTS.items():
        present = [masks[f"finding_{code}"] for code in (parent, *children) if f"finding_{code}" in masks]
        if present:
            masks[f"finding_{parent}"] = np.maximum.reduce(present)
    return masks


def _thick(paths: Paths, code: str, length: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where enough of a finding's own material lies on the ray, given its millimetres (H, W)."""
    if code in _PATCHY:
        length = wide_blur(length, length.shape[0] / 100.0)
    enough = length > _SHOWN_MM.get(code, 3.0)
    if code == "pneumothorax":
        # Gas before and behind a lung that still reaches there is not what readers outline.
        enough &= length > 1.2 * _lung(paths)
    return np.asarray(enough)


def _lung(paths: Paths) -> npt.NDArray[np.float32]:
    """Millimetres of lung on each ray (H, W), whatever it is filled with."""
    filled = [
        material.name
        for material in paths.materials
        if material.name.startswith(_FINDING)
        and not set(_IN_LUNG).isdisjoint(material.name.removeprefix(_FINDING).split("+"))
    ]
    return paths.length("lung", *filled)


def _inner_clavicle(clavicle: Mask, lung: Mask, side: str) -> Mask:
    """The part that the SCR outlines follow: from the sternal end to just beyond the lung's lateral edge."""
    width = lung.shape[1]
    column = np.arange(width)
    pad = width // 50
    present = np.asarray(lung.any(axis=1))
    # The patient's right lung has its lateral edge on the picture's left.
    if side == "right":
        allowed = column >= (np.argmax(lung, axis=1) - pad)[:, None]
    else:
        allowed = column <= (width - 1 - np.argmax(lung[:, ::-1], axis=1) + pad)[:, None]
    return np.where(allowed & present[:, None], clavicle, 0).astype(np.uint8)


def largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected piece, holes filled."""
    pieces, count = ndimage.label(mask)
    pieces = np.asarray(pieces)
    if count == 0:
        return mask
    keep = int(np.argmax(np.bincount(pieces.ravel())[1:])) + 1
    rows, columns = ndimage.find_objects(pieces)[keep - 1]
    out = np.zeros_like(mask)
    out[rows, columns] = ndimage.binary_fill_holes(np.asarray(pieces[rows, columns] == keep))
    return out


def cardiothoracic_ratio(masks: dict[str, Mask]) -> float:
    """Widest heart over widest inner thorax, both on the film; NaN without lungs or heart."""
    heart = np.nonzero(masks["heart"].any(axis=0))[0]
    lungs = np.nonzero((masks["lung_left"] | masks["lung_right"]).any(axis=0))[0]
    if not heart.size or not lungs.size:
        return float("nan")
    return float((heart[-1] - heart[0] + 1) / (lungs[-1] - lungs[0] + 1))


def box(mask: Mask) -> tuple[int, int, int, int] | None:
    """[x0, y0, x1, y1) of a mask in pixels, ``None`` when it is empty."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
