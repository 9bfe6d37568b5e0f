"""Computed pictures as Secondary Captures, labelled as derived, which every PACS shows."""

from __future__ import annotations

from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from suite.dicom.provenance import MODEL, SERIAL_NUMBER, Maker

COMPANIONS = {
    "bone_subtracted": "Bone only, computed",
    "bone_suppressed": "Bone suppressed, computed",
}
"""Pictures by their name in ``report.json``, and their titles."""


def companion(name: str, picture: npt.NDArray[np.uint16], maker: Maker, instance: int) -> Dataset:
    """A computed picture (H, W) on the source grid, marked as derived from the source film.

    Args:
        name: a key of ``COMPANIONS``.
        picture: ``uint16 (H, W)``.
        maker: source and provenance.
        instance: number within the series.
    """
    item = derived_capture(picture, name, COMPANIONS[name], maker, instance=instance, series="images")
    _window(item, picture)
    return item


def derived_capture(
    picture: npt.NDArray[Any],
    name: str,
    title: str,
    maker: Maker,
    *,
    instance: int,
    series: str,
    scale: float = 1.0,
) -> Dataset:
    """A Secondary Capture that says what it was computed from, and by what.

    Args:
        picture: ``uint16 (H, W)`` or ``uint8 (H, W, 3)`` RGB.
        name: distinguishes the pictures of one reading.
        title: what the derivation and the comment say.
        maker: source and provenance.
        instance: number within the series.
        series: kind of series, a key of ``provenance.SERIES``.
        scale: pixels of the source on one pixel of the picture.
    """
    source = maker.source
    colour = picture.ndim == 3
    photometric = hd.PhotometricInterpretationValues
    capture = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=picture,
        photometric_interpretation=photometric.RGB if colour else photometric.MONOCHROME2,
        bits_allocated=8 * picture.dtype.itemsize,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        sop_instance_uid=maker.uid(name),
        instance_number=instance,
        laterality=hd.LateralityValues.L,
        patient_orientation=tuple(source.PatientOrientation),
        **maker.series(series),
    )
    capture.copy_patient_and_study_information(source)  # the constructor takes some of it only
    capture.ManufacturerModelName = MODEL
    capture.DeviceSerialNumber = SERIAL_NUMBER
    capture.SoftwareVersions = maker.version
    del capture.Laterality  # the chest has none; the constructor wants one nevertheless
    capture.BodyPartExamined = "CHEST"
    capture.ImageType = ["DERIVED", "SECONDARY", "", name.upper()[:16].rstrip("_")]
    capture.DerivationDescription = f"{title} by radsuite {maker.version}; not for diagnostic use"
    capture.ImageComments = f"{title}, not for diagnostic use"
    capture.SourceImageSequence = Sequence([reference_to(source)])
    _burned_in(capture, source)
    _lossy(capture, source)
    _spacing(capture, source, scale)
    return capture


def reference_to(source: Dataset) -> Dataset:
    """The item by which one object names another."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def _burned_in(capture: Dataset, source: Dataset) -> None:
    """What identifies the patient in the film's pixels is in those computed from it, too.

    Where the film says nothing, nothing is claimed. A label of this program names no patient.
    """
    if source.get("BurnedInAnnotation") in ("YES", "NO"):
        capture.BurnedInAnnotation = source.BurnedInAnnotation


def _lossy(capture: Dataset, source: Dataset) -> None:
    """What was computed from a film that lost something in compression says so, too (PS3.3 C.7.6.1.1.5)."""
    if source.get("LossyImageCompression") != "01":
        return
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            setattr(capture, keyword, source[keyword].value)


def _spacing(capture: Dataset, source: Dataset, scale: float) -> None:
    spacing: Any = source.get("ImagerPixelSpacing") or source.get("PixelSpacing")
    if spacing is not None and all(value > 0 for value in spacing):
        capture.PixelSpacing = [float(f"{float(value) * scale:.8g}") for value in spacing]


def _window(capture: Dataset, picture: npt.NDArray[np.uint16]) -> None:
    """Without a window a viewer shows the full 16 bits, and a layer of small differences as black."""
    low, high = (float(value) for value in np.percentile(picture[::4, ::4], (0.5, 99.5)))
    capture.WindowCenter = round((low + high) / 2, 1)
    capture.WindowWidth = max(2.0, round(high - low, 1))
