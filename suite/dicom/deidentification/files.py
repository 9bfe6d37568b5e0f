"""One DICOM file in, one without its patient out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from suite.dicom.attributes import MALFORMED, parser_silenced, text, to_uid
from suite.dicom.deidentification.datasets import Cleaning
from suite.dicom.deidentification.pixels import clean_margins
from suite.dicom.deidentification.profile import OPTIONS, Action
from suite.dicom.deidentification.pseudonyms import Pseudonyms
from suite.dicom.pixel_layout import PixelLayout, read_layout
from suite.dicom.pixels import decode, has_pixels
from suite.dicom.reading import read_dataset
from suite.errors import InputError, UnsupportedPixelsError
from suite.storage import make_folder, write_bytes

_CLEAN_PIXELS = "113101"
_PIXEL_DATA = 0x7FE00010
_UNKNOWN = "2.25.0"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file.

    Attributes:
        path: the new file, named after its new SOP instance UID.
        patient: the pseudonym.
        record: (tag, keyword) to action, every attribute met, at any depth.
        warnings: what a person should look at before handing the file on.
    """

    path: Path
    patient: str
    record: dict[tuple[str, str], Action]
    warnings: tuple[str, ...]


def deidentify_file(
    source: str | Path,
    out: Path,
    pseudonyms: Pseudonyms,
    *,
    keep: Collection[str] = (),
    clean_pixels: bool = False,
) -> Result:
    """Write ``OUT/<patient>/<study>/<instance>.dcm``.

    Args:
        source: any DICOM file.
        out: the folder.
        pseudonyms: derived from the site's secret.
        keep: options of ``profile.OPTIONS``.
        clean_pixels: blank borders and lines of letters in the margins; the file becomes uncompressed.

    Raises:
        InputError: an unknown option, or no readable DICOM file.
        UnsupportedPixelsError: margins are to be blanked and the pixels cannot be decoded, or are in colour.
        StorageError: the folder cannot be written.
    """
    for option in keep:
        if option not in OPTIONS:
            raise InputError(f"--keep {option}: is unknown; use {', '.join(OPTIONS)}.")
    dataset = read_dataset(source, str(source))
    with parser_silenced():
        cleaning = Cleaning.of(dataset, pseudonyms, keep)
        notes = _pixels(dataset, cleaning, str(source)) if clean_pixels else _burned_in(dataset)
        cleaning.clean(dataset)
        if clean_pixels and has_pixels(dataset):
            cleaning.add_method(dataset, _CLEAN_PIXELS)
            dataset.BurnedInAnnotation = "NO"
        path = _place(dataset, out, cleaning.patient)
        write_bytes(path, _encoded(dataset, str(source)))
    return Result(path, cleaning.patient, cleaning.record, notes)


def _pixels(dataset: Dataset, cleaning: Cleaning, source: str) -> tuple[str, ...]:
    """Blank the margins of a grey film; bits above its values, where old files keep overlays, go as well."""
    if not has_pixels(dataset):
        return ()
    layout = read_layout(dataset, source)
    if not layout.is_monochrome:
        raise UnsupportedPixelsError(
            f"{source}: margins are blanked on grey films only; look at it and leave out --clean-pixels."
        )
    film = np.array(decode(dataset, layout, source))
    blanked = clean_margins(film)
    _store(dataset, film, layout)
    if blanked.anything:
        cleaning.note(dataset[_PIXEL_DATA].tag, Action.BLANK)
    return tuple(f"letters at {box} were blanked" for box in blanked.boxes)


def _store(dataset: Dataset, film: npt.NDArray[Any], layout: PixelLayout) -> None:
    """Put stored values (H, W) back, uncompressed, in the byte order of the file."""
    big_endian = layout.transfer_syntax == ExplicitVRBigEndian
    if to_uid(layout.transfer_syntax).is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, layout.photometric
    dataset.BitsAllocated = 8 * film.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = layout.bits_stored, layout.bits_stored - 1
    dataset.PixelRepresentation = int(layout.signed)
    data = film.astype(film.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    kind = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.add_new(_PIXEL_DATA, kind, data + b"\0" * (len(data) % 2))


def _burned_in(dataset: Dataset) -> tuple[str, ...]:
    said = (text(dataset, "BurnedInAnnotation") or "").upper()
    if said == "YES":
        return ("the file says that text is burned into its pixels; look at it, or use --clean-pixels",)
    captured = (text(dataset, "SOPClassUID") or "").startswith("1.2.840.10008.5.1.4.1.1.7")
    if captured and said != "NO" and has_pixels(dataset):
        return (
            "a Secondary Capture may have text burned into its pixels; look at it, or use --clean-pixels",
        )
    return ()


def _place(dataset: Dataset, out: Path, patient: str) -> Path:
    study = text(dataset, "StudyInstanceUID") or "no-study"
    instance = text(dataset, "SOPInstanceUID") or "no-instance"
    return make_folder(out / patient / study) / f"{instance}.dcm"


def _encoded(dataset: Dataset, source: str) -> bytes:
    """The file's bytes under a header of our own: preamble and sender are not taken along."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        implicit = dataset.original_encoding[0]
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = to_uid(text(dataset, "SOPClassUID") or _UNKNOWN)
    dataset.file_meta.MediaStorageSOPInstanceUID = to_uid(text(dataset, "SOPInstanceUID") or _UNKNOWN)
    dataset.preamble = b"\0" * 128
    encoded = BytesIO()
    try:
        dataset.save_as(encoded, enforce_file_format=True)
    except MALFORMED as error:
        raise InputError(
            f"{source}: it cannot be written again, because one of its values has no valid form ({error}); "
            "export it again."
        ) from error
    return encoded.getvalue()
