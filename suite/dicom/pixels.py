"""Stored pixel values: every permissively licensed decoder, nothing half-decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from suite.dicom import apart
from suite.dicom.attributes import MALFORMED, integer, parser_silenced, raw, to_uid
from suite.dicom.codestream import ends_properly, picture_size
from suite.dicom.pixel_layout import PixelLayout
from suite.errors import NotARadiographError, UnreadableFileError, UnsupportedPixelsError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_PLUGINS = ("pydicom", "pyjpegls", "pylibjpeg", "pillow", "gdcm")
_PIXEL_ELEMENTS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@parser_silenced()
def decode(dataset: Dataset, layout: PixelLayout, source: str) -> npt.NDArray[Any]:
    """Stored values: integers (H, W) for monochrome, ``uint8``/``uint16`` (H, W, 3) RGB for colour.

    Raises:
        UnreadableFileError: the pixel data are absent, incomplete or corrupt.
        UnsupportedPixelsError: no installed decoder reads the compression; the message names what to install.
    """
    from pydicom.pixels.decoders.base import get_decoder

    syntax = to_uid(layout.transfer_syntax)
    decoder = _decoder(get_decoder, syntax, source)
    _complete_header(dataset, layout)
    check_pixel_data(dataset, layout, source)
    plugin = plugin_for(layout.transfer_syntax)
    try:
        if plugin == apart.DANGEROUS:
            apart.decompress(dataset, plugin)
            decoder, plugin = get_decoder(dataset.file_meta.TransferSyntaxUID), ""
        array, _ = decoder.as_array(
            dataset,
            index=0,
            raw=layout.photometric == "PALETTE COLOR" or layout.is_monochrome,
            decoding_plugin=plugin,
            **({} if plugin else {"correct_unused_bits": False}),
        )
    except (*MALFORMED, RuntimeError, MemoryError, OSError) as error:
        raise _decoding_failure(syntax, source) from error
    if layout.photometric == "PALETTE COLOR":
        return _apply_palette(array, dataset, source)
    return (
        _significant_bits(array, dataset, layout)
        if layout.is_monochrome and not syntax.is_encapsulated
        else array
    )


def plugin_for(transfer_syntax: str) -> str:
    """The decoder's plug-in to use; empty for data that need none.

    GDCM ends the whole process on some damaged streams (nobody can catch what it throws), so it decodes only
    what no other installed plug-in does, which is lossless JPEG, in a child (:mod:`suite.dicom.apart`).
    """
    from pydicom.pixels.decoders.base import get_decoder

    syntax = to_uid(transfer_syntax)
    if not syntax.is_encapsulated:
        return ""
    names = get_decoder(syntax).available_plugins
    return next((name for name in _PLUGINS if name in names), "")


def check_pixel_data(dataset: Dataset, layout: PixelLayout, source: str) -> None:
    """What can be told of pixel data without decoding them: they are all there, and of the promised size.

    Raises:
        UnreadableFileError: they are incomplete, or the compressed picture has another size.
    """
    if to_uid(layout.transfer_syntax).is_encapsulated:
        _check_codestream(dataset, layout, source)
    else:
        _check_native_length(dataset, layout, source)


def has_pixels(dataset: Dataset) -> bool:
    """Whether the data set holds pixel data of any kind."""
    return any(keyword in dataset for keyword in _PIXEL_ELEMENTS)


def _complete_header(dataset: Dataset, layout: PixelLayout) -> None:
    """Writes the layout back, so that the decoder sees the same defaults."""
    from pydicom.dataset import FileMetaDataset

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = to_uid(layout.transfer_syntax)
    header: dict[int, tuple[str, str | int]] = {
        0x00280002: ("US", layout.samples),
        0x00280004: ("CS", layout.photometric),
        0x00280008: ("IS", 1),
        0x00280010: ("US", layout.rows),
        0x00280011: ("US", layout.columns),
        0x00280100: ("US", layout.bits_allocated),
        0x00280101: ("US", layout.bits_stored),
        0x00280102: ("US", layout.high_bit),
        0x00280103: ("US", int(layout.signed)),
    }
    if layout.samples > 1 and integer(dataset, "PlanarConfiguration") not in (0, 1):
        header[0x00280006] = ("US", 0)
    for tag, (representation, value) in header.items():
        dataset.add_new(tag, representation, value)


def _decoder(get_decoder: Any, syntax: Any, source: str) -> Any:
    name = syntax.name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnsupportedPixelsError(
            f"{source}: the transfer syntax {name} is not read; export the image uncompressed "
            "(Explicit VR Little Endian)."
        ) from error
    if not decoder.is_available:
        raise UnsupportedPixelsError(
            f"{source}: no decoder for {name} is installed; run 'pip install python-gdcm pyjpegls "
            "pylibjpeg pylibjpeg-openjpeg' and try again."
        )
    return decoder


def _decoding_failure(syntax: Any, source: str) -> UnsupportedPixelsError | UnreadableFileError:
    if syntax == _JPEG_EXTENDED:
        return UnsupportedPixelsError(
            f"{source}: 12-bit {syntax.name} is decoded only by a plug-in under the GPL; run "
            "'pip install pylibjpeg-libjpeg' if that licence suits you, or export the image uncompressed."
        )
    return UnreadableFileError(
        f"{source}: its pixel data ({syntax.name}) are corrupt and could not be decoded; "
        "export the image again."
    )


def _check_native_length(dataset: Dataset, layout: PixelLayout, source: str) -> None:
    data = raw(dataset, "PixelData")
    size = len(data) if isinstance(data, bytes | bytearray) else 0
    per_pixel = 2 if layout.photometric == "YBR_FULL_422" else layout.samples
    needed = layout.rows * layout.columns * per_pixel * layout.bits_allocated // 8
    if size < needed:
        raise UnreadableFileError(
            f"{source}: it ends after {size} of {needed} bytes of pixel data; fetch or export the file again."
        )


def _check_codestream(dataset: Dataset, layout: PixelLayout, source: str) -> None:
    """The compressed frame must be whole, and of the size that the header promised."""
    from pydicom.encaps import get_frame

    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except (*MALFORMED, RuntimeError) as error:
        raise UnreadableFileError(
            f"{source}: its compressed pixel data are incomplete; fetch or export the file again."
        ) from error
    size = picture_size(frame)
    if size is not None and size != (layout.rows, layout.columns):
        raise UnreadableFileError(
            f"{source}: the header promises {layout.columns} x {layout.rows} pixels and the compressed "
            f"picture has {size[1]} x {size[0]}; export the image again."
        )
    if not ends_properly(frame):
        raise UnreadableFileError(
            f"{source}: its compressed picture breaks off before the end; fetch or export the file again."
        )


def _significant_bits(array: npt.NDArray[Any], dataset: Dataset, layout: PixelLayout) -> npt.NDArray[Any]:
    """The bits that belong to the pixel, sign-extended, without overlays or leftovers above the high bit.

    When the values need more bits than declared and no overlay is declared there, the declaration is at fault
    and the values are kept.
    """
    if layout.bits_stored == layout.bits_allocated:
        return array
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    unsigned = array.view(f"u{array.dtype.itemsize}")
    shifted = unsigned >> (layout.high_bit + 1 - layout.bits_stored)
    if not layout.signed:
        if int(shifted.max()) >> layout.bits_stored and not _has_embedded_overlay(dataset):
            return shifted
        return shifted & ((1 << layout.bits_stored) - 1)
    sign = 1 << (layout.bits_stored - 1)
    magnitude = (shifted & ((1 << layout.bits_stored) - 1)).astype(np.int64)
    return (magnitude ^ sign) - sign


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether an overlay is said to lie in an unused bit of the pixels (retired, still found)."""
    groups = (group for group in range(0x6000, 0x6020, 2) if (group, 0x0102) in dataset)
    return any(integer(dataset, (group, 0x0102)) for group in groups)


def _apply_palette(array: npt.NDArray[Any], dataset: Dataset, source: str) -> npt.NDArray[Any]:
    """RGB (H, W, 3) of a palette picture."""
    from pydicom.pixels.processing import apply_color_lut

    try:
        return np.asarray(apply_color_lut(array, dataset))
    except MALFORMED as error:
        raise NotARadiographError(
            f"{source}: its colour palette cannot be read; export the picture as MONOCHROME2."
        ) from error
