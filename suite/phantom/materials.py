"""What a ray crosses: mass attenuation tables and the materials made from them.

Mass attenuation coefficients (cm2/g, total with coherent scattering) for the compositions of ICRU Report 44,
from the Elam/NIST tables. Between the tabulated energies they are interpolated log-log; absorption edges are
entered as two points one part in 10^4 apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

_ENERGIES: Final = (20.0, 30.0, 40.0, 45.0, 50.0, 60.0, 70.0, 80.0, 100.0, 120.0, 150.0)

_ROWS: Final[dict[str, tuple[float, ...]]] = {
    "soft": (0.8230, 0.3790, 0.2688, 0.2435, 0.2264, 0.2048, 0.1916, 0.1823, 0.1693, 0.1599, 0.1492),
    "muscle": (0.8205, 0.3783, 0.2685, 0.2433, 0.2263, 0.2048, 0.1916, 0.1823, 0.1693, 0.1599, 0.1492),
    "adipose": (0.5677, 0.3064, 0.2396, 0.2235, 0.2123, 0.1974, 0.1875, 0.1800, 0.1688, 0.1602, 0.1500),
    "lung": (0.8316, 0.3815, 0.2699, 0.2443, 0.2270, 0.2053, 0.1920, 0.1826, 0.1695, 0.1601, 0.1493),
    "blood": (0.8428, 0.3852, 0.2715, 0.2454, 0.2278, 0.2057, 0.1921, 0.1827, 0.1695, 0.1601, 0.1492),
    "bone": (4.001, 1.331, 0.6655, 0.5189, 0.4242, 0.3148, 0.2570, 0.2229, 0.1855, 0.1656, 0.1480),
    "water": (0.8096, 0.3756, 0.2683, 0.2436, 0.2269, 0.2059, 0.1929, 0.1837, 0.1707, 0.1614, 0.1505),
    "air": (0.7779, 0.3538, 0.2485, 0.2243, 0.2080, 0.1875, 0.1750, 0.1662, 0.1541, 0.1455, 0.1356),
    "aluminium": (3.441, 1.128, 0.5684, 0.4466, 0.3682, 0.2778, 0.2301, 0.2018, 0.1704, 0.1533, 0.1378),
    "iron": (25.68, 8.177, 3.629, 2.614, 1.957, 1.205, 0.8164, 0.5952, 0.3717, 0.2693, 0.1964),
    "steel": (24.97, 8.551, 3.808, 2.746, 2.057, 1.266, 0.8562, 0.6228, 0.3865, 0.2782, 0.2010),
    "titanium": (15.85, 4.972, 2.213, 1.605, 1.213, 0.7660, 0.5361, 0.4053, 0.2721, 0.2102, 0.1649),
    "copper": (33.79, 10.91, 4.861, 3.498, 2.613, 1.593, 1.064, 0.7630, 0.4585, 0.3195, 0.2217),
    "pmma": (0.5714, 0.3032, 0.2350, 0.2188, 0.2074, 0.1924, 0.1825, 0.1751, 0.1641, 0.1557, 0.1457),
    "silicone": (2.051, 0.7377, 0.4167, 0.3460, 0.3001, 0.2460, 0.2164, 0.1980, 0.1760, 0.1628, 0.1495),
}

_EDGED: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    # keV, cm2/g; iodine K 33.17, caesium K 35.98, barium K 37.44, lead K 88.00
    "caesium_iodide": (
        (20.0, 26.86), (30.0, 9.047), (33.168, 6.92), (33.171, 21.2), (35.983, 17.19), (35.987, 30.26),
        (40.0, 22.97), (45.0, 16.94), (50.0, 12.87), (60.0, 7.921), (70.0, 5.248), (80.0, 3.677),
        (100.0, 2.035), (120.0, 1.269), (150.0, 0.7291),
    ),
    "iodine": (
        (20.0, 25.43), (30.0, 8.562), (33.168, 6.55), (33.171, 35.82), (40.0, 22.10), (45.0, 16.26),
        (50.0, 12.32), (60.0, 7.577), (70.0, 5.016), (80.0, 3.510), (100.0, 1.942), (120.0, 1.211),
        (150.0, 0.6978),
    ),
    "barium": (
        (20.0, 29.38), (30.0, 9.904), (37.439, 5.365), (37.443, 29.19), (40.0, 24.57), (45.0, 18.12),
        (50.0, 13.79), (60.0, 8.511), (70.0, 5.650), (80.0, 3.963), (100.0, 2.195), (120.0, 1.367),
        (150.0, 0.7828),
    ),
    "lead": (
        (20.0, 86.36), (30.0, 30.32), (40.0, 14.36), (45.0, 10.57), (50.0, 8.042), (60.0, 5.020),
        (70.0, 3.384), (80.0, 2.420), (88.003, 1.910), (88.006, 7.683), (100.0, 5.549), (120.0, 3.508),
        (150.0, 2.014),
    ),
}  # fmt: skip

# Spongiosa: one third bone, two thirds marrow by mass.
_ROWS["spongiosa"] = tuple((b + 2.0 * s) / 3.0 for b, s in zip(_ROWS["bone"], _ROWS["soft"], strict=True))

TABLES: Final[tuple[str, ...]] = (*_ROWS, *_EDGED)
"""Names of the attenuation tables."""


def mass_attenuation(table: str, energy_kev: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mass attenuation coefficient in cm2/g at each energy (keV), log-log interpolated.

    Below 20 and above 150 keV the outermost slope is continued.

    Raises:
        KeyError: there is no such table; ``TABLES`` lists them.
    """
    points = np.column_stack([_ENERGIES, _ROWS[table]]) if table in _ROWS else np.asarray(_EDGED[table])
    x, y = np.log(points[:, 0]), np.log(points[:, 1])
    wanted = np.log(np.asarray(energy_kev, dtype=np.float64))
    inner = np.interp(wanted, x, y)
    below = y[0] + (wanted - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
    above = y[-1] + (wanted - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.asarray(np.exp(np.where(wanted < x[0], below, np.where(wanted > x[-1], above, inner))))


@dataclass(frozen=True, slots=True)
class Material:
    """A homogeneous material.

    Attributes:
        name: how films, tables and messages call it.
        table: its attenuation table, one of ``TABLES``.
        density: g/cm3.
        bone: belongs to the bone film; on the soft-tissue film it is replaced by muscle.
    """

    name: str
    table: str
    density: float
    bone: bool = False

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise ValueError(
                f"material {self.name}: no attenuation table {self.table!r}; use one of {TABLES}"
            )
        if not 0.0 <= self.density < 30.0:
            raise ValueError(f"material {self.name}: density {self.density} g/cm3 is outside 0 to 30")

    def linear_attenuation(self, energy_kev: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Linear attenuation coefficient in 1/mm at each energy (keV)."""
        return mass_attenuation(self.table, energy_kev) * self.density * 0.1

    def with_density(self, density: float) -> Material:
        """The same composition, ``density`` g/cm3 thick or thin (aerated, collapsed, calcified)."""
        return replace(self, density=density)


MUSCLE: Final = Material("muscle", "muscle", 1.05)
SOFT: Final = Material("soft", "soft", 1.06)
FAT: Final = Material("fat", "adipose", 0.95)
GLAND: Final = Material("gland", "soft", 1.00)
BLOOD: Final = Material("blood", "blood", 1.06)
LUNG: Final = Material("lung", "lung", 0.26)
GAS: Final = Material("gas", "air", 0.001205)
CARTILAGE: Final = Material("cartilage", "soft", 1.10)
CALCIFIED_CARTILAGE: Final = Material("calcified_cartilage", "bone", 1.25, bone=True)
CORTEX: Final = Material("cortex", "bone", 1.92, bone=True)
MARROW: Final = Material("marrow", "spongiosa", 1.18, bone=True)
CALCIUM: Final = Material("calcium", "bone", 1.55)
STEEL: Final = Material("steel", "steel", 7.99)
TITANIUM: Final = Material("titanium", "titanium", 4.54)
LEAD: Final = Material("lead", "lead", 11.35)
SILICONE: Final = Material("silicone", "silicone", 1.10)
BARIUM_POLYMER: Final = Material("barium_polymer", "barium", 0.55)
WATER: Final = Material("water", "water", 1.00)
