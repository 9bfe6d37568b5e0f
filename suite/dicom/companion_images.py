"""Computed pictures as Secondary Captures, labelled as derived, which every PACS shows."""

from __future__ import annotations

from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from suite.dicom.provenance import Maker

COMPANIONS = {
    "bone_subtracted": "Bone only, computed",
    "bone_suppressed": "Bone suppressed, computed",
}
"""Pictures by their name in ``report.json``, and what their series says."""


def companion(name: str, picture: npt.NDArray[np.uint16], maker: Maker, instance: int) -> Dataset:
    """A computed picture (H, W) on the source grid, marked as derived from the source film.

    Args:
        name: a key of ``COMPANIONS``.
        picture: ``uint16 (H, W)``.
        maker: source and provenance.
        instance: number within the series.
    """
    source = maker.source
    capture = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=picture,
        photometric_interpretation=hd.PhotometricInterpretationValues.MONOCHROME2,
        bits_allocated=16,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        sop_instance_uid=maker.uid(name),
        instance_number=instance,
        laterality=hd.LateralityValues.L,
        patient_orientation=tuple(source.PatientOrientation),
        series_description=f"radsuite: {COMPANIONS[name]}, not for primary diagnosis",
        **maker.series("images"),
    )
    del capture.Laterality  # the chest has none; the constructor wants one nevertheless
    capture.BodyPartExamined = "CHEST"
    capture.ImageType = ["DERIVED", "SECONDARY", "", name.upper()[:16]]
    capture.DerivationDescription = f"{COMPANIONS[name]} by radsuite {maker.version}"
    capture.SourceImageSequence = Sequence([_reference(source)])
    capture.BurnedInAnnotation = "NO"
    _spacing(capture, source)
    return capture


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def _spacing(capture: Dataset, source: Dataset) -> None:
    spacing: Any = source.get("ImagerPixelSpacing") or source.get("PixelSpacing")
    if spacing is not None and all(value > 0 for value in spacing):
        capture.PixelSpacing = list(spacing)
