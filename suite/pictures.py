"""PNG, JPEG and TIFF films to radiographs: bone is bright, greys keep their own 16-bit numbers."""

from __future__ import annotations

import struct
import warnings as python_warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from suite.borders import find_borders
from suite.errors import UnreadableFileError, UnsupportedPixelsError
from suite.file_kinds import PICTURE_KINDS, FileKind, file_kind, read_head
from suite.grey_range import find_range
from suite.luminance import to_luminance
from suite.png import check_png
from suite.polarity import INVERTED, looks_negative
from suite.study import Projection, Radiograph, check_size

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_EXIF_ORIENTATION = 0x0112
_TIFF_BITS = 258
_PNG_DEPTH_AT = 24  # signature, length and name of IHDR, width, height
_TIFF_PHOTOMETRIC = 262
_FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    struct.error,
    zlib.error,
    MemoryError,
)
"""What Pillow raises on damaged files."""

_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})


@dataclass(frozen=True, slots=True)
class _Raster:
    """Values on the 16-bit scale, (H, W) ``uint16`` or ``float64``, how they came there, and what is odd."""

    values: npt.NDArray[Any]
    from_8_bit: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...]


def read_picture(path: str | Path, *, source: str | None = None, inverted: bool = False) -> Radiograph:
    """The film in a PNG, JPEG or TIFF file.

    Grey values keep their place on the source's 16-bit scale (8-bit values are widened by 257), recorded in
    ``grey_scale``; colour films become luminance; transparency is dropped; an orientation tag is followed.

    Args:
        path: the file.
        source: what to call it in the report and in errors; the path as given when omitted.
        inverted: white and black are exchanged in it, beyond what a TIFF says of that itself.

    Raises:
        UnreadableFileError: missing, empty, truncated or corrupt, or no picture at all.
        UnsupportedPixelsError: a size, bit depth or number of pages that is not read.
        NotARadiographError: a colour photograph.
    """
    name = source if source is not None else str(path)
    raster = _decode(Path(path), name)
    if inverted:
        raster = replace(raster, values=_exchanged(raster.values), steps=(*raster.steps, INVERTED))
    height, width = raster.values.shape
    sentence = find_borders(raster.values).describe((height, width))
    found = find_range(raster.values, from_8_bit=raster.from_8_bit)
    pixels = found.to_radiograph(raster.values)
    negative = "Were this a frontal chest film, it would be a negative (lungs brighter than the middle)."
    return Radiograph(
        pixels=pixels,
        projection=Projection.UNKNOWN,
        source=name,
        grey_scale=found.scale,
        preprocessing=(*raster.steps, found.step),
        warnings=(
            *raster.warnings,
            *((sentence,) if sentence else ()),
            *found.warnings,
            *((negative,) if looks_negative(pixels) else ()),
        ),
    )


def check_picture(path: str | Path, *, source: str | None = None) -> None:
    """Everything that can be refused without decoding: kind, size, pages, and for PNG that the file is whole.

    Raises:
        UnreadableFileError, UnsupportedPixelsError: as ``read_picture``.
    """
    with _open(Path(path), source if source is not None else str(path)):
        pass


def _decode(path: Path, source: str) -> _Raster:
    with _open(path, source) as image:
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                orientation = _orientation(image)
                stored = _stored(image, path, orientation)
                inverted = (
                    image.format == "TIFF"
                    and stored.dtype != np.uint8
                    and _tag(image, _TIFF_PHOTOMETRIC) == 0
                )
        except _FAILURES as error:
            raise UnreadableFileError(
                f"{source}: the {image.format} picture is truncated or damaged; fetch or export it again."
            ) from error
        steps, warnings = [f"{image.format}, {_depth(stored)}, {image.mode}."], []
    if stored.ndim == 3:
        stored, step, warning = to_luminance(stored, source)
        steps.append(step)
        warnings += [warning] if warning else []
    values = to_16_bit(stored, source)
    if inverted:
        values = _exchanged(values)
        steps.append("Inverted, because the file says that white is zero.")
    if orientation != 1:
        values = values if image.format == "TIFF" else upright(values, orientation)
        warnings.append(
            f"The file asks to be shown turned (orientation {orientation}); it was turned before reading."
        )
    return _Raster(np.ascontiguousarray(values), stored.dtype == np.uint8, tuple(steps), tuple(warnings))


def _exchanged(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values on the 16-bit scale with white and black exchanged, within the fewest bits that hold them."""
    return np.asarray((1 << max(int(values.max()).bit_length(), 8)) - 1 - values)


def _stored(image: ImageFile, path: Path, orientation: int) -> npt.NDArray[Any]:
    """Stored values without transparency, (H, W) or (H, W, 3), in the file's own depth."""
    # Pillow reduces deep colour to 8 bits and turns a TIFF unreliably; OpenCV turns it well.
    deep_colour = _bits(image, path) == 16 and image.mode not in _DEEP_MODES
    turned = image.format == "TIFF" and orientation != 1
    image.load()  # finds out whether the file is whole, which OpenCV does not
    if deep_colour or turned:
        return _by_opencv(path)
    if image.mode in _DEEP_MODES:
        return np.asarray(image)
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L") if image.mode == "1" else image.getchannel(0))
    return np.asarray(image.convert("RGB"))


def _by_opencv(path: Path) -> npt.NDArray[Any]:
    """Stored values without transparency, (H, W) or (H, W, 3) RGB; a TIFF is upright."""
    import cv2

    decoded = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("not decoded")
    if decoded.ndim == 2:
        return np.asarray(decoded)
    return np.asarray(decoded[..., 2::-1])


def to_16_bit(stored: npt.NDArray[Any], source: str) -> npt.NDArray[Any]:
    """Grey values (H, W) on the 16-bit scale: 8 bits widened by 257, 16 bits as they are.

    Floating values are taken as shares of white when they lie in [0, 1], as 16-bit numbers up to 65535.

    Raises:
        UnsupportedPixelsError: negative values, values above 65535, or values that are not numbers.
    """
    if stored.dtype == np.uint8:
        return stored.astype(np.uint16) * np.uint16(257)
    if stored.dtype.kind == "u" and stored.dtype.itemsize == 2:
        return stored.astype(np.uint16)
    low, high = float(stored.min()), float(stored.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnsupportedPixelsError(f"{source}: some of its values are not numbers; save it with 16 bits.")
    if low < 0 or high > 65535:
        raise UnsupportedPixelsError(
            f"{source}: its values reach from {low:.6g} to {high:.6g}, "
            "a scale on which black and white are unknown; save it with 16 bits."
        )
    if stored.dtype.kind in "iu":
        return stored.astype(np.uint16)
    return stored.astype(np.float64) * (65535.0 if high <= 1.0 else 1.0)


def upright(values: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """A picture (H, W) turned as its EXIF orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        values = values.T
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values


def _orientation(image: ImageFile) -> int:
    value = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _bits(image: ImageFile, path: Path) -> int:
    """Bits per sample as the file declares them; 8 where that cannot be told."""
    if image.format == "PNG":
        return read_head(path, str(path))[_PNG_DEPTH_AT]
    if image.format == "TIFF":
        declared = _tag(image, _TIFF_BITS)
        return max(declared) if isinstance(declared, tuple) else 8
    return 8


def _tag(image: ImageFile, number: int) -> Any:
    return image.tag_v2.get(number)  # type: ignore[attr-defined]


def _depth(stored: npt.NDArray[Any]) -> str:
    kind = "floating" if stored.dtype.kind == "f" else "integer"
    return f"{8 * stored.dtype.itemsize}-bit {kind} values"


@contextmanager
def _open(path: Path, source: str) -> Iterator[ImageFile]:
    """The picture with its header read and checked; no pixel is decoded yet."""
    kind = file_kind(read_head(path, source))
    if kind not in PICTURE_KINDS:
        raise UnreadableFileError(
            f"{source}: this is not a PNG, JPEG or TIFF file; give one, or a DICOM film."
        )
    if kind is FileKind.PNG:
        check_png(path, source)
    with path.open("rb") as file:
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                image = _plugin(kind)(file)
                pages = getattr(image, "n_frames", 1)
        except _FAILURES as error:
            raise UnreadableFileError(
                f"{source}: the {kind} picture is damaged, or of a form that is not read; "
                "save it again as grey PNG."
            ) from error
        check_size(image.height, image.width, source)
        if pages > 1:
            raise UnsupportedPixelsError(
                f"{source}: it holds {pages} pictures; save the one film as its own file."
            )
        yield image


def _plugin(kind: FileKind) -> type[ImageFile]:
    """Pillow's reader for a kind; Image.open would answer a large header with a limit of its own."""
    from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin

    plugins: dict[FileKind, type[ImageFile]] = {
        FileKind.PNG: PngImagePlugin.PngImageFile,
        FileKind.JPEG: JpegImagePlugin.JpegImageFile,
        FileKind.TIFF: TiffImagePlugin.TiffImageFile,
    }
    return plugins[kind]
