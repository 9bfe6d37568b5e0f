"""How a data set stores its pixels, read from its header: size, samples, bits, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.dicom.attributes import integer, text
from suite.errors import UnreadableFileError, UnsupportedPixelsError
from suite.study import check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_COLOUR_MODELS = frozenset(
    {
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_PARTIAL_422",
        "YBR_PARTIAL_420",
        "YBR_RCT",
        "YBR_ICT",
        "PALETTE COLOR",
    }
)
_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels are stored, with the defaults that a sensible reader assumes for what is missing."""

    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    transfer_syntax: str
    warnings: tuple[str, ...] = ()

    @property
    def is_monochrome(self) -> bool:
        return self.photometric in _MONOCHROME


def read_layout(dataset: Dataset, source: str) -> PixelLayout:
    """The pixel layout of a data set, whose pixel data need not have been read.

    Raises:
        UnsupportedPixelsError: several frames, a size or a bit depth that is not read.
        UnreadableFileError: attributes without which pixels have no meaning are missing.
    """
    rows, columns = _size(dataset, source)
    check_size(rows, columns, source)
    frames = integer(dataset, "NumberOfFrames")
    if frames is not None and frames > 1:
        raise UnsupportedPixelsError(
            f"{source}: it holds {frames} frames and a radiograph has one; "
            "export the frame you mean as its own image."
        )
    samples = integer(dataset, "SamplesPerPixel") or 1
    photometric, notes = _photometric(dataset, samples, source)
    allocated, stored, high = _bits(dataset, source)
    return PixelLayout(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=integer(dataset, "PixelRepresentation") == 1,
        transfer_syntax=_transfer_syntax(dataset),
        warnings=notes,
    )


def _size(dataset: Dataset, source: str) -> tuple[int, int]:
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    if rows is None or columns is None:
        raise UnreadableFileError(f"{source}: the header gives no rows and columns; export the image again.")
    return rows, columns


def _photometric(dataset: Dataset, samples: int, source: str) -> tuple[str, tuple[str, ...]]:
    photometric = (text(dataset, "PhotometricInterpretation") or "").upper()
    if not photometric and samples in (1, 3):
        assumed = "MONOCHROME2" if samples == 1 else "RGB"
        return assumed, (f"PhotometricInterpretation is missing; {assumed} was assumed.",)
    fits = samples == (3 if photometric in _COLOUR_MODELS - {"PALETTE COLOR"} else 1)
    if photometric not in _MONOCHROME | _COLOUR_MODELS or not fits:
        raise UnsupportedPixelsError(
            f"{source}: {photometric or 'pixels'} with {samples} samples a pixel is not a grey picture; "
            "export it as MONOCHROME2."
        )
    return photometric, ()


def _bits(dataset: Dataset, source: str) -> tuple[int, int, int]:
    allocated = integer(dataset, "BitsAllocated")
    if allocated is None:
        raise UnreadableFileError(f"{source}: the header gives no BitsAllocated; export the image again.")
    if allocated not in (8, 16, 32):
        raise UnsupportedPixelsError(
            f"{source}: pixels of {allocated} bits are not those of a radiograph; "
            "export it with 8 or 16 bits."
        )
    stored = integer(dataset, "BitsStored")
    if stored is None or not 1 <= stored <= allocated:
        stored = allocated
    high = integer(dataset, "HighBit")
    if high is None or not stored - 1 <= high < allocated:
        high = stored - 1
    return allocated, stored, high


def _transfer_syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    declared = text(meta, "TransferSyntaxUID") if meta is not None else None
    if declared:
        return declared
    implicit, little = dataset.original_encoding
    if implicit or implicit is None:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
