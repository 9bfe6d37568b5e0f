"""Stored values to display values: the standard's order, and what is done when the headers make no sense.

Modality LUT or rescale, VOI LUT or window, Presentation LUT, then polarity. All of it happens on the table of
distinct stored values, so a film of 20 million pixels costs one lookup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.borders import find_borders
from suite.dicom import grayscale
from suite.dicom.grayscale import LookupTable, Values
from suite.dicom.rules import GreyRules, Window
from suite.study import FloatImage

LEAST_SPREAD = 0.3
"""A window or VOI LUT is unusable when 98 % of the film would share less than this part of the grey scale."""

MOST_SATURATED = 0.9
"""A window or VOI LUT is unusable when more than this share of the film would be plain black or white."""

TAILS = 0.001
"""Share of pixels left outside at each end when the range of the values themselves is displayed."""

FEW_LEVELS = 0.25
"""A film using less than this part of its stored range is reported."""

_LARGEST_TABLE = 1 << 17


@dataclass(frozen=True, slots=True)
class Rendering:
    """Display values (H, W) in [0, 1], how they came about, and what a reader should know."""

    pixels: FloatImage
    steps: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Notes:
    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def render(stored: npt.NDArray[Any], rules: GreyRules) -> Rendering:
    """Display values of a monochrome film.

    Args:
        stored: integers (H, W), after sign extension.
        rules: the transformations its headers ask for.
    """
    notes = _Notes(warnings=list(rules.warnings))
    levels, index = _levels(stored)
    counts = _count(stored, index, levels.size, notes)
    padding = _padding(levels, counts, rules, notes)
    picture = np.where(padding, 0, counts)
    values = _modality(levels, rules, notes)
    display = _voi(values, picture, rules, notes)
    display = _polarity(_presentation(display, rules, notes), rules, notes)
    display[padding] = 0.0
    shades = display.astype(np.float32)
    return Rendering(shades[index], tuple(notes.steps), tuple(notes.warnings))


def _levels(stored: npt.NDArray[Any]) -> tuple[Values, npt.NDArray[Any]]:
    """Distinct stored values (n,) and, for every pixel, the place of its value among them (H, W)."""
    low, high = int(stored.min()), int(stored.max())
    if high - low < _LARGEST_TABLE:
        return np.arange(low, high + 1, dtype=np.float64), stored.astype(np.int32) - low
    levels, index = np.unique(stored, return_inverse=True)
    return levels.astype(np.float64), index.reshape(stored.shape)


def _count(
    stored: npt.NDArray[Any], index: npt.NDArray[Any], size: int, notes: _Notes
) -> npt.NDArray[np.int64]:
    """Pixels of each level inside the constant borders."""
    borders = find_borders(stored)
    sentence = borders.describe((stored.shape[0], stored.shape[1]))
    if sentence:
        notes.warnings.append(sentence)
    inside = index[borders.interior((stored.shape[0], stored.shape[1]))]
    return np.bincount(inside.ravel(), minlength=size).astype(np.int64)


def _padding(
    levels: Values, counts: npt.NDArray[np.int64], rules: GreyRules, notes: _Notes
) -> npt.NDArray[np.bool_]:
    """Which levels are padding; none when nothing would remain of the film."""
    if rules.padding is None:
        return np.zeros(levels.shape, dtype=np.bool_)
    low, high = rules.padding
    mask = (levels >= low) & (levels <= high)
    if not counts[~mask].any():
        notes.warnings.append("Pixel Padding Value covers the whole film and was left out.")
        return np.zeros_like(mask)
    if mask.any():
        span = f"{low}" if low == high else f"{low} to {high}"
        notes.steps.append(f"Padding pixels ({span}) were set to black and left out of the grey statistics.")
    return mask


def _modality(levels: Values, rules: GreyRules, notes: _Notes) -> Values:
    if rules.modality_table is not None:
        notes.steps.append("Modality LUT applied.")
        return rules.modality_table(levels)
    if rules.changes_values:
        notes.steps.append(f"Rescaled with slope {rules.slope:g} and intercept {rules.intercept:g}.")
    return grayscale.rescale(levels, rules.slope, rules.intercept)


def _voi(values: Values, counts: npt.NDArray[np.int64], rules: GreyRules, notes: _Notes) -> Values:
    """The first usable VOI LUT or window; without one, the range of the values."""
    for choice in rules.voi:
        display = _apply_voi(values, choice)
        reason = _objection(display, counts)
        if reason is None:
            notes.steps.append(_name(choice) + " applied.")
            if isinstance(choice, LookupTable) and choice.bits_are_wrong:
                notes.warnings.append(
                    f"The VOI LUT declares {choice.bits} bits and its entries need another number; "
                    f"{choice.output_maximum} was taken as white."
                )
            return display
        notes.warnings.append(f"{_name(choice)} does not fit the film ({reason}) and was left out.")
    return _range(values, counts, rules, notes)


def _apply_voi(values: Values, choice: LookupTable | Window) -> Values:
    if isinstance(choice, LookupTable):
        return grayscale.voi_lut(values, choice)
    functions = {
        "LINEAR": grayscale.window_linear,
        "LINEAR_EXACT": grayscale.window_linear_exact,
        "SIGMOID": grayscale.window_sigmoid,
    }
    return functions[choice.function](values, choice.center, choice.width)


def _objection(display: Values, counts: npt.NDArray[np.int64]) -> str | None:
    """Why a display is not usable, or ``None``."""
    low = grayscale.weighted_percentile(display, counts, 0.01)
    high = grayscale.weighted_percentile(display, counts, 0.99)
    if high - low < LEAST_SPREAD:
        return f"the film would use {high - low:.0%} of the grey scale"
    saturated = counts[(display <= 0.0) | (display >= 1.0)].sum() / counts.sum()
    if saturated > MOST_SATURATED:
        return f"{saturated:.0%} of the film would be plain black or white"
    return None


def _name(choice: LookupTable | Window) -> str:
    if isinstance(choice, Window):
        return f"The {choice}"
    return f"The VOI LUT {choice.explanation!r}" if choice.explanation else "The VOI LUT"


def _range(values: Values, counts: npt.NDArray[np.int64], rules: GreyRules, notes: _Notes) -> Values:
    """The values' own range: all of it for 8-bit pictures that fill it, else without the outermost 0.1 %."""
    if rules.linear_to_exposure and rules.for_processing:
        notes.steps.append("The logarithm was taken, because the values are linear in the x-ray intensity.")
        values = np.log1p(values - values.min())
    low = grayscale.weighted_percentile(values, counts, TAILS)
    high = grayscale.weighted_percentile(values, counts, 1.0 - TAILS)
    if rules.bits_stored == 8 and not rules.changes_values and high - low >= 127.5 and values.min() >= 0:
        notes.steps.append("No VOI LUT or window; the 8-bit values were taken as display values.")
        return grayscale.stretch(values, 0.0, 255.0)
    if high <= low:
        seen = values[counts > 0]
        low, high = float(seen.min()), float(seen.max())
    if high <= low:
        return np.zeros_like(values)
    span = f"{low:.6g} to {high:.6g}"
    notes.steps.append(
        f"The range of the values themselves ({span}, without the outermost 0.1 %) was displayed."
    )
    notes.warnings.append(f"No usable VOI LUT or window: the film's own range {span} is displayed.")
    _report_few_levels(values, counts, rules, notes)
    return grayscale.stretch(values, low, high)


def _report_few_levels(
    values: Values, counts: npt.NDArray[np.int64], rules: GreyRules, notes: _Notes
) -> None:
    places = np.flatnonzero(counts)
    used, available = int(places[-1] - places[0]) + 1, 1 << rules.bits_stored
    if values.size <= _LARGEST_TABLE and used <= FEW_LEVELS * available:
        notes.warnings.append(f"The film spans only {used} of the {available} grey levels it could have.")


def _presentation(display: Values, rules: GreyRules, notes: _Notes) -> Values:
    if rules.presentation_table is None:
        return display.copy()
    notes.steps.append("Presentation LUT applied.")
    return grayscale.presentation_lut(display, rules.presentation_table)


def _polarity(display: Values, rules: GreyRules, notes: _Notes) -> Values:
    """Inverts at most once: MONOCHROME1 and the INVERSE shape state one fact (C.8.11.3.1.2)."""
    if rules.monochrome1:
        notes.steps.append("Inverted once, for MONOCHROME1.")
        if rules.inverse_shape is False:
            notes.warnings.append(
                "MONOCHROME1 and Presentation LUT Shape IDENTITY contradict each other; "
                "MONOCHROME1 was followed."
            )
        return grayscale.invert(display)
    if rules.inverse_shape:
        notes.steps.append("Inverted once, for Presentation LUT Shape INVERSE.")
        notes.warnings.append(
            "MONOCHROME2 and Presentation LUT Shape INVERSE are an unusual pair; "
            "the inversion was carried out."
        )
        return grayscale.invert(display)
    return display
