"""Millimetres per pixel: at the detector where the file says so, otherwise whatever plane it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.dicom.attributes import numbers, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SOURCES = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
_SMALLEST_MM, _LARGEST_MM = 0.01, 5.0
_EQUAL = 0.01


@dataclass(frozen=True, slots=True)
class Spacing:
    """(row, column) millimetres or ``None``, the sentence that says where they come from, and warnings."""

    millimetres: tuple[float, float] | None
    origin: str
    warnings: tuple[str, ...] = ()


def find_spacing(dataset: Dataset) -> Spacing:
    """Imager Pixel Spacing before Pixel Spacing before Nominal Scanned Pixel Spacing (PS3.3 10.7).

    Values that no radiograph has (below 0.01 or above 5 mm) count as absent.
    """
    warnings: list[str] = []
    found: dict[str, tuple[float, float]] = {}
    for keyword in _SOURCES:
        values = numbers(dataset, keyword)
        if len(values) == 2 and all(_SMALLEST_MM <= value <= _LARGEST_MM for value in values):
            found[keyword] = (values[0], values[1])
        elif text(dataset, keyword) is not None:
            warnings.append(f"{keyword} {text(dataset, keyword)} is not a possible spacing and was left out.")
    if not found:
        return Spacing(None, "No pixel spacing is given; distances are in pixels.", tuple(warnings))
    keyword, millimetres = next(iter(found.items()))
    warnings += _differences(dataset, found)
    if abs(millimetres[0] - millimetres[1]) > _EQUAL * max(millimetres):
        warnings.append(f"Pixels are not square: {millimetres[0]:g} by {millimetres[1]:g} mm.")
    return Spacing(millimetres, _origin(keyword, millimetres), tuple(warnings))


def _differences(dataset: Dataset, found: dict[str, tuple[float, float]]) -> list[str]:
    imager, pixel = found.get("ImagerPixelSpacing"), found.get("PixelSpacing")
    if imager is None or pixel is None or abs(imager[0] - pixel[0]) <= _EQUAL * imager[0]:
        return []
    kind = text(dataset, "PixelSpacingCalibrationType")
    reason = f" (calibration {kind})" if kind else ""
    return [f"Pixel Spacing {pixel[0]:g} mm differs from that at the detector, {imager[0]:g} mm{reason}."]


def _origin(keyword: str, millimetres: tuple[float, float]) -> str:
    size = f"{millimetres[0]:g} by {millimetres[1]:g} mm"
    if keyword == "ImagerPixelSpacing":
        return f"Spacing {size} at the detector, from Imager Pixel Spacing."
    if keyword == "PixelSpacing":
        return f"Spacing {size} from Pixel Spacing, taken as at the detector."
    return f"Spacing {size} on the scanned film, from Nominal Scanned Pixel Spacing."
