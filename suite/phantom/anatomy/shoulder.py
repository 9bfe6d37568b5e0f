"""Clavicles, scapulae and arms."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.anatomy.lungs import SIDES
from suite.phantom.materials import CORTEX, FAT, MARROW, MUSCLE
from suite.phantom.mesh import Floats, Mesh, capped_tube, ellipsoid, loft, merge, resample, tube
from suite.phantom.scene import Priority, Scene


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add clavicles and scapulae; the arms come from ``add_arms``."""
    for side, name in SIDES:
        own = rng.normal(0.0, 1.0, 4)
        _add_clavicle(scene, frame, side, name, own)
        _add_scapula(scene, frame, side, name, own)


def clavicle_line(frame: Frame, side: int, rise: float, shift: float) -> Floats:
    """Centre line (n, 3) of one clavicle from sternum to acromion, unposed."""
    p = frame.patient
    k = p.half_width / 134.0
    z = p.clavicle_level * frame.height + shift
    y = float(frame.front(0.86 * frame.height)) - 9.0
    bow = p.clavicle_curve
    knots = np.asarray(
        [(17.0, y + 1.0, z), (34.0 * k, y - 7.0 * bow, z + 0.10 * rise),
         (66.0 * k, y - 8.0 * bow, z + 0.34 * rise + 4.0 * bow),
         (104.0 * k, y + 12.0, z + 0.66 * rise), (136.0 * k, y + 34.0, z + 0.92 * rise - 3.0 * bow),
         (164.0 * k, y + 44.0, z + rise)]
    )  # fmt: skip
    knots[:, 0] *= side
    return resample(knots, 40)


def _add_clavicle(scene: Scene, frame: Frame, side: int, name: str, own: Floats) -> None:
    p = frame.patient
    line = clavicle_line(frame, side, p.clavicle_rise + 3.0 * float(own[0]), 2.0 * float(own[1]))
    along = np.linspace(0.0, 1.0, len(line))
    size = 0.5 * (p.rib_height + p.half_width / 134.0)
    tall = size * np.interp(along, [0.0, 0.05, 0.2, 0.5, 0.8, 1.0], [8.5, 9.5, 6.8, 5.8, 6.0, 5.5])
    deep = size * np.interp(along, [0.0, 0.05, 0.2, 0.5, 0.8, 1.0], [9.0, 10.0, 6.6, 5.6, 7.5, 8.0])
    cortex = p.cortex * np.interp(along, [0.0, 0.15, 0.5, 0.85, 1.0], [0.4, 0.7, 1.1, 0.7, 0.4])
    label = f"clavicle_{name}"
    scene.add(label, tube(line, tall, deep, points=18), CORTEX, Priority.CORTEX + 2.0, label)
    scene.add(
        f"{label}_marrow",
        tube(line, tall - cortex, deep - cortex, points=18),
        MARROW,
        Priority.CORTEX + 2.5,
        label,
    )


def _add_scapula(scene: Scene, frame: Frame, side: int, name: str, own: Floats) -> None:
    p, L = frame.patient, frame.height  # noqa: N806 - lung height
    k = p.half_width / 134.0
    out = p.scapula_out + 0.06 * float(own[2])
    z = np.linspace(0.48, 0.93, 16) * L
    t = np.linspace(0.0, 1.0, 16)
    medial = (98.0 + 44.0 * out - 22.0 * t) * k
    lateral = (106.0 + 40.0 * out + (36.0 - 12.0 * out) * t) * k
    lateral = np.maximum(lateral, medial + 8.0)
    # The blade glides on the ribs and turns forward as the shoulders roll.
    y_medial, y_lateral = (back_of_cage(frame, x, z) for x in (medial, lateral))
    y_lateral = np.minimum(y_lateral, y_medial - 4.0) - 6.0 * out
    blade = _blade(side, medial, lateral, y_medial, y_lateral, z)
    glenoid = np.asarray([side * (lateral[-2] + 6.0), y_lateral[-2] - 2.0, 0.885 * L])
    acromion = shoulder_joint(frame, side) + [side * -4.0, 2.0, 30.0]
    ridge = np.asarray([[side * (medial[11] + 2.0), y_medial[11] + 5.0, z[11]],
                        [side * 0.5 * (medial[13] + lateral[13]), y_medial[13] + 12.0, z[13]],
                        acromion])  # fmt: skip
    border = np.stack([side * lateral, y_lateral, z], axis=1)
    inner = np.stack([side * medial, y_medial, z], axis=1)
    coracoid = np.asarray(
        [glenoid + [0, 0, 8.0], glenoid + [-side * 4.0, -14.0, 20.0], glenoid + [side * 4.0, -34.0, 12.0]]
    )
    parts = (
        (resample(border, 18), 3.4, 4.4, (0.0, 1.0, 0.0)),
        (resample(inner, 14), 1.8, 2.2, (0.0, 1.0, 0.0)),
        (resample(ridge, 18), 4.2, 5.5, (0.0, 0.3, 1.0)),
        (resample(coracoid, 10), 5.0, 5.5, (1.0, 0.0, 0.0)),
    )
    label = f"scapula_{name}"
    shells = [capped_tube(line, wide, deep, normal, 10) for line, wide, deep, normal in parts]
    cores = [
        tube(line, max(wide - 0.6, 0.8), max(deep - 0.6, 0.8), normal, 10)
        for line, wide, deep, normal in parts
    ]
    shells.append(ellipsoid(glenoid, (7.0, 13.0, 19.0), 12, 18))
    cores.append(ellipsoid(glenoid, (6.5, 12.5, 18.5), 12, 18))
    scene.add(f"{label}_blade", blade, MARROW.with_density(1.25), Priority.CORTEX - 4.0, label)
    scene.add(label, merge(shells), CORTEX, Priority.CORTEX - 3.5, label)
    scene.add(f"{label}_marrow", merge(cores), MARROW, Priority.CORTEX - 3.0, label)


def back_of_cage(frame: Frame, x: Floats, z: Floats) -> Floats:
    """y of the back of the rib cage, muscles included, under a point of the shoulder blade."""
    a = frame.half_width(z) + 16.0
    front, back = frame.front(z), frame.back(z) + 16.0
    middle = 0.5 * (front + back) + 0.06 * (back - front)
    inside = np.clip(1.0 - np.clip(x / a, 0.0, 0.999) ** (2 / 0.88), 0.02, 1.0)
    return np.asarray(middle + (back - middle) * inside**0.43)


def _blade(
    side: int, medial: Floats, lateral: Floats, y0: Floats, y1: Floats, z: Floats, thick: float = 2.4
) -> Mesh:
    u = np.concatenate([np.linspace(0.0, 1.0, 10), np.linspace(1.0, 0.0, 10)[1:-1]])
    face = np.concatenate([np.full(10, 0.5), np.full(8, -0.5)]) * thick
    x = side * (medial[:, None] + (lateral - medial)[:, None] * u)
    y = y0[:, None] + (y1 - y0)[:, None] * u + face
    return loft(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1))


def shoulder_joint(frame: Frame, side: int) -> Floats:
    """Centre of the humeral head, unposed."""
    k = 0.35 + 0.65 * frame.patient.half_width / 134.0
    if frame.patient.arms == "raised":
        return np.asarray([side * 118.0 * k, 0.0, 1.03 * frame.height])
    return np.asarray([side * 178.0 * k, 14.0, 0.91 * frame.height])


_ARM_AIM = {"hips": (0.62, 0.22, -0.78), "down": (0.20, 0.06, -1.0), "raised": (0.12, -0.55, 0.85)}


def add_arms(scene: Scene, frame: Frame) -> None:
    """Add upper arms as the patient holds them: flesh, humerus with cortex; names start with ``arm_``."""
    p = frame.patient
    for side, name in SIDES:
        joint = shoulder_joint(frame, side)
        aim = np.asarray(_ARM_AIM[p.arms]) * [side, 1.0, 1.0]
        aim = aim / np.linalg.norm(aim)
        far = joint + 300.0 * aim
        root = 45.0 if p.arms == "raised" else 14.0
        flesh = resample(np.stack([joint - root * aim, joint + 40.0 * aim, joint + 150.0 * aim, far]), 20)
        along = np.linspace(0.0, 1.0, 20)
        # Raised, the flesh runs out softly into the shoulder; hanging, the deltoid caps it.
        knots = (0.0, 0.06, 0.14, 0.3, 0.6, 1.0) if p.arms == "raised" else (0.0, 0.04, 0.1, 0.25, 0.6, 1.0)
        sizes = (
            (6.0, 16.0, 26.0, 38.0, 37.0, 34.0)
            if p.arms == "raised"
            else (14.0, 30.0, 38.0, 42.0, 38.0, 34.0)
        )
        radius = np.interp(along, knots, sizes) * (0.85 + 0.15 * p.muscle)
        scene.add(f"arm_fat_{name}", tube(flesh, radius + 0.6 * p.fat, radius + 0.6 * p.fat, points=22), FAT,
                  Priority.FAT, "body", "arms")  # fmt: skip
        scene.add(
            f"arm_muscle_{name}", tube(flesh, radius, radius, points=22), MUSCLE, Priority.MUSCLE, "body"
        )
        shaft = resample(np.stack([joint, joint + 60.0 * aim, far]), 16)
        wide = np.interp(np.linspace(0, 1, 16), [0.0, 0.1, 0.25, 1.0], [17.0, 16.0, 12.0, 11.0])
        label = f"humerus_{name}"
        head = ellipsoid(joint, (23.0, 23.0, 23.0), 14, 20)
        core = ellipsoid(joint, (22.5, 22.5, 22.5), 14, 20)
        thin = np.interp(np.linspace(0, 1, 16), [0.0, 0.15, 0.4, 1.0], [0.5, 1.2, 3.4, 4.0]) * p.cortex
        scene.add(
            f"arm_{label}", merge([head, tube(shaft, wide, wide, points=16)]), CORTEX, Priority.CORTEX, label
        )
        inner = merge([core, tube(shaft, wide - thin, wide - thin, points=16)])
        scene.add(f"arm_{label}_marrow", inner, MARROW, Priority.MARROW, label)


def raise_scapula(points: Floats, side: int) -> Floats:
    """A shoulder blade's points (n, 3) once the arm is raised: turned up about its top, drawn forward."""
    pivot = np.asarray(
        [0.5 * (points[:, 0].min() + points[:, 0].max()), points[:, 1].mean(), points[:, 2].max()]
    )
    a = np.deg2rad(38.0)
    c, s = np.cos(a), np.sin(a)
    d = points - pivot
    # The lower angle swings outwards and to the front.
    turned = np.stack(
        [c * d[:, 0] - side * s * d[:, 2], d[:, 1] + 0.25 * d[:, 2], side * s * d[:, 0] + c * d[:, 2]], 1
    )
    return np.asarray(pivot + turned + [-6.0 * side, -16.0, 16.0])
