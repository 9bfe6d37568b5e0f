"""The frontal channels of the diagnosis network, the same in training and in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from suite.errors import WeightsError
from suite.framing import Framed, frame
from suite.study import FloatImage, Mask

BONE_GAIN = 3.0
"""Bone takes up a third of the film's range at most; this brings its channel to the others' contrast."""

Plane = Literal["x-ray", "lung-segmented", "bone-subtracted", "true-bone", "dual-energy"]
NAMES: tuple[Plane, ...] = ("x-ray", "lung-segmented", "bone-subtracted")

Configuration = Literal["single", "dual", "dual+lungs", "dual+lungs+bone"]
BoneSource = Literal["gan", "true", "dual_energy", "copy"]

PLANES: dict[Configuration, tuple[Plane, ...]] = {
    "single": ("x-ray", "x-ray", "x-ray"),
    "dual": ("x-ray",),
    "dual+lungs": ("x-ray", "lung-segmented"),
    "dual+lungs+bone": NAMES,
}
"""The paper's four; the single branch reads the grey film as RGB, as networks from ImageNet do."""

BONE_PLANES: dict[BoneSource, Plane] = {
    "gan": "bone-subtracted",
    "true": "true-bone",
    "dual_energy": "dual-energy",
    "copy": "x-ray",
}
"""What stands in the bone channel: the GAN's layer, the phantom's own, two exposures', or a placebo."""


def planes_of(configuration: Configuration, bone_source: BoneSource, without: str = "") -> tuple[Plane, ...]:
    """The frontal planes in their order; ``without`` names one of ``NAMES`` to leave out."""
    kept = tuple(plane for plane in PLANES[configuration] if plane != without)
    return tuple(BONE_PLANES[bone_source] if plane == "bone-subtracted" else plane for plane in kept)


def bone_plane(bone: FloatImage, framed: Framed) -> FloatImage:
    """A bone layer (H, W) in film units as a channel (size, size) in [0, 1]."""
    layer = framed.grid.apply(bone) * np.float32(BONE_GAIN / framed.levels.width)
    return np.clip(layer, 0.0, 1.0).astype(np.float32)


def frontal_channels(
    pixels: FloatImage,
    lung_mask: Mask,
    bone_subtracted: FloatImage,
    size: int,
    planes: Sequence[str] = NAMES,
) -> tuple[FloatImage, Framed]:
    """A film (H, W), its lungs and its bone layer as (C, size, size) in [0, 1], and the frame they share.

    Raises:
        WeightsError: a plane that cannot be made of one film.
    """
    framed = frame(pixels, size)
    lungs = framed.grid.apply((lung_mask > 0).astype(np.float32))
    made = {
        "x-ray": framed.pixels,
        "lung-segmented": framed.pixels * lungs,
        "bone-subtracted": bone_plane(bone_subtracted, framed),
    }
    unknown = [plane for plane in planes if plane not in made]
    if unknown:
        raise WeightsError(
            f"the diagnosis weights read a {unknown[0]} channel, which one film does not give; "
            "use weights that were trained with bone_source=gan."
        )
    return np.stack([made[plane] for plane in planes]).astype(np.float32), framed
