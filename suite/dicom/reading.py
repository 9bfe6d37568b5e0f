"""One DICOM file to one radiograph."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from suite.dicom.age import find_age
from suite.dicom.attributes import MALFORMED, parser_silenced, text, to_uid
from suite.dicom.kinds import CAPTURE_CLASSES, PROJECTION_CLASSES, check_is_radiograph, describe_kind
from suite.dicom.pixel_layout import PixelLayout, read_layout
from suite.dicom.pixels import decode, has_pixels
from suite.dicom.rendering import Rendering, render
from suite.dicom.rules import GreyRules, read_rules
from suite.dicom.spacing import find_spacing
from suite.dicom.views import View, find_view
from suite.errors import NotARadiographError, UnreadableFileError, UnsupportedPixelsError
from suite.file_kinds import FileKind, file_kind, read_head
from suite.luminance import to_luminance
from suite.polarity import looks_negative
from suite.study import MAX_PIXELS, Projection, Radiograph

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KEPT_HEADERS = {
    "PatientAge": "patient_age",
    "PatientSex": "patient_sex",
    "ViewPosition": "view_position",
    "PatientOrientation": "patient_orientation",
    "BodyPartExamined": "body_part_examined",
    "Modality": "modality",
    "Manufacturer": "manufacturer",
    "StudyDate": "study_date",
    "StudyInstanceUID": "study_instance_uid",
    "SeriesInstanceUID": "series_instance_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "SOPClassUID": "sop_class_uid",
}
"""Attributes a radiograph carries along; never a name, a patient id, a birth date or an accession number."""

MAX_FILE_BYTES = 8 * MAX_PIXELS
"""Largest file read: the largest film in 32 bits, and as much again for everything else in it."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_CHUNK = 1 << 20
_CHEST = frozenset({"CHEST", "THORAX"})
_MAYBE_FRONTAL = frozenset({Projection.PA, Projection.AP, Projection.FRONTAL, Projection.UNKNOWN})


def read_radiograph(path: str | Path, *, source: str | None = None) -> Radiograph:
    """The film in a DICOM file, in display values.

    Args:
        path: the file.
        source: what to call it in the report and in errors; the path as given when omitted.

    Raises:
        UnreadableFileError: missing, empty, truncated or corrupt.
        UnsupportedPixelsError: frames, size, bit depth or compression that is not read.
        NotARadiographError: another kind of DICOM object, or a colour picture.
    """
    name = source if source is not None else str(path)
    dataset = read_dataset(path, name)
    notes = check_is_radiograph(dataset, name)
    layout = read_layout(dataset, name)
    if not has_pixels(dataset):
        raise _without_pixels(name)
    stored, rules, colour_steps, colour_warnings = _grey(dataset, layout, name)
    rendering = render(stored, rules)
    view, spacing = find_view(dataset), find_spacing(dataset)
    if looks_negative(rendering.pixels) and view.projection in _MAYBE_FRONTAL:
        rendering = _judge_negative(rendering, dataset, layout, view)
    return Radiograph(
        pixels=rendering.pixels,
        projection=view.projection,
        source=name,
        spacing=spacing.millimetres,
        preprocessing=(
            _decoded(layout),
            *colour_steps,
            *rendering.steps,
            spacing.origin,
            f"View: {view.evidence}.",
        ),
        warnings=(
            *notes,
            *layout.warnings,
            *colour_warnings,
            *_quality(dataset, rules),
            *rendering.warnings,
            *view.warnings,
            *spacing.warnings,
        ),
        headers=kept_headers(dataset),
    )


def _grey(
    dataset: Dataset, layout: PixelLayout, source: str
) -> tuple[npt.NDArray[Any], GreyRules, tuple[str, ...], tuple[str, ...]]:
    """Stored grey values (H, W), the rules for them, and steps and warnings where they were coloured."""
    stored = decode(dataset, layout, source)
    if layout.is_monochrome:
        return stored, read_rules(dataset, layout), (), ()
    stored, step, warning = to_luminance(stored, source)
    return stored, _plain_rules(8 * stored.dtype.itemsize), (step,), (warning,) if warning else ()


def read_header(path: str | Path, *, source: str | None = None) -> Dataset:
    """The data set without its pixels, after every check that needs no pixels.

    Raises:
        UnreadableFileError, UnsupportedPixelsError, NotARadiographError: as ``read_radiograph``.
    """
    name = source if source is not None else str(path)
    dataset = read_dataset(path, name, pixels=False)
    check_is_radiograph(dataset, name)
    read_layout(dataset, name)
    return dataset


def kept_headers(dataset: Dataset) -> dict[str, str]:
    """The attributes in ``KEPT_HEADERS`` that the data set has, by keyword in snake case."""
    found = {name: text(dataset, keyword) for keyword, name in KEPT_HEADERS.items()}
    found["patient_age"] = find_age(dataset)
    return {name: value for name, value in found.items() if value is not None}


def read_dataset(path: str | Path, source: str, *, pixels: bool = True) -> Dataset:
    """The parsed data set, with or without pixel data.

    Raises:
        UnreadableFileError: missing, empty, truncated, or not DICOM at all.
        UnsupportedPixelsError: the file, or what it inflates to, is larger than any film.
    """
    from pydicom import dcmread

    _check_file(Path(path), source)
    try:
        with parser_silenced():
            dataset = dcmread(path, stop_before_pixels=not pixels, force=True)
    except (*MALFORMED, RuntimeError, MemoryError, RecursionError, zlib.error) as error:
        raise UnreadableFileError(
            f"{source}: the DICOM file is truncated or damaged; fetch or export it again."
        ) from error
    except OSError as error:
        raise UnreadableFileError(
            f"{source}: cannot be read ({error.strerror or error}); check the file."
        ) from error
    _check_content(dataset, source)
    return dataset


def _check_file(path: Path, source: str) -> None:
    """Existence, size and signature, and a bound on what a deflated data set inflates to."""
    head = read_head(path, source)
    if file_kind(head) is not FileKind.DICOM:
        raise UnreadableFileError(f"{source}: this is not a DICOM file; check that it is the file you meant.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UnsupportedPixelsError(
            f"{source}: {path.stat().st_size / 1e6:.0f} MB are more than the {MAX_FILE_BYTES / 1e6:.0f} MB "
            "that are read; export the single film."
        )
    if _DEFLATED.encode() in head and _inflates_beyond(path, MAX_FILE_BYTES):
        raise UnsupportedPixelsError(
            f"{source}: it inflates to more than {MAX_FILE_BYTES / 1e6:.0f} MB; export the film uncompressed."
        )


def _inflates_beyond(path: Path, limit: int) -> bool:
    """Whether the deflated part of a file holds more than ``limit`` bytes; false for other data."""
    total = 0
    try:
        for piece in _inflated(path):
            total += len(piece)
            if total > limit:
                return True
    except zlib.error:
        return False
    return False


def _inflated(path: Path) -> Iterator[bytes]:
    """What the deflated part of a file holds, in pieces of at most ``_CHUNK`` bytes.

    Raises:
        zlib.error: it is not deflated.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        # Preamble (128), DICM (4), then (0002,0000) UL: its four bytes are the length of the rest of group 2.
        file.seek(140)
        file.seek(int.from_bytes(file.read(4), "little"), 1)
        while chunk := file.read(_CHUNK):
            while chunk and not inflater.eof:
                yield inflater.decompress(chunk, _CHUNK)
                chunk = inflater.unconsumed_tail


def _check_content(dataset: Dataset, source: str) -> None:
    """A forced parse of something that is not DICOM yields a few meaningless elements."""
    if "SOPClassUID" in dataset or "Modality" in dataset or "Rows" in dataset or has_pixels(dataset):
        return
    meta = getattr(dataset, "file_meta", None)
    sop_class = (text(meta, "MediaStorageSOPClassUID") if meta is not None else None) or ""
    if sop_class and sop_class not in PROJECTION_CLASSES and sop_class not in CAPTURE_CLASSES:
        kind = describe_kind(sop_class, "")
        raise NotARadiographError(
            f"{source}: this is {kind} without an image; give the CR or DX image of the study."
        )
    raise UnreadableFileError(
        f"{source}: the DICOM file is truncated or holds no image; fetch or export it again."
    )


def _without_pixels(source: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{source}: it has the header of a film and no pixel data, or breaks off before them; "
        "fetch or export the file again."
    )


def _decoded(layout: PixelLayout) -> str:
    sign = "signed" if layout.signed else "unsigned"
    return (
        f"DICOM {layout.photometric}, {layout.bits_stored} bits stored, {sign}, "
        f"{to_uid(layout.transfer_syntax).name}."
    )


def _quality(dataset: Dataset, rules: GreyRules) -> list[str]:
    """What the headers say about the film's fitness for reading."""
    found = []
    if rules.for_processing:
        found.append("These are raw detector values (FOR PROCESSING), not the image made for presentation.")
    if text(dataset, "LossyImageCompression") == "01":
        ratio = text(dataset, "LossyImageCompressionRatio")
        found.append("The film was compressed with loss" + (f" ({ratio}:1)." if ratio else "."))
    if (text(dataset, "BurnedInAnnotation") or "").upper() == "YES":
        found.append("The file says that text is burned into the picture.")
    return found


def _judge_negative(rendering: Rendering, dataset: Dataset, layout: PixelLayout, view: View) -> Rendering:
    """A film that looks like a negative is reported; where its header is known to lie, it is turned as well.

    Converters from PNG and JPEG to Secondary Capture write MONOCHROME1 on pictures whose bone is bright.
    There, and only for a frontal chest film of 8 bits, the picture is believed; elsewhere the header is.
    """
    converted = (
        text(dataset, "SOPClassUID") in CAPTURE_CLASSES
        and layout.photometric == "MONOCHROME1"
        and layout.bits_stored == 8
        and (text(dataset, "BodyPartExamined") or "").upper() in _CHEST
        and view.projection is not Projection.UNKNOWN
    )
    if not converted:
        warning = "Were this a frontal chest film, it would be a negative (lungs brighter than the middle)."
        return replace(rendering, warnings=(*rendering.warnings, warning))
    return Rendering(
        1.0 - rendering.pixels,
        (*rendering.steps, "Inverted back, because the picture contradicts MONOCHROME1."),
        (
            *rendering.warnings,
            "The header says MONOCHROME1 and the picture would then be a negative; "
            "it was read with bone bright.",
        ),
    )


def _plain_rules(bits: int) -> GreyRules:
    """A colour picture has no grey transformations: its luminance is what was displayed."""
    return GreyRules(
        slope=1.0,
        intercept=0.0,
        modality_table=None,
        voi=(),
        padding=None,
        monochrome1=False,
        inverse_shape=None,
        presentation_table=None,
        bits_stored=bits,
        for_processing=False,
        linear_to_exposure=False,
    )
