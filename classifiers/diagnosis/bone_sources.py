"""Where the bone channel comes from in training: the installed stage, the truth, or two exposures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.errors import DatasetError
from suite.study import FloatImage

CALIBRATION_RECORDS = 24
SOFT, BONE = 1, 2
"""Classes of ``phantom.tissue_classes``."""

_SAMPLES = 4000
"""Pixels of each record that the fit of dual energy looks at."""


def require_target(records: Sequence[Record], target: str, wanted_for: str) -> None:
    """Fail unless every record has ``target``.

    Raises:
        DatasetError: one has not.
    """
    for record in records:
        if target not in record.targets:
            raise DatasetError(
                f"{record.id}: has no {target}, which {wanted_for} needs; use a phantom cohort, "
                "or bone_source=gan."
            )


def attenuation(record: Record, energy: str) -> FloatImage:
    """-ln of the exposure ``low`` or ``high`` (H, W): what the body took from the beam."""
    from suite.phantom.encoding import EXPOSURE_OFFSET, EXPOSURE_SCALE, read_png

    stored = read_png(record.targets[energy]).astype(np.float32)
    return stored / np.float32(EXPOSURE_SCALE) - np.float32(EXPOSURE_OFFSET)


@dataclass(frozen=True, slots=True)
class DualEnergy:
    """Weighted log subtraction of the 60 and 120 kVp exposures, calibrated on soft tissue as a device is.

    bone = (low - a high - b high^2 - c) x gain; the square takes up beam hardening. Scatter differs from
    body to body, so soft tissue is near 0, not at it: below zero behind the heart.

    Attributes:
        coefficients: c, a, b.
        gain: brings the calibration set's brightest bone (99.5th percentile) to 1.
    """

    coefficients: tuple[float, float, float]
    gain: float

    @classmethod
    def calibrate(cls, records: Sequence[Record]) -> Self:
        """Fit soft tissue to zero on up to 24 records.

        Raises:
            DatasetError: a record without exposures or tissue map.
        """
        for target in ("low", "high", "tissue"):
            require_target(records, target, "dual-energy subtraction")
        chosen = records[:CALIBRATION_RECORDS]
        low, high = np.concatenate([_samples(record, SOFT) for record in chosen], axis=1)
        design = np.stack((np.ones_like(high), high, high**2), axis=1).astype(np.float64)
        fitted, *_ = np.linalg.lstsq(design, low.astype(np.float64), rcond=None)
        coefficients = (float(fitted[0]), float(fitted[1]), float(fitted[2]))
        bone = np.concatenate([_samples(record, BONE) for record in chosen], axis=1)
        raw = cls(coefficients, 1.0).subtract(bone[0], bone[1])
        return cls(coefficients, 1.0 / max(float(np.percentile(raw, 99.5)), 1e-6))

    def subtract(self, low: FloatImage, high: FloatImage) -> FloatImage:
        """Bone (H, W), about 0 in soft tissue and at most about 1."""
        constant, linear, square = self.coefficients
        return ((low - linear * high - square * high * high - constant) * self.gain).astype(np.float32)

    def __call__(self, record: Record) -> FloatImage:
        """The bone image of a record (H, W)."""
        return self.subtract(attenuation(record, "low"), attenuation(record, "high"))


def _samples(record: Record, tissue: int) -> FloatImage:
    """Low and high attenuation (2, N) at up to ``_SAMPLES`` pixels of one tissue."""
    at = np.flatnonzero(phantom.tissue_classes(record) == tissue)
    at = at[:: max(1, len(at) // _SAMPLES)]
    return np.stack([attenuation(record, energy).ravel()[at] for energy in ("low", "high")])
