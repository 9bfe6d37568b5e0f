"""Shoulder: the computed chest's own, with a humerus that stands up to a close look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.phantom.anatomy import build_scene
from suite.phantom.limbs.workshop import Workshop
from suite.phantom.mesh import Floats
from suite.phantom.patient import Patient
from suite.phantom.scene import Priority


def add(w: Workshop) -> tuple[Floats, Floats]:
    """Fill the scene with a chest and a right humerus; returns the joint's centre and the arm's direction."""
    patient = Patient.draw(w.rng)
    patient = replace(patient, arms="down", rotation=float(w.rng.normal(-12.0, 6.0)), breasts=0.0)
    chest = build_scene(patient)
    arm = chest.find("arm_humerus_right")
    joint = np.asarray(arm[0].mesh.vertices[:280].mean(axis=0))
    far = arm[0].mesh.vertices[-1]
    chest.remove("arm_humerus_right")
    for unseen in ("colon_gas", "stomach", "abdomen", "cartilage"):
        chest.remove(unseen)
    for solid in chest.solids:
        if "body" in solid.labels:
            solid.labels = (*solid.labels, "soft")
    w.scene.solids, w.scene.capsules = chest.solids, chest.capsules
    aim = (far - joint) / np.linalg.norm(far - joint)
    _add_humerus(w, joint, aim)
    return joint, aim


def _add_humerus(w: Workshop, joint: Floats, aim: Floats) -> None:
    out = np.asarray([-1.0, 0.0, 0.0])
    shaft = joint + 7.0 * out
    # The head looks inwards and up; the tubercles lie outside and in front.
    knobs = [
        w.knob(joint, (22.5, 22.0, 23.0), 0.0, 0.8),
        w.knob(joint + 16.0 * out + [0.0, -4.0, -2.0], (9.5, 13.0, 16.0), 14.0, 0.9),
        w.knob(joint + 8.0 * out + [0.0, -17.0, -9.0], (7.5, 6.0, 11.0), 0.0, 0.9),
    ]
    w.long_bone(
        "humerus",
        [shaft + 2.0 * aim, shaft + 45.0 * aim - 3.0 * out, shaft + 120.0 * aim - 4.0 * out,
         shaft + 300.0 * aim],
        [(0.0, 14.0, 16.0), (0.06, 17.5, 17.0), (0.12, 16.5, 16.0), (0.2, 13.5, 13.5), (0.35, 11.6, 12.0),
         (1.0, 11.0, 11.0)],
        [(0.0, 0.9), (0.12, 1.2), (0.28, 3.0), (0.45, 4.2), (1.0, 4.6)],
        ends=(9.0, 1.0), canal=(0.2, 1.0), knobs=knobs, level=Priority.MARROW - Priority.CORTEX + 0.5,
    )  # fmt: skip
