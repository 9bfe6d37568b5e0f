"""The healthy thorax, organ by organ, and ``build_scene`` that puts it together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.phantom.anatomy import airways, body, heart, lungs, shoulder, skeleton, spine, vessels
from suite.phantom.anatomy.frame import Frame
from suite.phantom.patient import Arms, Patient
from suite.phantom.scene import Scene

_ORGANS = (body, lungs, heart, airways, spine, skeleton, shoulder, vessels)


def build_scene(patient: Patient, arms: Arms | None = None) -> Scene:
    """The healthy thorax of one patient, posed as he or she stands or lies.

    Args:
        patient: the parameters; the same parameters give the same scene.
        arms: "hips", "down" or "raised" instead of the patient's own (the lateral film wants them raised).

    Returns:
        A scene whose solids pathology may edit. ``scene.landmarks`` holds the posed landmarks.
    """
    scene = Scene()
    if arms is not None:
        patient = replace(patient, arms=arms)
    frame = Frame(patient)
    streams = np.random.SeedSequence(patient.seed).spawn(len(_ORGANS))
    for organ, stream in zip(_ORGANS, streams, strict=True):
        organ.add(scene, frame, np.random.default_rng(stream))
    shoulder.add_arms(scene, frame)
    posture = frame.posture()
    scene.move(posture)
    scene.landmarks = {name: posture(point[None])[0] for name, point in frame.landmarks().items()}
    return scene
