"""Films with their true bone layer, as the generator learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from suite.datasets import phantom
from suite.datasets.dual_energy import read_triple
from suite.datasets.jsrt import BONE_OFFSET, BONE_WHITE, ORGAN_BITS
from suite.datasets.manifest import FilmFile, Record
from suite.errors import InputError
from suite.framing import frame
from suite.phantom.encoding import WHITE
from suite.study import FloatImage, Mask, check_size
from suite.training.bank import Bank, Planes
from suite.training.films import film_on_scale, read_mask

HAZE_WIDTH = 0.03
"""Standard deviation of the mean that finds a computed layer's haze, as a share of the film: 1 to 1.5 cm."""

AS_BSE, AS_TRUE = 0, 1
"""The conventions of a layer: BSE-JSRT's, which is what one asks for unless one says otherwise, and all that
bone adds to a film."""

CONVENTIONS = ("BSE-JSRT", "true")
"""Their names in a model card."""

OUTSIDE_TRUST = 0.05
"""Weight outside the lungs, where BSE-JSRT's layer carries artefacts of the source and is zero by design."""


@dataclass(frozen=True, slots=True)
class BonePair:
    """A film, its bone layer and its lungs, all (H, W); film and layer on the film's [0, 1] scale.

    Attributes:
        convention: ``AS_BSE`` or ``AS_TRUE``; a true layer may be believed outside the lungs too.
        breaks: 1 around broken bone, empty where there is none.
        lungs_known: whether anybody outlined the lungs; otherwise ``lungs`` is the whole film.
    """

    film: FloatImage
    bone: FloatImage
    lungs: Mask
    convention: int = AS_BSE
    breaks: Mask = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    lungs_known: bool = True

    @property
    def without_bone(self) -> FloatImage:
        """The true bone-suppressed image (H, W) in [0, 1]."""
        return np.clip(self.film - self.bone, 0.0, 1.0)


def jsrt_pair(record: Record) -> BonePair:
    """The pair of a JSRT record with 12 bits; the film on the layer's scale, whatever part of it it uses.

    Raises:
        InputError: the film is too small, or every pixel has the same value.
    """
    film = _seen(film_on_scale(record.frontal, BONE_WHITE), record)
    stored = read_mask(record.targets["bone"]).astype(np.float32)
    bone = (stored - BONE_OFFSET) / np.float32(BONE_WHITE)
    lungs = (read_mask(record.targets["organs"]) & (ORGAN_BITS["right_lung"] | ORGAN_BITS["left_lung"])) > 0
    shape = (film.shape[1], film.shape[0])
    mask = cv2.resize(lungs.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST_EXACT)
    return BonePair(film, np.asarray(cv2.resize(bone, shape), np.float32), np.asarray(mask, np.uint8))


def phantom_pair(record: Record) -> BonePair:
    """The pair of a computed chest; its layer is true everywhere, and so is trusted everywhere.

    The layer is what bones add to their surroundings: the haze that their scatter and the display's local
    contrast spread over tissue without bone stays with the soft tissue, as it does in BSE-JSRT.
    """
    film = film_on_scale(record.frontal, WHITE)
    lungs = phantom.lung_planes(record).max(axis=-1)
    bone = phantom.bone_layer(record)
    floor = haze(bone, read_mask(record.targets["bone_mask"]) > 0)
    return BonePair(film, bone - floor, lungs, AS_TRUE, phantom.finding_mask(record, "fracture"))


def _seen(film: FloatImage, record: Record) -> FloatImage:
    """``film`` (H, W), once it is known that there is something to see."""
    check_size(film.shape[0], film.shape[1], str(record.frontal))
    if film.min() == film.max():
        raise InputError(f"{record.frontal}: every pixel has the same value; leave the film out.")
    return film


def is_fractured(record: Record) -> bool:
    """Whether a fracture shows on a computed chest's film."""
    return "finding_fracture" in record.targets


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


def dual_energy_pair(record: Record) -> BonePair:
    """The pair of a dual-energy study: the film minus its soft-tissue image, on the film's scale.

    The export's soft-tissue image has a window of its own; the parabola that takes it to the film where no
    bone is brings it back. Its lungs are unknown, so the whole film is trusted alike.

    Raises:
        DatasetError: the three pictures do not lie on each other.
    """
    triple = read_triple(record)
    bony = bony_part(triple.bone)
    soft = fitted(triple.soft, triple.standard, ~bony)
    layer = triple.standard - soft
    everywhere = np.ones(layer.shape, np.uint8)
    return BonePair(triple.standard, layer - haze(layer, bony), everywhere, AS_TRUE, lungs_known=False)


def bony_part(bone: FloatImage) -> NDArray[np.bool_]:
    """Where a bone image (H, W) is bright: Otsu's threshold on what stands out from its surroundings."""
    wide = _blur(bone, 4 * HAZE_WIDTH * max(bone.shape))
    standing_out = np.clip((bone - wide) * 255 + 128, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(standing_out, 0, 255, cv2.THRESH_OTSU)
    return np.asarray(standing_out > threshold)


def fitted(values: FloatImage, wanted: FloatImage, where: NDArray[np.bool_]) -> FloatImage:
    """``values`` (H, W) by the parabola that takes them nearest to ``wanted`` at the pixels ``where``.

    Both are smoothed for the fit, which would be too flat for noise.
    """
    smooth, aim = (
        cv2.GaussianBlur(plane, (0, 0), 2.0)[where][::7].astype(float) for plane in (values, wanted)
    )
    curve = np.polynomial.Polynomial.fit(smooth, aim, 2)
    return np.asarray(curve(values.astype(np.float64)), dtype=np.float32)


def pair_of(record: Record) -> BonePair:
    """The pair of a record of JSRT, of a dual-energy export or of a computed cohort."""
    if "organs" in record.targets:
        return jsrt_pair(record)
    return phantom_pair(record) if "truth" in record.targets else dual_energy_pair(record)


_KEPT: dict[FilmFile, BonePair] = {}
MOST_KEPT = 400


def kept_pair(record: Record) -> BonePair:
    """``pair_of``, read once: validation and test look at the same films again and again."""
    if record.frontal not in _KEPT:
        if len(_KEPT) >= MOST_KEPT:
            _KEPT.clear()
        _KEPT[record.frontal] = pair_of(record)
    return _KEPT[record.frontal]


_BANKS: dict[tuple[tuple[FilmFile, ...], int], Bank] = {}


def kept_bank(records: Sequence[Record], size: int) -> Bank:
    """``pair_bank``, shared by runs of one process that learn from the same films at the same size."""
    key = (tuple(record.frontal for record in records), size)
    if key not in _BANKS:
        _BANKS.clear()
        _BANKS[key] = pair_bank(records, size)
    return _BANKS[key]


def pair_bank(records: Sequence[Record], size: int, threads: int | None = None) -> Bank:
    """Pairs framed at ``size`` and kept for training, decoded by ``threads`` threads.

    Its planes: ``pair`` (2, size, size), film and layer on the network's levels; ``regions`` uint8
    (2, size, size), 255 in the lungs and around breaks; ``convention`` (1,).
    """

    def read(record: Record) -> Planes:
        return framed_pair(pair_of(record), size)

    return Bank.decode(records, read, threads=threads)


def framed_pair(pair: BonePair, size: int) -> Planes:
    """One record of a ``pair_bank``."""
    framed = frame(pair.film, size)
    layer = framed.grid.apply(pair.bone) / np.float32(framed.levels.width)
    breaks = pair.breaks if pair.breaks.size else np.zeros_like(pair.lungs)
    regions = [
        framed.grid.apply((mask > 0).astype(np.uint8) * np.uint8(255)) for mask in (pair.lungs, breaks)
    ]
    return {
        "pair": np.stack((framed.pixels, layer)).astype(np.float32),
        "regions": np.stack(regions).astype(np.uint8),
        "convention": np.array([pair.convention], np.float32),
    }


class MixedPairs(Dataset[Mapping[str, Tensor]]):
    """Rows of a bank, drawn anew in every epoch with a fixed share of each convention.

    Args:
        conventions: of each record of the bank.
        allowed: rows that may be drawn; all where left out.
        length: draws in an epoch; 0: as many as there are records to draw.
        true_share: share of the draws that are pairs with a true layer, where there are pairs of both kinds.
    """

    def __init__(
        self,
        conventions: Sequence[int],
        allowed: Sequence[int] | None = None,
        length: int = 0,
        true_share: float = 0.5,
    ) -> None:
        kinds = np.asarray(conventions, dtype=np.int64)
        rows = np.arange(len(kinds)) if allowed is None else np.asarray(allowed, dtype=np.int64)
        groups = {kind: torch.from_numpy(rows[kinds[rows] == kind]) for kind in (AS_BSE, AS_TRUE)}
        self.groups = {kind: members for kind, members in groups.items() if len(members)}
        self.length = length or len(rows)
        self.true_share = true_share

    def __len__(self) -> int:
        return self.length if self.groups else 0

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"draw {index} of {len(self)}")
        kind = next(iter(self.groups))
        if len(self.groups) > 1:
            kind = AS_TRUE if float(torch.rand(())) < self.true_share else AS_BSE
        rows = self.groups[kind]
        return {"index": rows[torch.randint(len(rows), ())]}
