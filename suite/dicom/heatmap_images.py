"""Where the evidence for a suggestion lies, as a colour picture that every PACS shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from suite.dicom.companion_images import derived_capture
from suite.dicom.provenance import Maker

LONGEST_SIDE = 1024
"""A heatmap has a few hundred cells; at the film's size its picture would be as large as three films."""

OPACITY = 0.45
"""Share of the colour where the evidence is strongest; none where there is none."""


def heatmap_overlay(
    finding: Mapping[str, Any],
    film: npt.NDArray[np.uint16],
    heatmap: npt.NDArray[np.uint8],
    maker: Maker,
    instance: int,
    *,
    label: bool,
) -> Dataset:
    """One finding's evidence in colour over the film, as a Secondary Capture.

    Args:
        finding: its entry in ``report.json``.
        film: ``uint16 (H, W)``, as displayed: 65535 is white.
        heatmap: ``uint8 (H, W)`` on the same grid; 255 is the strongest evidence.
        maker: source and provenance.
        instance: number within the series.
        label: write finding, probability and "computed" into the picture.
    """
    picture, scale = _reduced(film, heatmap)
    if label:
        _write_label(picture, finding)
    name = f"heatmap_{finding['code']}"
    title = f"Heatmap {finding['name']}, computed"
    return derived_capture(picture, name, title, maker, instance=instance, series="heatmaps", scale=scale)


def _reduced(
    film: npt.NDArray[np.uint16], heatmap: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], float]:
    """The blended picture (h, w, 3) RGB, and how many film pixels one of its pixels spans."""
    rows, columns = film.shape
    scale = max(1.0, max(rows, columns) / LONGEST_SIDE)
    size = (round(columns / scale), round(rows / scale))
    grey = cv2.resize(film, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 65535.0
    heat = cv2.resize(heatmap, size, interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = (OPACITY / 255.0 * heat.astype(np.float32))[..., None]
    blended = (1.0 - weight) * grey[..., None] * 255.0 + weight * colours
    return np.ascontiguousarray(np.rint(blended).astype(np.uint8)), scale


def _write_label(picture: npt.NDArray[np.uint8], finding: Mapping[str, Any]) -> None:
    """Two lines at the lower left, on black; they name the finding, never the patient."""
    probability = finding.get("probability")
    number = "" if probability is None else f", probability {probability:.2f}"
    lines = (f"{finding['name']}{number}", "Computed by radsuite, not for diagnostic use")
    rows, columns = picture.shape[:2]
    size = max(0.25, columns / 1400)
    height = round(32 * size)
    picture[max(0, rows - 2 * height - 6) :] //= 3
    for number_of_line, line in enumerate(lines):
        place = (6, rows - 8 - height * (len(lines) - 1 - number_of_line))
        cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
