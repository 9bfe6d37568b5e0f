"""Films with their true bone layer, as the generator learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from suite.datasets import phantom
from suite.datasets.jsrt import BONE_OFFSET, BONE_WHITE, ORGAN_BITS
from suite.datasets.manifest import Record
from suite.framing import frame
from suite.study import FloatImage, Mask
from suite.training.films import load_film, read_mask

HAZE_WIDTH = 0.03
"""Standard deviation of the mean that finds a computed layer's haze, as a share of the film: 1 to 1.5 cm."""

OUTSIDE_TRUST = 0.05
"""Weight outside the lungs, where BSE-JSRT's layer carries artefacts of the source and is zero by design."""


@dataclass(frozen=True, slots=True)
class BonePair:
    """A film, its bone layer and its lungs, all (H, W); film and layer on the film's [0, 1] scale.

    ``whole_film``: the layer may be believed outside the lungs too.
    """

    film: FloatImage
    bone: FloatImage
    lungs: Mask
    whole_film: bool = False


def jsrt_pair(record: Record) -> BonePair:
    """The pair of a JSRT record with 12 bits."""
    film = load_film(record.frontal)
    stored = read_mask(record.targets["bone"]).astype(np.float32)
    bone = (stored - BONE_OFFSET) / BONE_WHITE
    lungs = (read_mask(record.targets["organs"]) & (ORGAN_BITS["right_lung"] | ORGAN_BITS["left_lung"])) > 0
    shape = (film.shape[1], film.shape[0])
    mask = cv2.resize(lungs.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST_EXACT)
    return BonePair(film, np.asarray(cv2.resize(bone, shape), np.float32), np.asarray(mask, np.uint8))


def phantom_pair(record: Record) -> BonePair:
    """The pair of a computed chest; its layer is true everywhere, and so is trusted everywhere.

    The layer is what bones add to their surroundings: the haze that their scatter and the display's local
    contrast spread over tissue without bone stays with the soft tissue, as it does in BSE-JSRT.
    """
    film = load_film(record.frontal)
    lungs = phantom.lung_planes(record).max(axis=-1)
    bone = phantom.bone_layer(record)
    floor = haze(bone, read_mask(record.targets["bone_mask"]) > 0)
    return BonePair(film, bone - floor, lungs, whole_film=True)


def haze(bone: FloatImage, bony: NDArray[np.bool_]) -> FloatImage:
    """The layer's smooth floor (H, W): its mean over nearby pixels that no bone covers.

    Under wide bones such as the spine there are none nearby; a wider mean takes over. Where no pixel of the
    film is free, the floor is 0.
    """
    side = max(bone.shape)
    free = (~bony).astype(np.float32)
    level = weight = np.zeros_like(bone)
    for share, trust in ((HAZE_WIDTH, 1.0), (4 * HAZE_WIDTH, 1e-2)):
        sigma = share * side
        level = level + trust * _blur(bone * free, sigma)
        weight = weight + trust * _blur(free, sigma)
    return np.asarray(level / np.maximum(weight, 1e-6), dtype=np.float32)


def _blur(plane: FloatImage, sigma: float) -> FloatImage:
    """A wide Gaussian at a quarter of the size, which is as good and sixteen times quicker."""
    rows, columns = plane.shape
    small = cv2.resize(plane, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (columns, rows)), np.float32)


def pair_of(record: Record) -> BonePair:
    """The pair of a JSRT or phantom record."""
    return jsrt_pair(record) if "organs" in record.targets else phantom_pair(record)


class PairSet(Dataset[Mapping[str, Tensor]]):
    """Pairs at one scale: ``film``, ``bone``, ``trust``, each (1, size, size) on the network's levels.

    A change of the film's tone curve changes film and soft tissue alike; the layer is their difference, so
    that film = bone + soft tissue still holds.
    """

    def __init__(self, records: Sequence[Record], size: int, *, augmented: bool) -> None:
        self.size = size
        self.augmented = augmented
        self.items: list[Tensor] = [_stack(pair_of(record), size) for record in records]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        planes = self.items[index]
        if self.augmented:
            planes = _vary(planes)
        film, bone, trust = interpolate(planes[None], size=(self.size, self.size), mode="area")[0].split(1)
        return {"film": film, "bone": bone, "trust": OUTSIDE_TRUST + (1 - OUTSIDE_TRUST) * trust}


def _stack(pair: BonePair, size: int) -> Tensor:
    framed = frame(pair.film, size)
    bone = framed.grid.apply(pair.bone) / np.float32(framed.levels.width)
    trusted = np.ones_like(pair.film) if pair.whole_film else pair.lungs.astype(np.float32)
    lungs = framed.grid.apply(trusted)
    return torch.from_numpy(np.stack([framed.pixels, bone, lungs]).astype(np.float32))


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(()).uniform_(low, high))


def _vary(planes: Tensor) -> Tensor:
    """Rotation by 10 degrees, scale, shift, mirroring together; tone curve of both; noise on the film alone.

    Mirroring is allowed here, and only here: the layer of a mirrored film is the mirrored layer.
    """
    angle, scale = _uniform(-10, 10), _uniform(0.9, 1.2)
    shift = [int(_uniform(-0.05, 0.05) * side) for side in planes.shape[-2:]]
    planes = functional.affine(
        planes, angle, shift, scale, [0.0, 0.0], interpolation=v2.InterpolationMode.BILINEAR
    )
    if _uniform(0, 1) < 0.5:
        planes = planes.flip(-1)
    # far down: JSRT's lungs are shown near 0.7 of the range, those of other displays near 0.4
    gamma = 2.0 ** _uniform(-1.3, 0.5)
    film, bone = other_tone(planes[:1], planes[1:2], gamma, _uniform(0.75, 1.1), _uniform(-0.05, 0.1))
    film = (film + _uniform(0, 0.015) * torch.randn_like(film)).clamp(0.0, 1.0)
    return torch.cat((film, bone, planes[2:]))


def other_tone(
    film: Tensor, bone: Tensor, gamma: float, slope: float, offset: float
) -> tuple[Tensor, Tensor]:
    """Film and layer (1, H, W) as another display would show them; their difference is its soft tissue."""

    def shown(tissue: Tensor) -> Tensor:
        return tissue.clamp(0.0, 1.0) ** gamma * slope + offset

    return shown(film), shown(film) - shown(film - bone)
