"""The healthy thorax, organ by organ, and ``build_scene`` that puts it together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.phantom.anatomy import airways, body, heart, lungs, shoulder, skeleton, spine, vessels
from suite.phantom.anatomy.frame import Frame
from suite.phantom.patient import Arms, Patient
from suite.phantom.scene import Scene

_ORGANS = (body, lungs, heart, airways, spine, skeleton, shoulder, vessels)


def build_scene(patient: Patient) -> Scene:
    """The healthy thorax of one patient, posed as he or she stands or lies.

    The same parameters give the same scene. Pathology may edit its solids; ``scene.landmarks`` holds the
    posed landmarks.
    """
    scene = Scene()
    frame = Frame(patient)
    streams = np.random.SeedSequence(patient.seed).spawn(len(_ORGANS))
    for organ, stream in zip(_ORGANS, streams, strict=True):
        organ.add(scene, frame, np.random.default_rng(stream))
    body.add_envelope(scene, frame)
    shoulder.add_arms(scene, frame)
    scene.measurements = _measure(scene)
    posture = frame.posture()
    scene.move(posture)
    scene.landmarks = {name: posture(point[None])[0] for name, point in frame.landmarks().items()}
    return scene


def _measure(scene: Scene) -> dict[str, float]:
    """Widths in mm on the patient, before posture and magnification."""
    widths = {}
    for name in ("heart", "lung_left", "lung_right"):
        x = scene.find(name)[0].mesh.vertices[:, 0]
        widths[name] = (float(x.min()), float(x.max()))
    return {
        "heart_width_mm": widths["heart"][1] - widths["heart"][0],
        "thorax_width_mm": widths["lung_left"][1] - widths["lung_right"][0],
    }


def with_arms(scene: Scene, patient: Patient, arms: Arms) -> Scene:
    """A copy of a patient's scene with arms and shoulders held otherwise; the lateral film wants "raised"."""
    other = Scene([replace(solid) for solid in scene.solids], list(scene.capsules), dict(scene.landmarks),
                  dict(scene.measurements))  # fmt: skip
    other.remove("body_")
    other.remove("arm_")
    if arms == "raised" and patient.arms != "raised":
        for side, name in lungs.SIDES:
            _raise_scapula(other, side, name)
    frame = Frame(replace(patient, arms=arms))
    posed = Scene()
    body.add_envelope(posed, frame)
    shoulder.add_arms(posed, frame)
    posed.move(frame.posture())
    other.solids += posed.solids
    return other


def _raise_scapula(scene: Scene, side: int, name: str) -> None:
    """Turn all parts of one shoulder blade as one piece."""
    parts = scene.find(f"scapula_{name}")
    points = shoulder.raise_scapula(np.concatenate([part.mesh.vertices for part in parts]), side)
    ends = np.cumsum([len(part.mesh.vertices) for part in parts])[:-1]
    for part, moved in zip(parts, np.split(points, ends), strict=True):
        part.mesh = replace(part.mesh, vertices=moved)
