"""X-ray beams: tungsten spectra and the detector's response to them.

The spectrum is Kramers' thick-target law with the tungsten K lines and one free filtration. ``_INHERENT_AL``
(mm aluminium standing for anode self-absorption, window and oil) was fitted so that the half-value layer of a
3 mm Al beam is 2.31, 2.66, 4.22 and 4.62 mm Al at 60, 70, 110 and 120 kVp: SpekPy 2.5, 12 degree anode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from suite.phantom.materials import mass_attenuation

Floats = npt.NDArray[np.float64]

_INHERENT_AL = ((60.0, 0.770), (70.0, 0.842), (110.0, 1.100), (120.0, 1.128))
_K_LINES = ((57.98, 0.30), (59.32, 0.52), (67.2, 0.14), (69.1, 0.04))
_K_EDGE = 69.5
_LINE_STRENGTH = 0.9
_CSI_G_PER_CM2 = 0.06 * 4.51 * 0.75
"""600 um of caesium iodide needles, three quarters packed."""


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """One exposure's beam as an energy-integrating detector weighs it.

    Attributes:
        kvp: tube voltage.
        energies: (n,) keV, the bins' mean energies.
        photons: (n,) photons per bin, summing to one.
        weights: (n,) share of the open-beam detector signal per bin, summing to one.
        absorbed: (n,) chance that the detector absorbs a photon.
    """

    kvp: float
    energies: Floats
    photons: Floats
    weights: Floats
    absorbed: Floats


def fluence(kvp: float, aluminium_mm: float, copper_mm: float = 0.0) -> tuple[Floats, Floats]:
    """Photon spectrum behind the filters: energies (keV, 1 keV steps) and photons per step, sum one."""
    energies = np.arange(10.5, kvp, 1.0)
    photons = kvp / energies - 1.0
    if kvp > _K_EDGE:
        total = photons.sum() * _LINE_STRENGTH * (kvp / _K_EDGE - 1.0) ** 1.63 / 10.0
        for line, share in _K_LINES:
            photons[int(np.argmin(np.abs(energies - line)))] += total * share
    inherent = float(np.interp(kvp, *np.asarray(_INHERENT_AL).T))
    photons = photons * np.exp(-mass_attenuation("aluminium", energies) * 0.2699 * (aluminium_mm + inherent))
    if copper_mm:
        photons = photons * np.exp(-mass_attenuation("copper", energies) * 0.896 * copper_mm)
    return energies, photons / photons.sum()


def half_value_layer(kvp: float, aluminium_mm: float, copper_mm: float = 0.0) -> float:
    """Millimetres of aluminium that halve the beam's air kerma (energy absorption taken as E x mu/rho of air
    without coherent part, approximated by E^-3 photoelectric plus a constant)."""
    energies, photons = fluence(kvp, aluminium_mm, copper_mm)
    kerma = photons * energies * _air_energy_absorption(energies)
    mu = mass_attenuation("aluminium", energies) * 0.2699
    low, high = 0.0, 30.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if (kerma * np.exp(-mu * middle)).sum() > 0.5 * kerma.sum():
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


_AIR_EN = np.asarray(
    [(10, 4.742), (15, 1.334), (20, 0.5389), (30, 0.1537), (40, 0.06833), (50, 0.04098), (60, 0.03041),
     (80, 0.02407), (100, 0.02325), (150, 0.02496)]
)  # fmt: skip
"""Mass energy-absorption coefficient of air, keV and cm2/g (NIST)."""


def _air_energy_absorption(energies: Floats) -> Floats:
    return np.asarray(np.exp(np.interp(np.log(energies), np.log(_AIR_EN[:, 0]), np.log(_AIR_EN[:, 1]))))


@lru_cache(maxsize=32)
def beam(kvp: float, aluminium_mm: float = 3.0, copper_mm: float = 0.0, bins: int = 10) -> Beam:
    """The beam in up to ``bins`` energy bins of equal detector signal behind 10 cm of soft tissue.

    Raises:
        ValueError: a tube voltage outside 40 to 150 kVp.
    """
    if not 40.0 <= kvp <= 150.0:
        raise ValueError(f"tube voltage {kvp} kVp is outside 40 to 150")
    energies, photons = fluence(kvp, aluminium_mm, copper_mm)
    absorbed = -np.expm1(-mass_attenuation("caesium_iodide", energies) * _CSI_G_PER_CM2)
    signal = photons * energies * absorbed
    behind = signal * np.exp(-mass_attenuation("soft", energies) * 10.0)
    share = np.cumsum(0.7 * behind / behind.sum() + 0.3 * signal / signal.sum())
    _, index = np.unique(np.minimum((share * bins).astype(int), bins - 1), return_inverse=True)
    bins = int(index.max()) + 1
    count = np.asarray(np.bincount(index, photons, bins), dtype=np.float64)
    weight = np.bincount(index, signal, bins)
    mean = np.bincount(index, signal * energies, bins) / weight
    taken = np.bincount(index, photons * absorbed, bins) / count
    return Beam(kvp, mean, count, weight / weight.sum(), taken)
