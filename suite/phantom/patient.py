"""The parameters of one computed patient and of how the films were taken: frozen, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Sex = Literal["F", "M"]
Arms = Literal["hips", "down", "raised"]
View = Literal["PA", "AP"]
VENDORS = ("film", "flat", "crisp", "equalised", "soft", "dark")
"""Display styles, see ``suite.phantom.display``."""


@dataclass(frozen=True, slots=True)
class Technique:
    """How the frontal film was taken and processed.

    Attributes:
        projection: PA erect (180 cm) or AP supine (100 to 120 cm).
        kvp: tube voltage of the standard film.
        sid: source to detector, mm.
        gap: detector to the nearest skin, mm.
        field_mm: side of the square film at the detector.
        shift_x, shift_z: decentring of the film in mm.
        exposure_ugy: air kerma at the detector in the open beam.
        grid: an anti-scatter grid was used.
        vendor: display style.
        gamma, level: the display's random tone, around 1 and 0.
        collimation: (left, right, top, bottom) shares of the film that the shutters cover, 0 to 0.1.
        marker: lead letter on the film, "L" or "R" (the patient's side it lies on); empty for none.
        marker_place, lettering_place: (column, row) of the middle, as shares of the film.
        marker_turn: how far the letter lies askew, degrees.
        lettering: what the display writes on the film.
    """

    projection: View = "PA"
    kvp: float = 120.0
    sid: float = 1800.0
    gap: float = 25.0
    field_mm: float = 365.0
    shift_x: float = 0.0
    shift_z: float = 0.0
    exposure_ugy: float = 2.5
    grid: bool = True
    vendor: str = "flat"
    gamma: float = 1.0
    level: float = 0.0
    collimation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    marker: str = ""
    marker_place: tuple[float, float] = (0.93, 0.06)
    marker_turn: float = 0.0
    lettering: str = ""
    lettering_place: tuple[float, float] = (0.1, 0.05)


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient. Lengths in mm, angles in degrees, factors around one.

    Attributes:
        seed: of everything drawn while the anatomy is built (vessel trees, textures).
        lung_height: apex to lateral costophrenic angle at full inspiration.
        half_width: inner half-width of the thorax at its widest.
        depth: factor on the front-to-back diameter.
        inspiration: 1 full; smaller raises the diaphragm and steepens the ribs.
        fat: thickness of the subcutaneous fat at the chest; muscle: factor on muscle thickness.
        breasts: volume factor, 0 for none.
        cardiothoracic: wanted ratio of heart to inner thoracic width on the patient (before magnification).
        kyphosis, scoliosis: extra curve of the spine, mm of displacement at its middle.
        rotation: about z, positive turns the left shoulder to the back; tilt: about x, positive leans the
            head back (lordotic film); roll: about y.
    """

    seed: int = 0
    sex: Sex = "M"
    age: float = 50.0
    lung_height: float = 248.0
    half_width: float = 134.0
    depth: float = 1.0
    inspiration: float = 1.0
    fat: float = 10.0
    muscle: float = 1.0
    breasts: float = 0.0
    cardiothoracic: float = 0.45
    heart_tilt: float = 0.0
    dome_right: float = 50.0
    dome_gap: float = 12.0
    dome_shape: float = 1.0
    aorta_radius: float = 12.5
    aorta_unfolding: float = 0.0
    mediastinum_width: float = 1.0
    rib_slope: float = 1.0
    rib_height: float = 1.0
    rib_thickness: float = 1.0
    cortex: float = 1.0
    apex_width: float = 1.0
    wall_shape: float = 1.0
    clavicle_rise: float = 28.0
    clavicle_level: float = 0.865
    clavicle_curve: float = 1.0
    scapula_out: float = 0.6
    arms: Arms = "hips"
    kyphosis: float = 0.0
    scoliosis: float = 0.0
    rotation: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0
    lung_density: float = 0.19
    vessels: float = 1.0
    calcified_cartilage: float = 0.0
    stomach_bubble: float = 1.0
    colon_gas: float = 0.0
    technique: Technique = Technique()

    @staticmethod
    def draw(rng: np.random.Generator) -> Patient:
        """A patient from the general adult population, and how the films were taken."""
        sex: Sex = "F" if rng.random() < 0.48 else "M"
        female = sex == "F"
        age = float(np.clip(rng.normal(54.0, 17.0), 18.0, 94.0))
        old = float(np.clip((age - 40.0) / 45.0, 0.0, 1.0))
        habitus = float(np.clip(rng.normal(0.0, 1.0), -1.8, 2.6))
        technique = _draw_technique(rng, habitus)
        supine = technique.projection == "AP"
        height = rng.normal(243.0 if female else 263.0, 14.0)
        width = rng.normal(124.0 if female else 136.0, 7.0) + 2.0 * max(habitus, 0.0)
        inspiration = 1.0 - abs(rng.normal(0.0, 0.07)) - (rng.uniform(0.05, 0.30) if supine else 0.0)
        patient = Patient(
            seed=int(rng.integers(2**31)),
            sex=sex,
            age=age,
            lung_height=float(np.clip(height, 195.0, 300.0)),
            half_width=float(np.clip(width, 104.0, 158.0)),
            depth=float(np.clip(rng.normal(1.0 + 0.08 * old + 0.04 * habitus, 0.08), 0.8, 1.35)),
            inspiration=float(np.clip(inspiration, 0.55, 1.0)),
            fat=float(np.clip((16.0 if female else 11.0) + 7.0 * habitus, 3.0, 42.0)),
            muscle=float(np.clip(rng.normal(0.85 if female else 1.1, 0.15) - 0.15 * old, 0.5, 1.5)),
            breasts=float(np.clip(rng.normal(0.55 + 0.22 * habitus, 0.25), 0.1, 1.5)) if female else 0.0,
            cardiothoracic=float(np.clip(rng.normal(0.452 + 0.03 * old, 0.04), 0.36, 0.53)),
            heart_tilt=float(rng.normal(8.0 * min(habitus, 1.5), 7.0)),
            dome_right=float(np.clip(rng.normal(50.0, 10.0), 22.0, 75.0)),
            dome_gap=float(np.clip(rng.normal(11.0, 8.0), -6.0, 28.0)),
            dome_shape=float(rng.uniform(0.75, 1.35)),
            aorta_radius=float(np.clip(rng.normal(11.5 + 3.0 * old, 1.2), 9.0, 18.0)),
            aorta_unfolding=float(np.clip(rng.normal(0.75 * old, 0.25), 0.0, 1.4)),
            mediastinum_width=float(np.clip(rng.normal(1.0 + 0.06 * habitus, 0.12), 0.7, 1.45)),
            rib_slope=float(np.clip(rng.normal(1.0, 0.16) + 0.5 * (1.0 - inspiration), 0.55, 1.6)),
            rib_height=float(np.clip(rng.normal(0.95 if female else 1.08, 0.12), 0.7, 1.4)),
            rib_thickness=float(np.clip(rng.normal(0.95 if female else 1.05, 0.12), 0.7, 1.4)),
            cortex=float(np.clip(rng.normal(1.05 - 0.3 * old, 0.15), 0.5, 1.4)),
            apex_width=float(np.clip(rng.normal(1.0, 0.07), 0.82, 1.2)),
            wall_shape=float(np.clip(rng.normal(1.0, 0.3), 0.2, 1.9)),
            clavicle_rise=float(np.clip(rng.normal(26.0, 14.0) + (12.0 if supine else 0.0), -8.0, 65.0)),
            clavicle_level=float(np.clip(rng.normal(0.868, 0.022) + (0.03 if supine else 0.0), 0.79, 0.95)),
            clavicle_curve=float(rng.uniform(0.5, 1.5)),
            scapula_out=float(rng.uniform(0.0, 0.4) if supine else rng.uniform(0.25, 1.0)),
            arms=_draw_arms(rng, supine),
            kyphosis=float(rng.normal(8.0 * old, 6.0)),
            scoliosis=float(rng.normal(0.0, 4.0) + (rng.normal(0.0, 9.0) if rng.random() < 0.12 else 0.0)),
            rotation=float(rng.normal(0.0, 4.5 if supine else 2.8)),
            tilt=float(rng.normal(3.0 if supine else 0.0, 5.0 if supine else 2.5)),
            roll=float(rng.normal(0.0, 2.8 if supine else 1.8)),
            lung_density=float(
                np.clip(rng.normal(0.185 - 0.025 * old, 0.022) / max(inspiration, 0.7), 0.11, 0.30)
            ),
            vessels=float(np.clip(rng.normal(1.0, 0.13), 0.65, 1.4)),
            calcified_cartilage=float(np.clip(rng.normal(0.75 * old, 0.25), 0.0, 1.0)),
            stomach_bubble=float(rng.uniform(0.3, 1.3)) if rng.random() < 0.6 else 0.0,
            colon_gas=float(rng.uniform(0.3, 1.3)) if rng.random() < 0.3 else 0.0,
            technique=technique,
        )
        return patient.with_technique(**_draw_marks(rng, supine))

    def with_technique(self, **changes: Any) -> Patient:
        """The same patient, exposed or displayed differently."""
        return replace(self, technique=replace(self.technique, **changes))


def _draw_arms(rng: np.random.Generator, supine: bool) -> Arms:
    u = rng.random()
    if supine:
        return "down" if u < 0.85 else "raised"
    return "hips" if u < 0.75 else "down"


def _draw_marks(rng: np.random.Generator, supine: bool) -> dict[str, Any]:
    left = rng.random() < 0.75
    column, row = rng.uniform(0.03, 0.13), rng.uniform(0.03, 0.16)
    words = ("PORTABLE", "AP SUPINE", "AP", "SUPINE") if supine else ("PA", "ERECT", "PA ERECT")
    written = rng.random() < (0.5 if supine else 0.12)
    return {
        "marker": ("L" if left else "R") if rng.random() < 0.85 else "",
        "marker_place": (float(1.0 - column if left else column), float(row)),
        "marker_turn": float(rng.normal(0.0, 9.0)),
        "lettering": str(rng.choice(words)) if written else "",
        "lettering_place": (float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.03, 0.1))),
    }


def _draw_technique(rng: np.random.Generator, habitus: float) -> Technique:
    supine = rng.random() < 0.25
    field = rng.normal(342.0, 13.0) if rng.random() < 0.6 else rng.uniform(350.0, 415.0)
    collimated = rng.random() < 0.2
    shutters = rng.uniform(0.0, 0.06, 4) * (rng.random(4) < 0.5) if collimated else np.zeros(4)
    return Technique(
        projection="AP" if supine else "PA",
        kvp=float(rng.choice([80.0, 90.0, 100.0]) if supine else rng.choice([110.0, 120.0, 125.0])),
        sid=float(rng.uniform(1000.0, 1200.0) if supine else rng.uniform(1800.0, 1830.0)),
        gap=float(rng.uniform(20.0, 60.0)),
        field_mm=float(field + max(habitus, 0.0) * 6.0),
        shift_x=float(rng.normal(0.0, 12.0 if supine else 8.0)),
        shift_z=float(rng.normal(0.0, 12.0)),
        exposure_ugy=float(np.exp(rng.normal(np.log(60.0), 0.45))),
        grid=bool(not supine or rng.random() < 0.4),
        vendor=str(rng.choice(VENDORS)),
        gamma=float(np.exp(rng.normal(0.0, 0.16))),
        level=float(rng.normal(0.0, 0.035)),
        collimation=(float(shutters[0]), float(shutters[1]), float(shutters[2]), float(shutters[3])),
    )
