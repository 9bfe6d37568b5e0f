"""The greyscale transformations of the standard as pure functions (PS3.3 C.7.6.3, C.11.1, C.11.2, C.11.6).

All functions work element by element on arrays of any shape, so they can be applied to a table of the
distinct stored values as well as to a film. Modality values are ``float64``; display values are
``float64`` in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A DICOM LUT: input ``first`` maps to ``data[0]``; inputs outside the table take its end values.

    Attributes:
        first: the first input value mapped (second value of the LUT descriptor).
        bits: bits of each entry (third value of the LUT descriptor).
        data: ``uint16 (n,)`` entries.
        explanation: what the file says the table is for; may be empty.
    """

    first: int
    bits: int
    data: npt.NDArray[np.uint16]
    explanation: str = ""

    def __call__(self, values: Values) -> Values:
        """Table output for each input; inputs are rounded to the nearest entry."""
        index = np.clip(np.rint(values) - self.first, 0, self.data.size - 1).astype(np.int64)
        return np.asarray(self.data[index], dtype=np.float64)

    @property
    def output_maximum(self) -> int:
        """White of the table's output: the largest number of ``bits`` bits, or of as many as its data fill.

        Some writers declare 16 bits and store 12-bit entries, or the reverse; the entries themselves decide
        when they need more bits than declared or leave at least half of the declared range empty.
        """
        declared = (1 << self.bits) - 1
        largest = int(self.data.max())
        if largest > declared or 2 * largest < declared:
            return max((1 << largest.bit_length()) - 1, 1)
        return declared

    @property
    def bits_are_wrong(self) -> bool:
        """Whether the entries contradict the declared number of bits."""
        return self.output_maximum != (1 << self.bits) - 1


def rescale(values: Values, slope: float, intercept: float) -> Values:
    """Modality values by Rescale Slope and Intercept (C.11.1.1.2); a negative slope reverses the order."""
    return np.asarray(values * slope + intercept)


def window_linear(values: Values, center: float, width: float) -> Values:
    """VOI function LINEAR (C.11.2.1.2.1); ``width`` must be at least 1, and 1 makes a threshold."""
    if width <= 1.0:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def window_linear_exact(values: Values, center: float, width: float) -> Values:
    """VOI function LINEAR_EXACT (C.11.2.1.3.2); ``width`` must be positive."""
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def window_sigmoid(values: Values, center: float, width: float) -> Values:
    """VOI function SIGMOID (C.11.2.1.3.1); ``width`` must be positive. 0 and 1 are never reached."""
    exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
    return np.asarray(1.0 / (1.0 + np.exp(exponent)))


def stretch(values: Values, low: float, high: float) -> Values:
    """``low`` becomes 0, ``high`` 1, linearly, clipped outside; ``low < high``."""
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def voi_lut(values: Values, table: LookupTable) -> Values:
    """A VOI LUT applied and normalised by the table's own bits, not by those of the pixels."""
    return np.clip(table(values) / table.output_maximum, 0.0, 1.0)


def presentation_lut(display: Values, table: LookupTable) -> Values:
    """A Presentation LUT (C.11.6): its first input is display value 0, its last input display value 1."""
    index = np.rint(display * (table.data.size - 1)).astype(np.int64)
    return np.clip(table.data[index] / table.output_maximum, 0.0, 1.0)


def invert(display: Values) -> Values:
    """The reversed grey scale."""
    return 1.0 - display


def weighted_percentile(values: Values, counts: npt.NDArray[np.int64], share: float) -> float:
    """The smallest value below or at which at least ``share`` (0 to 1) of all counted pixels lie.

    Args:
        values: (n,) distinct values in any order.
        counts: (n,) pixels of each value; at least one is positive.
        share: 0 to 1.
    """
    order = np.argsort(values, kind="stable")
    running = np.cumsum(counts[order])
    position = int(np.searchsorted(running, max(share * running[-1], 1), side="left"))
    return float(values[order][min(position, values.size - 1)])
