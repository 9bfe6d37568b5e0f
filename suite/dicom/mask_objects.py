"""Masks as DICOM Segmentation objects."""

from __future__ import annotations

from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset

from suite.dicom import codes
from suite.dicom.provenance import MODEL, SERIAL_NUMBER, Maker
from suite.study import Mask


@dataclass(frozen=True, slots=True)
class Segment:
    """One value of a mask picture, what it means, and the stage that drew it."""

    value: int
    label: str
    category: hd.sr.CodedConcept
    meaning: hd.sr.CodedConcept


_STRUCTURE, _ALTERED = codes.ANATOMICAL_STRUCTURE, codes.MORPHOLOGICALLY_ABNORMAL

SEGMENTS: dict[str, tuple[str, tuple[Segment, ...]]] = {
    "lung_mask": (
        "lungs",
        (
            Segment(128, "Right lung, visible field", _STRUCTURE, codes.RIGHT_LUNG),
            Segment(255, "Left lung, visible field", _STRUCTURE, codes.LEFT_LUNG),
        ),
    ),
    "heart_mask": ("organs", (Segment(255, "Heart", _STRUCTURE, codes.HEART),)),
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
        content_description=f"Computed by radsuite {stage}",
        series_description="radsuite: computed masks",
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
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.meaning,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=maker.uid("segment", segment.label),
        tracking_id=segment.label,
    )
