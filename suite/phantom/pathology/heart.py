"""Cardiomegaly and the enlarged cardiomediastinum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from suite.phantom.mesh import Floats
from suite.phantom.pathology.contract import Pathology, label
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene, Solid

Cause = Literal["mediastinum", "aneurysm", "both"]


@dataclass(frozen=True, slots=True)
class Cardiomegaly(Pathology):
    """A heart too wide for its chest; its mask is the heart's shadow.

    Attributes:
        ratio: cardiothoracic ratio of the patient before magnification; healthy hearts end at 0.53.
    """

    code: ClassVar[str] = "cardiomegaly"
    ratio: float = 0.60

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Cardiomegaly:
        """Mostly moderate, seldom huge."""
        return cls(float(np.clip(0.55 + rng.gamma(1.6, 0.028), 0.55, 0.74)))

    def change_patient(self, patient: Patient, rng: np.random.Generator) -> Patient:
        """Give the patient the larger heart."""
        return replace(patient, cardiothoracic=max(self.ratio, patient.cardiothoracic))

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Name the heart as the finding."""
        for solid in scene.find("heart"):
            solid.labels = (*solid.labels, label(self.code))
            width = float(np.ptp(solid.mesh.vertices[:, 0]))
            scene.measurements["cardiomegaly_heart_width_mm"] = width


@dataclass(frozen=True, slots=True)
class EnlargedCardiomediastinum(Pathology):
    """A widened mediastinum above the heart; its mask is the upper mediastinum's whole shadow.

    Attributes:
        widening: factor on the mediastinum's width.
        aorta_mm: radius of the aorta when that is what widens it, 0 to leave the patient's own.
    """

    code: ClassVar[str] = "enlarged_cardiomediastinum"
    widening: float = 1.8
    aorta_mm: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> EnlargedCardiomediastinum:
        """Fat, blood or nodes around it, or a wide aorta (in the old), or both."""
        aorta = rng.random() < (0.6 if patient.age > 55.0 else 0.25)
        wide = 1.0 if aorta and rng.random() < 0.5 else float(rng.uniform(1.45, 2.4))
        return cls(wide, float(rng.uniform(20.0, 32.0)) if aorta else 0.0)

    def change_patient(self, patient: Patient, rng: np.random.Generator) -> Patient:
        """Widen mediastinum and aorta."""
        width = patient.mediastinum_width
        return replace(
            patient,
            mediastinum_width=max(width, 1.0) * self.widening if self.widening > 1.0 else width,
            aorta_radius=max(self.aorta_mm, patient.aorta_radius),
        )

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Label what lies between the heart's waist and the clavicles, without changing its shape."""
        low = float(scene.landmarks["carina"][2]) - 0.10 * patient.lung_height
        high = float(scene.landmarks["apex_left"][2]) - 0.03 * patient.lung_height
        for name in ("mediastinum", "aorta"):
            for solid in scene.find(name):
                _label_between(scene, solid, low, high, label(self.code))
        wide = [s.mesh.vertices for s in scene.find("aorta") + scene.find("mediastinum")]
        points = np.concatenate(wide)
        points = points[(points[:, 2] > low + 10.0) & (points[:, 2] < high - 10.0)]
        if len(points):
            scene.measurements["mediastinum_width_mm"] = float(np.ptp(points[:, 0]))


def _label_between(scene: Scene, solid: Solid, low: float, high: float, name: str) -> None:
    """Cut a solid at two heights into three that fill the same space; the middle one gets the label."""
    lowest, highest = float(solid.mesh.vertices[:, 2].min()), float(solid.mesh.vertices[:, 2].max())
    parts = ((lowest, low, ()), (low, high, (name,)), (high, highest, ()))
    scene.solids.remove(solid)
    for k, (bottom, top, labels) in enumerate(parts):
        if max(bottom, lowest) < min(top, highest):
            piece = solid.mesh.moved(_between(bottom, top))
            own = replace(solid, name=f"{solid.name}_part{k}", mesh=piece, labels=(*solid.labels, *labels))
            scene.solids.append(own)


def _between(low: float, high: float) -> Callable[[Floats], Floats]:
    def change(points: Floats) -> Floats:
        return np.column_stack([points[:, :2], np.clip(points[:, 2], low, high)])

    return change
