"""From the detector's linear signal to the film a reader sees: logarithm, multi-scale contrast, tone curve.

A ``Processing`` is fixed once, from the standard film, and then applied unchanged to its soft-tissue twin, so
that film = bone + soft holds exactly on one grey scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.phantom.filters import collapse, laplacian_pyramid

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Style:
    """How one vendor renders chest films.

    Attributes:
        detail: gain of the finest bands; middle: of the middle ones; coarse: of the low-pass (below 1
            flattens the film, "equalises").
        steepness: of the sigmoid tone curve, 0 for a straight line.
        dark, bright: greys that the film's dark and bright anchors are put on.
    """

    detail: float
    middle: float
    coarse: float
    steepness: float
    dark: float
    bright: float


STYLES: dict[str, Style] = {
    "film": Style(1.0, 1.0, 1.0, 3.6, 0.17, 0.93),
    "dark": Style(1.1, 1.05, 0.95, 4.2, 0.10, 0.90),
    "flat": Style(1.35, 1.15, 0.72, 1.2, 0.26, 0.86),
    "crisp": Style(1.9, 1.35, 0.70, 2.0, 0.18, 0.86),
    "equalised": Style(1.8, 1.5, 0.50, 1.0, 0.24, 0.80),
    "soft": Style(0.85, 1.0, 0.85, 0.8, 0.34, 0.92),
}
"""Display styles by vendor name."""


@dataclass(frozen=True, slots=True)
class Processing:
    """A display frozen for one film: anchors on the log scale and the style.

    Attributes:
        low, high: -ln(signal), after multi-scale processing, at the dark and the bright anchor.
        pivot: -ln(signal) about which the coarse scale is compressed.
    """

    style: Style
    low: float
    high: float
    pivot: float
    gamma: float = 1.0
    level: float = 0.0

    def apply(self, log_film: Image) -> Image:
        """-ln(signal) (H, W) to the display's greys in [0, 1], bone white."""
        return self._tone((_multiscale(log_film, self.style, self.pivot) - self.low) / (self.high - self.low))

    def _tone(self, x: Image) -> Image:
        s = self.style
        k = s.steepness
        if k > 0.0:
            edge = 1.0 / (1.0 + np.exp(0.5 * k))
            curve = (1.0 / (1.0 + np.exp(-k * (x - 0.5))) - edge) / (1.0 - 2.0 * edge)
        else:
            curve = x
        grey = np.clip(s.dark + (s.bright - s.dark) * curve, 0.0, 1.0)
        return np.clip(grey**self.gamma + self.level * np.sin(np.pi * grey), 0.0, 1.0).astype(np.float32)


def style(vendor: str) -> Style:
    """The style of one vendor.

    Raises:
        InputError: there is no such vendor.
    """
    if vendor not in STYLES:
        raise InputError(f"display vendor {vendor!r} is not known; use one of {', '.join(STYLES)}.")
    return STYLES[vendor]


def log_film(signal: Image) -> Image:
    """-ln(signal), the film's density scale: 0 in the open beam."""
    return np.asarray(-np.log(np.maximum(signal, 1e-6)), dtype=np.float32)


def choose(log_standard: Image, vendor: str, gamma: float = 1.0, level: float = 0.0) -> Processing:
    """Fix the display from a standard film's -ln(signal), as a machine does from its histogram."""
    how = style(vendor)
    inside = log_standard[log_standard > 0.6]
    if inside.size < 0.02 * log_standard.size:
        inside = log_standard.ravel()
    pivot = float(np.median(inside))
    worked = _multiscale(log_standard, how, pivot)[log_standard > 0.6]
    if worked.size < 0.02 * log_standard.size:
        worked = _multiscale(log_standard, how, pivot).ravel()
    low, high = (float(v) for v in np.percentile(worked[:: max(1, worked.size // 60_000)], (9.0, 96.0)))
    return Processing(how, low, max(high, low + 0.2), pivot, gamma, level)


def _multiscale(log_film: Image, how: Style, pivot: float) -> Image:
    if how.detail == how.middle == how.coarse == 1.0:
        return log_film
    levels = max(3, int(np.log2(min(log_film.shape))) - 3)
    bands, low = laplacian_pyramid(log_film, levels)
    t = np.linspace(0.0, 1.0, levels)
    gains = np.interp(t, [0.0, 0.45, 1.0], [how.detail, how.middle, how.coarse])
    worked = []
    for band, gain in zip(bands, gains, strict=True):
        # Large steps are held back, so that the heart's border gets no dark seam.
        worked.append((np.float32(gain) * band / (1.0 + np.abs(band) * max(gain - 1.0, 0.0))).astype(np.float32))
    return collapse(worked, (np.float32(pivot) + np.float32(how.coarse) * (low - np.float32(pivot))))
