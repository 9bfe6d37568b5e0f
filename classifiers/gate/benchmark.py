"""The fixed pictures on which the gate is measured: films that must pass, and pictures that must not.

The network is measured on framed pictures, the plain checks of grey levels on films exported well and badly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from classifiers.gate import distortions
from classifiers.gate.checks import PLAIN_CHECKS
from classifiers.gate.pictures import TEST_PHOTOGRAPHS, contact_sheet, draw_picture, photograph
from classifiers.gate.radiographs import BODY_PARTS, draw_radiograph
from classifiers.gate.samples import FilmStore, open_small, small
from suite.datasets.manifest import SplitName
from suite.framing import frame
from suite.study import FloatImage, Projection, Radiograph

CHANGED = "accept_changed"
DRAWN_EACH = 15
"""Group of the good films changed as films may be, and drawings of each body part."""


GREY_CHECKS = ("contrast", "greys", "white", "empty", "grey_area")
"""The plain checks of grey levels; those of headers and matrix are decided by what is written there."""


def _window(film: FloatImage, low: float, high: float) -> FloatImage:
    """The greys from ``low`` to ``high`` over the whole scale; what lies outside is clipped."""
    return np.asarray(np.clip((film - low) / max(high - low, 1e-6), 0.0, 1.0), dtype=np.float32)


def _between(film: FloatImage, low: float, high: float) -> FloatImage:
    """A window that begins and ends at these quantiles of the film."""
    return _window(film, float(np.quantile(film, low)), float(np.quantile(film, high)))


def _in_steps(film: FloatImage, steps: int) -> FloatImage:
    """One grey more than there are ``steps`` from black to white."""
    return np.asarray(np.rint(film * steps) / steps, dtype=np.float32)


EXPORTS: Mapping[str, Callable[[FloatImage, np.random.Generator], FloatImage]] = {
    "accept_plain": lambda film, _: film,
    "accept_plain_windowed": lambda film, rng: _between(film, rng.uniform(0, 0.1), rng.uniform(0.9, 1.0)),
    "plain_clipped_white": lambda film, rng: _between(film, 0.0, rng.uniform(0.2, 0.5)),
    "plain_clipped_black": lambda film, rng: _between(film, rng.uniform(0.8, 0.95), 1.0),
    "plain_narrow_window": lambda film, rng: _between(film, 0.45, 0.45 + rng.uniform(0.02, 0.2)),
    "plain_under_ranged": lambda film, rng: np.float32(rng.uniform(0.01, 0.05)) * film,
    "plain_few_greys": lambda film, rng: _in_steps(film, int(rng.integers(3, 31))),
}
"""How a film was exported, by the group it is counted in. As it came, and with up to a tenth of it clipped at
each end, it must pass; with half to four fifths of it clipped to white, 80 to 95 hundredths to black, all but
2 to 20 hundredths to either, in 1 to 5 hundredths of the grey scale, and in 4 to 31 greys, it must not."""


def failed_grey_checks(film: FloatImage) -> tuple[str, ...]:
    """Names of the plain checks of grey levels that a film (H, W) in [0, 1] fails."""
    radiograph = Radiograph(np.ascontiguousarray(film, np.float32), Projection.UNKNOWN, "exported")
    return tuple(name for name in GREY_CHECKS if not PLAIN_CHECKS[name](radiograph).passed)


def plain_rows(
    films: Sequence[FloatImage], owners: Sequence[str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One row an export of ``EXPORTS`` and film: ``group``, ``patient``, ``refused`` and ``reasons``."""
    rows = []
    for group, export in EXPORTS.items():
        for patient, film in zip(owners, films, strict=True):
            reasons = failed_grey_checks(export(film, rng))
            row = {"group": group, "patient": patient, "refused": float(bool(reasons))}
            rows.append({**row, "reasons": " ".join(reasons)})
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A framed picture, the group it is counted in, and the questions that should be answered with yes."""

    group: str
    patient: str
    framed: NDArray[np.uint8]
    faults: tuple[str, ...]

    @classmethod
    def of(
        cls,
        group: str,
        patient: str,
        film: NDArray[Any],
        size: int,
        faults: tuple[str, ...],
    ) -> Self:
        pixels = open_small(film) if film.dtype == np.uint16 else film
        framed = frame(np.ascontiguousarray(pixels, dtype=np.float32), size).pixels
        return cls(group, patient, np.rint(framed * 255).astype(np.uint8), faults)

    def film(self) -> FloatImage:
        """float32 (size, size) in [0, 1]."""
        return self.framed.astype(np.float32) / np.float32(255)


def accepted(store: FilmStore, owners: Sequence[str], size: int, rng: np.random.Generator) -> list[Picture]:
    """The films as they are, three times changed as films may be, and computed ones."""
    out = []
    for patient, film in zip(owners, store.frontal, strict=True):
        out.append(Picture.of(f"accept_{patient.split('-')[0]}", patient, film, size, ()))
        for _ in range(3):
            changed = distortions.permitted(open_small(film), rng)
            out.append(Picture.of(CHANGED, patient, changed, size, ()))
    for number, film in enumerate(store.phantom_frontal):
        out.append(Picture.of("accept_phantom", f"phantom-{number}", film, size, ()))
    return out


def refused(
    store: FilmStore, owners: Sequence[str], size: int, split: SplitName, rng: np.random.Generator
) -> list[Picture]:
    """Every way in which a picture can be wrong."""
    out = []
    for patient, stored in zip(owners, store.frontal, strict=True):
        film = open_small(stored)
        for turn in (1, 2, 3):
            turned = distortions.oriented(film, turn, mirrored=False, inverted=False)
            out.append(Picture.of(f"turned_{90 * turn}", patient, turned, size, ("turned",)))
        negative = distortions.oriented(film, 0, mirrored=False, inverted=True)
        out.append(Picture.of("inverted", patient, negative, size, ("inverted",)))
        swapped = distortions.oriented(film, 0, mirrored=True, inverted=False)
        out.append(Picture.of("mirrored", patient, swapped, size, ("mirrored",)))
        part = distortions.part_of_chest(film, rng)
        out.append(Picture.of("part_of_chest", patient, part, size, ("not_frontal",)))
    return out + _laterals(store, size) + _drawn(size, rng) + _pictures(store, size, split, rng)


def _laterals(store: FilmStore, size: int) -> list[Picture]:
    out = []
    for group, films in (("lateral", store.lateral), ("lateral_phantom", store.phantom_lateral)):
        for number, film in enumerate(films):
            for mirrored in (False, True):
                shown = distortions.oriented(open_small(film), 0, mirrored=mirrored, inverted=False)
                out.append(Picture.of(group, f"{group}-{number}", shown, size, ("not_frontal",)))
    return out


def _drawn(size: int, rng: np.random.Generator) -> list[Picture]:
    return [
        Picture.of(f"drawn_{part}", f"{part}-{number}", draw_radiograph(rng, part), size, ("not_frontal",))
        for part in BODY_PARTS
        for number in range(DRAWN_EACH)
    ]


def _pictures(store: FilmStore, size: int, split: SplitName, rng: np.random.Generator) -> list[Picture]:
    out = []
    if split == "test":
        for name in TEST_PHOTOGRAPHS:
            for turn in range(4):
                shown = np.ascontiguousarray(np.rot90(photograph(name), turn))
                out.append(Picture.of("photograph", name, small(shown), size, ("not_frontal",)))
    for number in range(40):
        out.append(
            Picture.of("no_radiograph", f"picture-{number}", draw_picture(rng), size, ("not_frontal",))
        )
    for number in range(10):
        sheet = contact_sheet([store.pick(rng, "frontal") for _ in range(2)])
        out.append(Picture.of("contact_sheet", f"sheet-{number}", sheet, size, ("not_frontal",)))
    return out
