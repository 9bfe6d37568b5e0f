"""Cardiomegaly and the enlarged cardiomediastinum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from suite.phantom.mesh import Floats, loft
from suite.phantom.pathology.contract import Pathology, label
from suite.phantom.pathology.fracture import rings_of
from suite.phantom.pathology.site import Site, smoothstep
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene, Solid


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
        aorta_mm: radius of the arch when that is what widens it, 0 to leave the patient's own.
    """

    code: ClassVar[str] = "enlarged_cardiomediastinum"
    widening: float = 1.8
    aorta_mm: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> EnlargedCardiomediastinum:
        """Fat, blood or nodes around it, or a wide aorta (in the old), or both."""
        aorta = rng.random() < (0.6 if patient.age > 55.0 else 0.25)
        wide = 1.0 if aorta and rng.random() < 0.5 else float(rng.uniform(1.5, 2.5))
        return cls(wide, float(rng.uniform(20.0, 32.0)) if aorta else 0.0)

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Widen what lies between the heart's waist and the clavicles, and label that part."""
        site = Site(scene, patient)
        low, high = 0.48 * site.height, 0.98 * site.height
        wide = max(1.0, self.widening * max(1.0, 1.0 / patient.mediastinum_width))

        def widen(points: Floats) -> Floats:
            more = 1.0 + (wide - 1.0) * _swell(points[:, 2], low, high)
            return np.column_stack([points[:, 0] * more, points[:, 1:]])

        site.deform(widen, "mediastinum")
        if self.aorta_mm > patient.aorta_radius:
            self._swell_aorta(site, patient, low, high)
        for name in ("mediastinum", "aorta"):
            for solid in scene.find(name):
                _label_between(site, solid, low, high, label(self.code))
        points = np.concatenate([s.mesh.vertices for s in scene.solids if label(self.code) in s.labels])
        scene.measurements["mediastinum_width_mm"] = float(np.ptp(points[:, 0]))

    def _swell_aorta(self, site: Site, patient: Patient, low: float, high: float) -> None:
        for solid in site.scene.find("aorta"):
            rings = rings_of(solid.mesh)
            line = rings.mean(axis=1, keepdims=True)
            grow = (self.aorta_mm / patient.aorta_radius - 1.0) * _swell(line[:, :, 2], low, high)
            solid.mesh = loft(line + (1.0 + grow[..., None]) * (rings - line))


def _swell(z: Floats, low: float, high: float) -> Floats:
    """1 in the middle of a range of heights, falling to 0 at its ends."""
    return smoothstep((z - low) / 45.0) * smoothstep((high - z) / 75.0)


def _label_between(site: Site, solid: Solid, low: float, high: float, name: str) -> None:
    """Cut a solid at two unposed heights into three that fill the same space; the middle one is labelled."""
    z = site.unpose(solid.mesh.vertices)[:, 2]
    parts = ((float(z.min()), low, ()), (low, high, (name,)), (high, float(z.max()), ()))
    site.scene.solids.remove(solid)
    for k, (bottom, top, labels) in enumerate(parts):
        if max(bottom, float(z.min())) < min(top, float(z.max())):
            piece = solid.mesh.moved(_between(site, bottom, top))
            own = replace(solid, name=f"{solid.name}_part{k}", mesh=piece, labels=(*solid.labels, *labels))
            site.scene.solids.append(own)


def _between(site: Site, low: float, high: float) -> Callable[[Floats], Floats]:
    def change(points: Floats) -> Floats:
        flat = site.unpose(points)
        return site.pose(np.column_stack([flat[:, :2], np.clip(flat[:, 2], low, high)]))

    return change
