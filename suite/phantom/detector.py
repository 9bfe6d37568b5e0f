"""One exposure: a polyenergetic beam, scatter, blur and noise give the detector's linear signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from suite.phantom.filters import small_blur, wide_blur
from suite.phantom.materials import Material, mass_attenuation
from suite.phantom.projection import Paths
from suite.phantom.spectra import Beam

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]

PHOTONS_PER_MM2_UGY = 30_000.0
"""Photon fluence per air kerma of diagnostic beams (IEC 61267: RQA5 30,200, RQA9 31,100), as one constant."""

SWANK = 0.95
"""Loss of the scintillator's pulse-height spread."""

ELECTRONIC_QUANTA = 2.0
"""Electronic noise of one 0.15 mm detector element, in absorbed quanta."""

_SCATTER_SIGMA_MM = 45.0
_SCATTER_GAIN = 0.60
_GRID_SCATTER = 0.15
_GRID_PRIMARY = 0.72
_DETECTOR_BLUR_MM = 0.14
_FOCAL_SPOT_MM = 0.9


@dataclass(frozen=True, slots=True)
class Exposure:
    """How one film was exposed.

    Attributes:
        beam: spectrum as the detector weighs it.
        air_kerma_ugy: at the detector in the open beam.
        grid: an anti-scatter grid stood before the detector.
        scatter: switch scatter off for primary-only films.
        noise: switch noise off.
        magnification: of the patient's middle, for the focal spot's blur.
    """

    beam: Beam
    air_kerma_ugy: float = 60.0
    grid: bool = True
    scatter: bool = True
    noise: bool = True
    magnification: float = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The detector's answer, relative to the open beam without scatter (1.0).

    Attributes:
        expected: (H, W) noise-free primary plus scatter, blurred.
        noisy: (H, W) what is read out.
        scatter_fraction: (H, W) scatter / (primary + scatter).
    """

    expected: Image
    noisy: Image
    scatter_fraction: Image


@njit(cache=True, fastmath=True)
def _transmit(lengths: Array, attenuation: Array, weights: Array, out: Array) -> None:  # pragma: no cover
    rays, materials = lengths.shape
    bins = weights.shape[0]
    total = np.empty(bins, np.float32)
    for k in range(rays):
        for e in range(bins):
            total[e] = 0.0
        for m in range(materials):
            length = lengths[k, m]
            if length != 0.0:
                for e in range(bins):
                    total[e] += length * attenuation[m, e]
        signal = np.float32(0.0)
        for e in range(bins):
            signal += weights[e] * np.exp(-total[e])
        out[k] = signal


def primary(lengths: npt.NDArray[np.float32], materials: tuple[Material, ...], beam: Beam) -> Image:
    """Primary signal (H, W) behind path lengths (H, W, M) in mm, relative to the open beam."""
    table = np.stack([material.linear_attenuation(beam.energies) for material in materials]).astype(
        np.float32
    )
    out = np.empty(lengths.shape[:2], dtype=np.float32)
    flat = lengths.reshape(-1, lengths.shape[2])
    _transmit(flat, table, beam.weights.astype(np.float32), out.reshape(-1))
    return out


def scattered(direct: Image, spacing: float, grid: bool) -> Image:
    """Scatter (H, W) to go with a primary signal.

    Scatter is born where primary photons interact, P x -ln P, and lands a few centimetres around: a Gaussian
    of 45 mm. Its gain gives scatter fractions of 0.4 to 0.6 over the lungs and 0.8 to 0.9 over the
    mediastinum without grid.
    """
    born = direct * -np.log(np.clip(direct, 1e-6, 1.0))
    gain = _SCATTER_GAIN * (_GRID_SCATTER / _GRID_PRIMARY if grid else 1.0)
    return np.asarray(np.float32(gain) * wide_blur(born.astype(np.float32), _SCATTER_SIGMA_MM / spacing))


def quanta_per_pixel(exposure: Exposure, spacing: float) -> float:
    """Noise-equivalent quanta of an open-beam pixel: (sum pnE)^2 / sum pnE^2 of the absorbed spectrum."""
    b = exposure.beam
    absorbed = b.photons * b.absorbed
    equivalent = (absorbed @ b.energies) ** 2 / (absorbed @ b.energies**2)
    grid = _GRID_PRIMARY if exposure.grid else 1.0
    return float(exposure.air_kerma_ugy * PHOTONS_PER_MM2_UGY * spacing**2 * equivalent * SWANK * grid)


def expose(paths: Paths, exposure: Exposure, spacing: float, rng: np.random.Generator) -> Signal:
    """Expose the detector behind ``paths`` with pixels of ``spacing`` mm."""
    direct = primary(paths.lengths, paths.materials, exposure.beam)
    haze = scattered(direct, spacing, exposure.grid) if exposure.scatter else np.zeros_like(direct)
    focal = _FOCAL_SPOT_MM * (exposure.magnification - 1.0) * 0.5
    sigma = float(np.hypot(_DETECTOR_BLUR_MM, focal)) / spacing
    expected = small_blur(direct, sigma) + haze
    fraction = haze / np.maximum(direct + haze, 1e-9)
    return Signal(
        expected, add_noise(expected, exposure, spacing, rng) if exposure.noise else expected, fraction
    )


def hardening(beam: Beam, signal: Image) -> Image:
    """How many times more one unit of signal varies behind soft tissue than in the open beam.

    A harder beam brings the same signal in fewer, larger portions: the ratio of the signal-weighted mean
    energies. Scatter is counted as if it had the primary's energy; bone hardens a little more.
    """
    grams = np.linspace(0.0, 60.0, 31)
    behind = beam.weights * np.exp(-grams[:, None] * mass_attenuation("soft", beam.energies))
    total = behind.sum(axis=1)
    ratio = (behind @ beam.energies) / total / (beam.weights @ beam.energies)
    # Rising order for the look-up, which a film's million pixels find on an even grid of logarithms.
    grid = np.linspace(np.log(total[-1]), 0.0, 256)
    table = np.interp(grid, np.log(total[::-1]), ratio[::-1]).astype(np.float32)
    place = (np.log(np.maximum(signal, 1e-9)) - np.float32(grid[0])) * np.float32(255.0 / -grid[0])
    return np.asarray(table[np.clip(place, 0.0, 255.0).astype(np.int32)])


def add_noise(expected: Image, exposure: Exposure, spacing: float, rng: np.random.Generator) -> Image:
    """Quantum and electronic noise; the variance is signal x hardening / quanta plus a constant."""
    quanta = quanta_per_pixel(exposure, spacing)
    electronic = ELECTRONIC_QUANTA**2 * (spacing / 0.15) ** 2
    variance = expected * hardening(exposure.beam, expected) / np.float32(quanta) + np.float32(
        electronic / quanta**2
    )
    noise = rng.standard_normal(expected.shape, dtype=np.float32)
    return np.maximum(expected + np.sqrt(variance) * noise, np.float32(0.5 / quanta))
