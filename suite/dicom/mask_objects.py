"""Masks as DICOM Segmentation objects."""

from __future__ import annotations

from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from suite.dicom import codes
from suite.dicom.provenance import MODEL, SERIAL_NUMBER, Maker
from suite.study import Mask


@dataclass(frozen=True, slots=True)
class Segment:
    """One value of a mask picture and what it means: category, type, and the side of a paired organ."""

    value: int
    label: str
    category: hd.sr.CodedConcept
    meaning: hd.sr.CodedConcept
    side: hd.sr.CodedConcept | None = None


_STRUCTURE, _ALTERED = codes.ANATOMICAL_STRUCTURE, codes.MORPHOLOGICALLY_ABNORMAL

SEGMENTS: dict[str, tuple[str, tuple[Segment, ...]]] = {
    "lung_mask": (
        "lungs",
        (
            Segment(128, "Right lung, visible field", _STRUCTURE, codes.LUNG, codes.RIGHT),
            Segment(255, "Left lung, visible field", _STRUCTURE, codes.LUNG, codes.LEFT),
        ),
    ),
    "heart_mask": ("organs", (Segment(255, "Heart", _STRUCTURE, codes.HEART),)),
    "clavicle_mask": (
        "organs",
        (
            Segment(128, "Right clavicle", _STRUCTURE, codes.CLAVICLE, codes.RIGHT),
            Segment(255, "Left clavicle", _STRUCTURE, codes.CLAVICLE, codes.LEFT),
        ),
    ),
    "pneumothorax_mask": ("pneumothorax", (Segment(255, "Pneumothorax", _ALTERED, codes.PNEUMOTHORAX),)),
}
"""Mask pictures by their name in ``report.json``: the stage, and what each of their values means."""


def segmentation(name: str, mask: Mask, maker: Maker, instance: int) -> Dataset | None:
    """A mask (H, W) on the source grid as a binary segmentation; ``None`` when it is empty.

    Args:
        name: a key of ``SEGMENTS``.
        mask: ``uint8 (H, W)``.
        maker: source and provenance.
        instance: number within the series.
    """
    stage, segments = SEGMENTS[name]
    present = [segment for segment in segments if (mask == segment.value).any()]
    if not present:
        return None
    labels = np.zeros(mask.shape, dtype=np.uint8)
    for number, segment in enumerate(present, start=1):
        labels[mask == segment.value] = number
    item = hd.seg.Segmentation(
        source_images=[maker.source],
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(segment, number, stage, maker) for number, segment in enumerate(present, start=1)
        ],
        sop_instance_uid=maker.uid(name),
        instance_number=instance,
        manufacturer_model_name=MODEL,
        software_versions=maker.version,
        device_serial_number=SERIAL_NUMBER,
        content_label=name.upper()[:16],
        content_description=f"Computed by radsuite {stage}, not for diagnostic use",
        **maker.series("masks"),
    )
    item.PatientOrientation = maker.source.PatientOrientation
    return item


def _description(segment: Segment, number: int, stage: str, maker: Maker) -> hd.seg.SegmentDescription:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f"radsuite {stage}",
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=maker.version,
    )
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.meaning,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=maker.uid("segment", segment.label),
        tracking_id=segment.label,
    )
    if segment.side is not None:
        kind = codes.copied(segment.meaning)  # the term itself is shared by all who use it
        kind.SegmentedPropertyTypeModifierCodeSequence = Sequence([codes.copied(segment.side)])
        description.SegmentedPropertyTypeCodeSequence = [kind]
    return description
