"""How a cohort's pictures hold their numbers: 16-bit films, bone layers, exposures, and 8-bit masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from suite.errors import DatasetError

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint16]

WHITE: Final = 65535
"""Stored value of film value 1; black is 0."""

BONE_OFFSET: Final = 16384
"""Stored value of an empty bone layer; the layer may be slightly negative beside dense bone."""

EXPOSURE_SCALE: Final = 5000.0
EXPOSURE_OFFSET: Final = 1.0
"""An exposure is stored as (-ln(signal) + 1) x 5000: steps of 0.02 % of the signal, down to e^-12."""

RIGHT: Final = 128
LEFT: Final = 255
"""Values of the patient's right and left in masks of paired structures."""

_COMPRESSION: Final = 2


def film_words(film: FloatImage) -> Words:
    """A film (H, W) in [0, 1] as 16-bit words."""
    return np.rint(np.clip(film, 0.0, 1.0) * WHITE).astype(np.uint16)


def bone_words(film: FloatImage, soft: FloatImage) -> Words:
    """The bone layer (H, W) such that stored film = soft + bone - ``BONE_OFFSET`` holds exactly."""
    layer = film_words(film).astype(np.int32) - film_words(soft).astype(np.int32) + BONE_OFFSET
    return np.clip(layer, 0, WHITE).astype(np.uint16)


def bone_layer(words: npt.NDArray[Any]) -> FloatImage:
    """Stored bone words (H, W) as the layer on the film's [0, 1] scale."""
    return (words.astype(np.float32) - np.float32(BONE_OFFSET)) / np.float32(WHITE)


def exposure_words(signal: FloatImage) -> Words:
    """A linear detector signal (H, W), 1 in the open beam, as 16-bit words on a logarithmic scale."""
    log = -np.log(np.maximum(signal.astype(np.float64), 1e-6))
    return np.clip(np.rint((log + EXPOSURE_OFFSET) * EXPOSURE_SCALE), 0, WHITE).astype(np.uint16)


def exposure_signal(words: npt.NDArray[Any]) -> FloatImage:
    """Stored exposure words (H, W) as the linear detector signal."""
    return np.exp(EXPOSURE_OFFSET - words.astype(np.float64) / EXPOSURE_SCALE).astype(np.float32)


def sides(right: Mask, left: Mask) -> Mask:
    """One mask of a paired structure: 0, ``RIGHT`` or ``LEFT``; where both lie, the left."""
    out = np.where(right > 0, RIGHT, 0).astype(np.uint8)
    out[left > 0] = LEFT
    return out


def rib_map(masks: dict[str, Mask]) -> Mask:
    """Rib numbers (H, W): 1 to 12 right, 13 to 24 left; where ribs cross, the smaller number of a side.

    That is the one whose front part crosses the back part of a lower rib.
    """
    out = np.zeros_like(masks["ribs"])
    for first, side in ((0, "right"), (12, "left")):
        for number in range(12, 0, -1):
            out[masks[f"rib_{side}_{number:02d}"] > 0] = first + number
    return out


def rib_planes(masks: dict[str, Mask]) -> Mask:
    """All ribs without loss, RGB (H, W, 3): right 1 to 8; right 9 to 12 and left 1 to 4; left 5 to 12.

    Bit k of a channel (value 2^k) is its k-th rib, counted from 0.
    """
    out = np.zeros((*masks["ribs"].shape, 3), dtype=np.uint8)
    names = [f"rib_{side}_{number:02d}" for side in ("right", "left") for number in range(1, 13)]
    for k, name in enumerate(names):
        out[..., k // 8] |= ((masks[name] > 0).astype(np.uint8) << (k % 8)).astype(np.uint8)
    return out


def write_png(path: Path, picture: npt.NDArray[Any]) -> None:
    """Write ``uint8`` or ``uint16`` (H, W), or ``uint8`` RGB (H, W, 3); equal arrays give equal bytes."""
    stored = picture[..., ::-1] if picture.ndim == 3 else picture
    done, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])
    if not done:
        raise OSError(f"the picture {path.name} could not be encoded")
    path.write_bytes(encoded.tobytes())


def read_png(path: Path) -> npt.NDArray[Any]:
    """A picture of a cohort as stored: (H, W), or RGB (H, W, 3).

    Raises:
        DatasetError: the file is missing or no picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DatasetError(
            f"{path}: is missing or no picture; make the cohort again with `radsuite phantom`."
        )
    return np.ascontiguousarray(picture[..., ::-1]) if picture.ndim == 3 else picture
