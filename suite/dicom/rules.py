"""Everything in the headers that decides how stored values become greys, gathered once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.dicom.attributes import integer, lookup_tables, number, numbers, raw, text
from suite.dicom.grayscale import LookupTable
from suite.dicom.kinds import FOR_PROCESSING_CLASS
from suite.dicom.pixel_layout import PixelLayout

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_VOI_FUNCTIONS = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})


@dataclass(frozen=True, slots=True)
class Window:
    """One VOI window: centre and width in modality values, and the function drawn between its ends."""

    center: float
    width: float
    function: str

    def __str__(self) -> str:
        return f"{self.function} window {self.center:g}/{self.width:g}"


@dataclass(frozen=True, slots=True)
class GreyRules:
    """The grey transformations a film asks for.

    Attributes:
        slope, intercept: of the modality rescale; 1 and 0 when there is none.
        modality_table: Modality LUT, which replaces the rescale.
        voi: VOI LUTs and windows in order of preference: tables before windows, each in the file's order.
        padding: lowest and highest stored value that is no picture, or ``None``.
        monochrome1: the lowest value is meant to be white.
        inverse_shape: Presentation LUT Shape: true for INVERSE, false for IDENTITY, ``None`` when absent.
        presentation_table: Presentation LUT, if any.
        bits_stored: of the stored values; bounds what "the whole range" means.
        for_processing: raw detector values, not meant for display.
        linear_to_exposure: pixel values are proportional to the x-ray intensity.
        warnings: what in the headers could not be used.
    """

    slope: float
    intercept: float
    modality_table: LookupTable | None
    voi: tuple[LookupTable | Window, ...]
    padding: tuple[int, int] | None
    monochrome1: bool
    inverse_shape: bool | None
    presentation_table: LookupTable | None
    bits_stored: int
    for_processing: bool
    linear_to_exposure: bool
    warnings: tuple[str, ...] = ()

    @property
    def changes_values(self) -> bool:
        """Whether modality values differ from stored values."""
        return self.modality_table is not None or self.slope != 1.0 or self.intercept != 0.0


def read_rules(dataset: Dataset, layout: PixelLayout) -> GreyRules:
    """The grey transformations of a monochrome data set; unusable attributes become warnings."""
    notes: list[str] = []
    slope, intercept = _rescale(dataset, notes)
    modality = _tables(dataset, "ModalityLUTSequence", layout.signed, notes)
    signed_output = not modality and (layout.signed or slope < 0 or intercept < 0)
    voi_tables = _tables(dataset, "VOILUTSequence", signed_output, notes)
    presentation = _tables(dataset, "PresentationLUTSequence", False, notes)
    relationship = (text(dataset, "PixelIntensityRelationship") or "").upper()
    return GreyRules(
        slope=slope,
        intercept=intercept,
        modality_table=modality[0] if modality else None,
        voi=(*voi_tables, *_windows(dataset, notes)),
        padding=_padding(dataset, layout),
        monochrome1=layout.photometric == "MONOCHROME1",
        inverse_shape=_shape(dataset, notes),
        presentation_table=presentation[0] if presentation else None,
        bits_stored=layout.bits_stored,
        for_processing=is_for_processing(dataset),
        linear_to_exposure=relationship == "LIN",
        warnings=tuple(notes),
    )


def _rescale(dataset: Dataset, notes: list[str]) -> tuple[float, float]:
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if (slope is None and raw(dataset, "RescaleSlope") is not None) or slope == 0.0:
        notes.append("Rescale Slope is zero or not a number; the rescale was left out.")
        return 1.0, 0.0
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept


def _tables(dataset: Dataset, sequence: str, signed: bool, notes: list[str]) -> list[LookupTable]:
    tables, unreadable = lookup_tables(dataset, sequence, signed_input=signed)
    if unreadable:
        notes.append(f"{unreadable} item(s) of {sequence} do not hold a readable table and were left out.")
    return tables


def _windows(dataset: Dataset, notes: list[str]) -> list[Window]:
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    function = (text(dataset, "VOILUTFunction") or "LINEAR").upper()
    if function not in _VOI_FUNCTIONS:
        notes.append(f"VOI LUT Function {function} is unknown; LINEAR was used.")
        function = "LINEAR"
    least = 1.0 if function == "LINEAR" else 0.0
    windows = []
    for center, width in zip(centers, widths, strict=False):
        if width < least or width == 0.0:
            notes.append(f"Window {center:g}/{width:g} has an impossible width and was left out.")
        else:
            windows.append(Window(center, width, function))
    return windows


def _padding(dataset: Dataset, layout: PixelLayout) -> tuple[int, int] | None:
    value = integer(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = integer(dataset, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, layout) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: int, layout: PixelLayout) -> int:
    """A padding value in the pixels' own signedness; its value representation is often the wrong one."""
    span = 1 << layout.bits_allocated
    if layout.signed and value >= span // 2:
        return value - span
    if not layout.signed and value < 0:
        return value + span
    return value


def _shape(dataset: Dataset, notes: list[str]) -> bool | None:
    shape = (text(dataset, "PresentationLUTShape") or "").upper()
    if shape in ("INVERSE", "IDENTITY"):
        return shape == "INVERSE"
    if shape and shape != "LIN OD":
        notes.append(f"Presentation LUT Shape {shape} is unknown and was left out.")
    return None


def is_for_processing(dataset: Dataset) -> bool:
    """Whether the film holds raw detector values rather than an image made for presentation."""
    intent = (text(dataset, "PresentationIntentType") or "").upper()
    return intent == "FOR PROCESSING" or text(dataset, "SOPClassUID") == FOR_PROCESSING_CLASS
