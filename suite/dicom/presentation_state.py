"""Contours over the film as a Grayscale Softcopy Presentation State, which a viewer can switch off."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from suite.dicom.attributes import number, numbers, text
from suite.dicom.provenance import MODEL, SERIAL_NUMBER, Maker
from suite.report.regions import LEVEL

_MOST_POINTS = 400
"""A contour is simplified below this; some viewers stop drawing at a few thousand."""

_SMALLEST_SHARE = 2e-4
"""Pieces below this share of the film are left out."""

_LINEAR_WINDOWS = ("", "LINEAR", "LINEAR_EXACT", "SIGMOID")


def presentation_state(
    report: Mapping[str, Any], images: Mapping[str, npt.NDArray[Any]], maker: Maker
) -> Dataset | None:
    """Lung outlines, and for each suggested finding the line around its evidence, in two layers.

    The film's own windows are kept. ``None`` where there is nothing to draw, or the film is in colour.

    Args:
        report: ``report.json`` as a mapping.
        images: pictures by their name; ``lung_mask`` and ``heatmap_CODE_frontal`` are drawn.
        maker: source and provenance.
    """
    source = _with_sound_windows(maker.source)
    if not (text(source, "PhotometricInterpretation") or "MONOCHROME2").startswith("MONOCHROME"):
        return None
    lungs = hd.pr.GraphicLayer("LUNGS", 1, description="Lung outlines, computed")
    findings = hd.pr.GraphicLayer("FINDINGS", 2, description="Evidence for suggested findings, computed")
    drawn = [
        hd.pr.GraphicAnnotation([source], layer, graphic_objects=lines, text_objects=words or None)
        for layer, lines, words in (
            (lungs, list(_lungs(images)), []),
            (findings, *_findings(report, images)),
        )
        if lines
    ]
    if not drawn:
        return None
    inverse = text(source, "PhotometricInterpretation") == "MONOCHROME1"
    shapes = hd.PresentationLUTShapeValues
    item = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source],
        sop_instance_uid=maker.uid("presentation"),
        instance_number=1,
        manufacturer_model_name=MODEL,
        software_versions=maker.version,
        device_serial_number=SERIAL_NUMBER,
        content_label="CONTOURS",
        content_description=f"Computed by radsuite {maker.version}, not for diagnostic use",
        graphic_annotations=drawn,
        graphic_layers=[layer for layer in (lungs, findings) if _uses(drawn, layer)],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape=shapes.INVERSE if inverse else shapes.IDENTITY
        ),
        **maker.series("presentation"),
    )
    item.BodyPartExamined = "CHEST"  # without it, an unpaired body part, validators ask for a laterality
    return item


def _uses(drawn: list[Any], layer: Any) -> bool:
    return any(annotation.GraphicLayer == layer.GraphicLayer for annotation in drawn)


def _lungs(images: Mapping[str, npt.NDArray[Any]]) -> Iterator[Any]:
    mask = images.get("lung_mask")
    if mask is None:
        return
    for value in (128, 255):
        for outline in contours(mask == value):
            yield _polyline(outline)


def _findings(
    report: Mapping[str, Any], images: Mapping[str, npt.NDArray[Any]]
) -> tuple[list[Any], list[Any]]:
    lines, words = [], []
    for finding in report.get("findings") or ():
        heatmap = images.get(f"heatmap_{finding['code']}_frontal")
        if finding["state"] != "suggested" or heatmap is None or not heatmap.any():
            continue
        outlines = contours(heatmap > LEVEL * heatmap.max())
        lines += [_polyline(outline) for outline in outlines]
        words += [_name(finding, outline) for outline in outlines[:1]]
    return lines, words


def contours(inside: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Closed outlines (n, 2) of the pieces of a mask (H, W), the largest first, as (x, y) film coordinates.

    Coordinates count from the outer corner of the first pixel, whose centre is (0.5, 0.5).
    """
    found, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smallest = _SMALLEST_SHARE * inside.size
    pieces = sorted((piece for piece in found if cv2.contourArea(piece) > smallest), key=cv2.contourArea)
    return [_closed(_simplified(piece)) for piece in reversed(pieces)]


def _simplified(piece: npt.NDArray[Any]) -> npt.NDArray[Any]:
    tolerance = 0.5
    while True:
        line = cv2.approxPolyDP(piece, tolerance, closed=True)
        if len(line) <= _MOST_POINTS:
            return np.asarray(line).reshape(-1, 2)
        tolerance *= 1.5


def _closed(points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.concatenate([points, points[:1]]).astype(np.float64) + 0.5


def _polyline(outline: npt.NDArray[np.float64]) -> Any:
    return hd.pr.GraphicObject(
        graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
        graphic_data=outline,
        units=hd.pr.AnnotationUnitsValues.PIXEL,
    )


def _name(finding: Mapping[str, Any], outline: npt.NDArray[np.float64]) -> Any:
    """The finding's name, anchored at the top of its largest outline."""
    top = outline[outline[:, 1].argmin()]
    probability = finding.get("probability")
    words = finding["name"] if probability is None else f"{finding['name']} {probability:.2f}"
    return hd.pr.TextObject(
        words,
        units=hd.pr.AnnotationUnitsValues.PIXEL,
        anchor_point=(float(top[0]), float(top[1])),
        anchor_point_visible=False,
    )


def _with_sound_windows(source: Dataset) -> Dataset:
    """The source without a window or rescaling that no viewer could apply."""
    film = copy.copy(source)
    centres, widths = numbers(film, "WindowCenter"), numbers(film, "WindowWidth")
    function = text(film, "VOILUTFunction") or ""
    least = 1.0 if function in ("", "LINEAR") else 0.0
    sound = len(centres) == len(widths) > 0 and all(width > least for width in widths)
    if not sound or function not in _LINEAR_WINDOWS:
        for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"):
            film.pop(keyword, None)
    if sound or not film.get("VOILUTSequence"):
        film.pop("VOILUTSequence", None)
    if not number(film, "RescaleSlope") or number(film, "RescaleIntercept") is None:
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            film.pop(keyword, None)
    return film
