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
        dark, bright: greys that the film's dark and bright anchors are put on, as shares of the ceiling.
        ceiling: the brightest grey; films are seldom written up to white.
    """

    detail: float
    middle: float
    coarse: float
    dark: float
    bright: float
    ceiling: float = 1.0


STYLES: dict[str, Style] = {
    "film": Style(0.9, 0.9, 1.0, 0.58, 0.91, 0.98),
    "dark": Style(0.95, 0.9, 0.95, 0.31, 0.82, 0.93),
    "flat": Style(1.1, 0.95, 0.80, 0.46, 0.82, 0.88),
    "crisp": Style(1.25, 1.05, 0.75, 0.40, 0.80, 0.92),
    "equalised": Style(1.25, 1.1, 0.65, 0.44, 0.80, 0.86),
    "soft": Style(0.8, 0.85, 0.9, 0.55, 0.88, 0.93),
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
        # A logistic curve through (0, dark) and (1, bright): toe in the open beam, shoulder in the abdomen.
        low, high = np.log(s.dark / (1.0 - s.dark)), np.log(s.bright / (1.0 - s.bright))
        grey = 1.0 / (1.0 + np.exp(-(low + (high - low) * np.clip(x, -4.0, 4.0))))
        floor = 1.0 / (1.0 + np.exp(-(low - 1.2 * (high - low))))
        grey = np.clip((grey - floor) / (1.0 - floor), 0.0, 1.0)
        grey = grey**self.gamma + self.level * np.sin(np.pi * grey)
        return np.clip(s.ceiling * grey, 0.0, 1.0).astype(np.float32)


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


def choose(
    log_standard: Image,
    vendor: str,
    gamma: float = 1.0,
    level: float = 0.0,
    anchors: tuple[float, float] = (14.0, 74.0),
) -> Processing:
    """Fix the display from a standard film's -ln(signal), as a machine does from its histogram.

    ``anchors`` are the percentiles of the patient's shadow that become the dark and the bright anchor.
    """
    how = style(vendor)
    inside = log_standard[log_standard > 0.6]
    if inside.size < 0.02 * log_standard.size:
        inside = log_standard.ravel()
    pivot = float(np.median(inside))
    worked = _multiscale(log_standard, how, pivot)[log_standard > 0.6]
    if worked.size < 0.02 * log_standard.size:
        worked = _multiscale(log_standard, how, pivot).ravel()
    low, high = (float(v) for v in np.percentile(worked[:: max(1, worked.size // 60_000)], anchors))
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
        worked.append(
            (np.float32(gain) * band / (1.0 + np.abs(band) * max(gain - 1.0, 0.0))).astype(np.float32)
        )
    return collapse(worked, (np.float32(pivot) + np.float32(how.coarse) * (low - np.float32(pivot))))
