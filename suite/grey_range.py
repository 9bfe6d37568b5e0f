"""The part of its scale that a picture file uses: where black and white of the film lie on 16-bit numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.study import FULL_16_BIT, FloatImage, GreyScale

_LEAST_BITS = 8
_HALF = 0.5

OUTLIER_SHARE = 0.001
"""Share of pixels at each end that may be marks rather than film."""

CROWDED = 0.25
"""Films whose greys crowd in less than this part of their scale are stretched, and marks outside clipped."""


@dataclass(frozen=True, slots=True)
class GreyRange:
    """The scale found, the sentence that records it, and warnings."""

    scale: GreyScale
    step: str
    warnings: tuple[str, ...] = ()

    def to_radiograph(self, values: npt.NDArray[Any]) -> FloatImage:
        """Source numbers (H, W), ``uint16`` or floating, as ``float32`` in [0, 1]."""
        if values.dtype == np.uint16:
            return np.asarray(self._normalise(np.arange(65536, dtype=np.float64))[values])
        return self._normalise(values.astype(np.float64))

    def _normalise(self, values: npt.NDArray[np.float64]) -> FloatImage:
        shares = (values - self.scale.black) / (self.scale.white - self.scale.black)
        return np.asarray(np.clip(shares, 0.0, 1.0), dtype=np.float32)


def find_range(values: npt.NDArray[Any], *, from_8_bit: bool) -> GreyRange:
    """The scale of a picture from the values it holds.

    The scale is that of the smallest number of bits, 8 or more, that holds every value; an 8-bit file always
    has the full one. A film that uses less than half of it is stretched from its smallest to its largest
    value; one whose greys crowd in less than a quarter of that, because of a few marks outside, from the
    0.1 to the 99.9 percentile.

    Args:
        values: (H, W) on the 16-bit scale, 0 to 65535.
        from_8_bit: whether the file had 8 bits (widened by 257).
    """
    low, high = float(values.min()), float(values.max())
    white = 65535.0 if from_8_bit else _white_of(high)
    robust_low, robust_high = (float(end) for end in _robust_ends(values))
    crowded = robust_high - robust_low < CROWDED * min(high - low, white)
    if crowded and robust_high > robust_low:
        return _stretched(robust_low, robust_high, white, clipped=True)
    if high - low < _HALF * white and high > low:
        return _stretched(low, high, white, clipped=False)
    scale = FULL_16_BIT if white == 65535.0 else GreyScale(0.0, white)
    return GreyRange(scale, f"Grey values: black is 0 and white {white:.0f} on the 16-bit scale.")


def _white_of(high: float) -> float:
    """The largest number of the fewest bits, at least 8, that hold ``high``."""
    bits = max(int(np.ceil(high)).bit_length(), _LEAST_BITS)
    return float((1 << bits) - 1)


def _robust_ends(values: npt.NDArray[Any]) -> tuple[float, float]:
    if values.dtype != np.uint16:
        low, high = np.percentile(values, [100 * OUTLIER_SHARE, 100 * (1 - OUTLIER_SHARE)])
        return float(low), float(high)
    running = np.cumsum(np.bincount(values.ravel(), minlength=65536))
    ends = np.searchsorted(running, [OUTLIER_SHARE * values.size, (1 - OUTLIER_SHARE) * values.size])
    return float(ends[0]), float(ends[1])


def _stretched(low: float, high: float, white: float, *, clipped: bool) -> GreyRange:
    step = f"Grey values: black is {low:.6g} and white {high:.6g} on the 16-bit scale."
    used = f"The film uses {(high - low) / white:.0%} of its grey scale; it was stretched"
    if clipped:
        return GreyRange(
            GreyScale(low, high), step, (used + ", and 0.2 % of its pixels outside were clipped.",)
        )
    return GreyRange(GreyScale(low, high), step, (used + ".",))
