"""Heatmaps as numbers: a Parametric Map that research viewers colour and threshold themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import cv2
import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from suite.dicom import codes
from suite.dicom.provenance import MODEL, SERIAL_NUMBER, Maker
from suite.dicom.spacing import find_spacing

LONGEST_SIDE = 256
"""The networks' maps are coarser than that."""

_FRONTAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""Rows run to the patient's left, columns to the feet: the plane of the detector, wherever it stood."""


def parametric_map(
    finding: Mapping[str, Any], heatmap: npt.NDArray[np.uint8], maker: Maker, instance: int
) -> Dataset | None:
    """One finding's class activation as ``float32`` in [0, 1]; 1 is the strongest evidence on this film.

    ``None`` where the film's spacing is not known: the object cannot be written without one.

    Args:
        finding: its entry in ``report.json``.
        heatmap: ``uint8 (H, W)`` on the grid of the source.
        maker: source and provenance.
        instance: number within the series.
    """
    spacing = find_spacing(maker.source).millimetres
    if spacing is None:
        return None
    rows, columns = heatmap.shape
    scale = max(1.0, max(rows, columns) / LONGEST_SIDE)
    size = (round(columns / scale), round(rows / scale))
    patient = hd.CoordinateSystemNames.PATIENT
    item = hd.pm.ParametricMap(
        source_images=[_on_a_plane(maker)],
        pixel_array=cv2.resize(heatmap, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0,
        sop_instance_uid=maker.uid(f"map_{finding['code']}"),
        instance_number=instance,
        manufacturer_model_name=MODEL,
        software_versions=maker.version,
        device_serial_number=SERIAL_NUMBER,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_meaning(finding)],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="HEATMAP",
        content_description=f"Class activation of {finding['name']}, computed",
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=(spacing[0] * rows / size[1], spacing[1] * columns / size[0]), slice_thickness=1.0
        ),
        plane_orientation=hd.PlaneOrientationSequence(patient, _FRONTAL),
        plane_positions=[hd.PlanePositionSequence(patient, (0.0, 0.0, 0.0))],
        derived_pixel_contrast=hd.pm.DerivedPixelContrastValues.QUANTITY,
        **maker.series("maps"),
    )
    item.BodyPartExamined = "CHEST"
    return item


def _meaning(finding: Mapping[str, Any]) -> Any:
    return hd.pm.RealWorldValueMapping(
        lut_label="ACTIVATION",
        lut_explanation=f"Class activation of {finding['name']}"[:64],
        unit=codes.NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.CLASS_ACTIVATION,
    )


def _on_a_plane(maker: Maker) -> Dataset:
    """The source with a plane of its own: a projection has none, the object needs one."""
    source = copy.copy(maker.source)
    source.FrameOfReferenceUID = maker.uid("plane")
    source.ImagePositionPatient = [0.0, 0.0, 0.0]
    source.ImageOrientationPatient = list(_FRONTAL)
    source.PixelSpacing = list(find_spacing(source).millimetres or ())
    source.SliceThickness = 1.0
    return source
