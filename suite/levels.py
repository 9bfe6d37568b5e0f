"""Grey levels as networks see them: every film's used range stretched to [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.study import FloatImage

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5
_SAMPLES = 65_536


@dataclass(frozen=True, slots=True)
class Levels:
    """The linear map that sends ``low`` to 0 and ``high`` to 1; ``width`` converts differences back."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def apply(self, pixels: FloatImage) -> FloatImage:
        """Film values as network values (H, W), clipped to [0, 1]."""
        return np.clip((pixels - self.low) / self.width, 0.0, 1.0).astype(np.float32)


def auto_levels(pixels: FloatImage) -> Levels:
    """Levels between the 0.5th and 99.5th percentile of a film's pixels.

    Percentiles, because a marker or a collimator edge must not set the range; on a regular subsample of at
    most 65,536 pixels, because that changes them by less than a thousandth and costs a millisecond.
    """
    stride = max(1, int(np.sqrt(pixels.size / _SAMPLES)))
    low, high = np.percentile(pixels[::stride, ::stride], (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high - low < 1e-3:
        low, high = float(pixels.min()), float(pixels.max())
    if high - low < 1e-6:
        return Levels(0.0, 1.0)
    return Levels(float(low), float(high))
