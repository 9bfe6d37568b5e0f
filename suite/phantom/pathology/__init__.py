"""Pathology of the digital thorax: the 13 findings as changes of the anatomy in 3-D.

Each finding is a frozen dataclass of millimetres and severities. ``draw_findings`` draws what a patient has;
``apply`` edits a scene; ``render_study(..., findings=...)`` does both. ``docs/phantom_findings.md`` shows the
parameters of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from suite.phantom.pathology.airspace import Consolidation, Focus, LungOpacity, Pneumonia
from suite.phantom.pathology.atelectasis import Atelectasis, Collapse, Plate
from suite.phantom.pathology.contract import Pathology
from suite.phantom.pathology.devices import Device, SupportDevices
from suite.phantom.pathology.draw import (
    CLASSES,
    HEALTHY,
    PREVALENCE,
    draw_findings,
    findings_from,
    labels_of,
    noisy_labels,
)
from suite.phantom.pathology.edema import Edema
from suite.phantom.pathology.effusion import Effusion, PleuralEffusion
from suite.phantom.pathology.fracture import Break, Fracture
from suite.phantom.pathology.heart import Cardiomegaly, EnlargedCardiomediastinum
from suite.phantom.pathology.lesion import Lesion, LungLesion
from suite.phantom.pathology.pleura import Plaque, PleuralOther, Rind
from suite.phantom.pathology.pneumothorax import Pneumothorax
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene

__all__ = [
    "CLASSES",
    "HEALTHY",
    "PREVALENCE",
    "Atelectasis",
    "Break",
    "Cardiomegaly",
    "Collapse",
    "Consolidation",
    "Device",
    "Edema",
    "Effusion",
    "EnlargedCardiomediastinum",
    "Focus",
    "Fracture",
    "Lesion",
    "LungLesion",
    "LungOpacity",
    "Pathology",
    "Plaque",
    "Plate",
    "PleuralEffusion",
    "PleuralOther",
    "Pneumonia",
    "Pneumothorax",
    "Rind",
    "SupportDevices",
    "apply",
    "draw_findings",
    "findings_from",
    "labels_of",
    "noisy_labels",
]


def apply(findings: Sequence[Any], scene: Scene, patient: Patient, rng: np.random.Generator) -> Scene:
    """Put findings into a posed scene, in place, and return it.

    ``patient`` holds the parameters the scene was built from; findings that change those (a larger heart)
    must have changed them before (``Pathology.change_patient``). Each finding draws from its own stream.
    """
    for finding, own in zip(findings, rng.spawn(len(findings)), strict=True):
        finding.change_scene(scene, patient, own)
    return scene
