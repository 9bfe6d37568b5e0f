"""Radiographs and studies: what intake makes and every stage reads. Frozen, and valid once built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from suite.errors import InputError, UnsupportedPixelsError

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]

MIN_SIDE = 32
"""Rows or columns below which no radiograph can be read: an 8 mm wide picture at 4 px/mm."""

MAX_PIXELS = 64_000_000
"""Largest film accepted; a 43 cm detector at 0.1 mm has 18.5 million pixels."""

_STUDY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_size(rows: int, columns: int, source: str) -> None:
    """Refuse a film that is too small to read or too large to decode; readers call it before they decode.

    Raises:
        UnsupportedPixelsError: a side is below ``MIN_SIDE``, or there are more than ``MAX_PIXELS`` pixels.
    """
    if min(rows, columns) < MIN_SIDE:
        raise UnsupportedPixelsError(
            f"{source}: {columns} x {rows} pixels are too few for a radiograph; "
            f"give a film with at least {MIN_SIDE} pixels a side."
        )
    if rows * columns > MAX_PIXELS:
        raise UnsupportedPixelsError(
            f"{source}: {columns} x {rows} pixels are more than the {MAX_PIXELS // 1_000_000} million "
            "that are read; reduce the film's matrix first."
        )


class Projection(StrEnum):
    """How the beam crossed the patient. ``FRONTAL`` is a frontal film whose direction is not known."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "FRONTAL"
    LATERAL = "LATERAL"
    UNKNOWN = "UNKNOWN"

    @property
    def is_lateral(self) -> bool:
        return self is Projection.LATERAL


@dataclass(frozen=True, slots=True)
class GreyScale:
    """The scale on which the source stored its greys: radiograph value 0 is ``black`` there, 1 is ``white``.

    Derived images (bone-subtracted, bone-suppressed, residual) are written back on this scale, so that they
    subtract from the source film value by value. An 8-bit source is widened to 16 bits (0..65535, x 257), a
    16-bit raster keeps its own numbers, a DICOM film is the full 16-bit range of its presentation values.
    """

    black: float
    white: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.black) and np.isfinite(self.white)) or self.black == self.white:
            raise ValueError(f"black {self.black} and white {self.white} do not span a grey scale")

    def to_uint16(self, pixels: FloatImage) -> npt.NDArray[np.uint16]:
        """Radiograph values (H, W) in [0, 1] as 16-bit numbers on the source's scale."""
        values = self.black + pixels.astype(np.float64) * (self.white - self.black)
        return np.clip(np.rint(values), 0, 65535).astype(np.uint16)


FULL_16_BIT = GreyScale(0.0, 65535.0)


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One film, ready to look at.

    Attributes:
        pixels: ``float32 (H, W)`` in [0, 1]; 0 = air/black, 1 = bone/white, at source resolution, after
            Modality LUT, VOI LUT and polarity. Read-only.
        projection: PA, AP, frontal (direction unknown), lateral or unknown.
        source: the file's path as given, or the SOP instance UID of a film that came over the wire.
        spacing: (row, column) millimetres per pixel at the detector, or ``None``.
        grey_scale: where 0 and 1 lie on the source's own scale.
        preprocessing: what was done to the stored pixels, in order, one sentence each.
        warnings: what a reader should know about the film's quality, one sentence each.
        headers: the few standard attributes later steps need, by DICOM keyword in snake case
            (``patient_age``, ``study_instance_uid`` ...); empty for picture files.

    Raises:
        UnsupportedPixelsError: the picture is smaller than 32 pixels a side or has too many pixels.
        InputError: the values are not finite, are constant, or lie outside [0, 1].
    """

    pixels: FloatImage
    projection: Projection
    source: str
    spacing: tuple[float, float] | None = None
    grey_scale: GreyScale = FULL_16_BIT
    preprocessing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _validate_pixels(self.pixels, self.source)
        pixels = np.ascontiguousarray(self.pixels)
        if pixels is self.pixels:
            pixels = pixels.view()
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.pixels.shape
        return rows, columns


def _validate_pixels(pixels: FloatImage, source: str) -> None:
    if pixels.ndim != 2 or pixels.dtype != np.float32:
        raise InputError(
            f"{source}: a radiograph is float32 (H, W), not {pixels.dtype} {pixels.shape}; convert it first."
        )
    rows, columns = pixels.shape
    check_size(rows, columns, source)
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{source}: the film holds values that are not numbers; export it again.")
    if low < 0.0 or high > 1.0:
        raise InputError(
            f"{source}: values reach from {low:.3g} to {high:.3g}, outside [0, 1]; rescale them first."
        )
    if low == high:
        raise InputError(f"{source}: every pixel has the same value; there is no picture to read.")


@dataclass(frozen=True, slots=True)
class Study:
    """The films of one visit that are read together.

    Raises:
        InputError: there is no film at all, a film stands in the wrong place, or the id is not a safe folder
            name.
    """

    id: str
    frontal: Radiograph | None
    lateral: Radiograph | None = None

    def __post_init__(self) -> None:
        if not _STUDY_ID.fullmatch(self.id):
            raise InputError(
                f"study id {self.id!r} cannot name a folder; use letters, digits, '.', '_' and '-', starting "
                "with a letter or digit."
            )
        if self.frontal is None and self.lateral is None:
            raise InputError(
                f"study {self.id} has no film; give a frontal film, and its lateral if there is one."
            )

    @property
    def views(self) -> dict[str, Radiograph]:
        """``{"frontal": ..., "lateral": ...}``, only those that exist."""
        pairs = (("frontal", self.frontal), ("lateral", self.lateral))
        return {name: film for name, film in pairs if film is not None}
