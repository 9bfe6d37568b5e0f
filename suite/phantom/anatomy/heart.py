"""Heart, great vessels, mediastinal tissue and hila."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.frame import Frame
from suite.phantom.materials import BLOOD, CALCIUM, SOFT
from suite.phantom.mesh import Floats, Mesh, blob, loft, resample, tube
from suite.phantom.scene import Priority, Scene

# Mediastinal half-width to the right and left (mm) by height; the silhouette above heart and knob.
_H = np.asarray([-0.10, 0.20, 0.40, 0.55, 0.66, 0.75, 0.85, 0.95, 1.05, 1.20])
_RIGHT = np.asarray([15.0, 16.0, 19.0, 24.0, 26.0, 27.0, 27.0, 26.0, 26.0, 28.0])
_LEFT = np.asarray([15.0, 17.0, 20.0, 24.0, 24.0, 25.0, 27.0, 26.0, 25.0, 27.0])

# Chambers as (centre, radii, lean in the frontal plane in degrees), mm about the heart's middle for a heart
# that is 122 mm wide.
_CHAMBERS = (
    ("right_atrium", (-15.0, -12.0, 0.0), (27.0, 40.0, 44.0), 0.0),
    ("left_ventricle", (36.0, -20.0, -12.0), (62.0, 46.0, 40.0), -38.0),
    ("right_ventricle", (16.0, -42.0, -18.0), (50.0, 36.0, 42.0), -15.0),
    ("left_atrium", (10.0, 14.0, 22.0), (38.0, 32.0, 36.0), 0.0),
    ("outflow", (20.0, -20.0, 30.0), (28.0, 34.0, 38.0), 18.0),
)


def add(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    """Add heart, aorta, caval veins, pulmonary trunk, hila and mediastinal tissue."""
    scene.add(
        "mediastinum", mediastinum_mesh(frame), SOFT.with_density(1.0), Priority.MEDIASTINUM, "mediastinum"
    )
    scene.add("heart", heart_mesh(frame), BLOOD, Priority.HEART, "heart", motion=1.0)
    _add_apical_fat(scene, frame, rng)
    _add_aorta(scene, frame, rng)
    _add_veins(scene, frame)
    _add_hila(scene, frame, rng)


def mediastinum_mesh(frame: Frame, widen: float = 1.0) -> Mesh:
    """The tissue between the lungs; ``widen`` scales its half-widths."""
    h = np.linspace(-0.1, 1.2, 34)
    z = h * frame.height
    wide = frame.patient.mediastinum_width * widen
    # Above the apices the neck's own width must not grow with the mediastinum's.
    factor = 1.0 + (wide - 1.0) * np.clip((1.05 - h) / 0.2, 0.0, 1.0)
    right, left = (
        np.interp(h, _H, half) * factor + _wander(frame, h, k) for k, half in enumerate((_RIGHT, _LEFT))
    )
    front, back = frame.front(z) + 2.0, frame.spine_y(z) + 4.0
    angle = 2.0 * np.pi * np.arange(40) / 40
    s, c = np.sin(angle), np.cos(angle)
    x = np.where(s > 0.0, left[:, None], right[:, None]) * np.sign(s) * np.abs(s) ** 1.45
    # Lungs meet behind the sternum: the front is a wedge.
    x = x * np.where(c < -0.5, 1.0 - 0.55 * (-c - 0.5) / 0.5, 1.0)
    y = (0.5 * (front + back))[:, None] + (0.5 * (back - front))[:, None] * np.sign(c) * np.abs(c) ** 0.95
    return loft(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1))


def _wander(frame: Frame, h: Floats, which: int) -> Floats:
    """How far this patient's mediastinal border strays from the common one, mm."""
    phase = np.random.default_rng([frame.patient.seed, 31, which]).normal(0.0, 1.0, 4)
    waves = (
        phase[0] * np.sin(7.0 * h) + phase[1] * np.cos(7.0 * h) + 0.5 * phase[2] * np.sin(17.0 * h + phase[3])
    )
    return np.asarray(1.6 * waves * np.clip((1.1 - h) / 0.2, 0.0, 1.0))


def heart_mesh(frame: Frame, scale: float = 1.0) -> Mesh:
    """The heart with its pericardium as one smooth body, ``scale`` times the patient's own size."""
    p = frame.patient
    width = 2.0 * 0.985 * p.half_width * p.cardiothoracic * scale
    k = width / 126.0
    middle = np.asarray([0.0, 4.0 * (p.depth - 1.0), frame.heart_z() + 8.0 * (k - 1.0)])
    # A deep breath or a long chest hangs the heart upright; a short one lays it down.
    lean = -p.heart_tilt + 10.0 * (frame.height / 248.0 - 1.0) * 5.0 - 40.0 * (1.0 - p.inspiration)
    deep = 1.0 - 0.25 * (1.0 - p.inspiration)
    parts = []
    for _, centre, radii, angle in _CHAMBERS:
        axes = _frontal_axes(angle + (0.6 * lean if centre[0] > 30.0 else 0.2 * lean))
        turned = np.asarray(centre) @ _frontal_axes(0.25 * lean)
        parts.append((middle + k * turned * [1.0, deep, 1.0], k * np.asarray(radii) * [1.0, deep, 1.0], axes))
    return blob(middle + k * np.asarray([12.0, -16.0, 4.0]), parts, sharpness=0.3 / k)


def _frontal_axes(degrees: float) -> Floats:
    a = np.deg2rad(degrees)
    return np.asarray([[np.cos(a), 0.0, np.sin(a)], [0.0, 1.0, 0.0], [-np.sin(a), 0.0, np.cos(a)]])


def _add_apical_fat(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    p = frame.patient
    size = float(np.clip(rng.normal(0.7 + 0.015 * p.fat, 0.25), 0.3, 1.6))
    reach = 0.985 * p.half_width * p.cardiothoracic
    z = frame.heart_z() - 26.0
    for side, x in ((-1, -0.42 * reach), (1, 1.08 * reach)):
        radii = np.asarray([20.0, 24.0, 15.0]) * size
        part = (np.asarray([x, -52.0, z - 2.0]), radii, _frontal_axes(side * -25.0))
        scene.add(f"apical_fat_{side:+d}", blob(part[0], [part], 12, 20), SOFT.with_density(0.96),
                  Priority.MEDIASTINUM - 1.0, "heart_fat")  # fmt: skip


def aorta_line(frame: Frame) -> Floats:
    """Centre line (n, 3) of the thoracic aorta from the valve over the arch to the diaphragm, unposed."""
    p, L = frame.patient, frame.height  # noqa: N806 - lung height
    u = p.aorta_unfolding
    arch = (0.695 + 0.03 * u) * L
    spine = float(frame.spine_y(0.6 * L))
    z0 = frame.heart_z() + 22.0
    knots = [
        (6.0, -16.0, z0), (-9.0 - 5.0 * u, -22.0, z0 + 0.45 * (arch - z0)),
        (-7.0 - 5.0 * u, -16.0, arch - 10.0), (4.0, -4.0, arch), (24.0 + 4.0 * u, spine - 36.0, arch - 3.0),
        (27.0 + 4.5 * u, spine - 14.0, arch - 15.0), (22.0 + 6.0 * u, spine - 4.0, arch - 45.0),
        (17.0 + 7.0 * u, spine - 8.0, 0.40 * L),
        (10.0 + 6.0 * u, float(frame.spine_y(0.2 * L)) - 20.0, 0.2 * L),
        (5.0, float(frame.spine_y(0.0)) - 26.0, -0.1 * L),
    ]  # fmt: skip
    return resample(np.asarray(knots), 56)


def _add_aorta(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    p = frame.patient
    line = aorta_line(frame)
    along = np.linspace(0.0, 1.0, len(line))
    radius = p.aorta_radius * np.interp(along, [0.0, 0.2, 0.45, 1.0], [1.2, 1.2, 1.05, 0.85])
    scene.add(
        "aorta", tube(line, radius, radius, (0.3, 1.0, 0.2), 20), BLOOD, Priority.HEART, "aorta", motion=0.4
    )
    if p.age > 60.0 and rng.random() < (p.age - 60.0) / 45.0:
        part = line[20 : 20 + int(rng.integers(4, 9))]
        outer = part * [1.0, 1.0, 1.0] + [p.aorta_radius * 0.9, 0.0, 0.0]
        scene.add(
            "aortic_calcification", tube(outer, 0.6, 4.0, (0.0, 0.0, 1.0), 8), CALCIUM, Priority.AIRWAY - 1
        )


def _add_veins(scene: Scene, frame: Frame) -> None:
    L = frame.height  # noqa: N806 - lung height
    wide = frame.patient.mediastinum_width
    z0 = frame.heart_z() + 25.0
    cava = resample(
        np.asarray([(-16.0, -8.0, z0), (-15.0 * wide, -16.0, 0.66 * L), (-12.0 * wide, -24.0, 0.78 * L),
                    (-11.0, -30.0, 0.90 * L)]), 20)  # fmt: skip
    scene.add(
        "vena_cava_superior",
        tube(cava, 9.0, 9.0, points=14),
        BLOOD,
        Priority.HEART,
        "mediastinum",
        motion=0.2,
    )
    low = np.asarray([(-18.0, 4.0, frame.heart_z() - 10.0), (-20.0, 8.0, frame.heart_z() - 70.0)])
    scene.add(
        "vena_cava_inferior", tube(resample(low, 8), 12.0, 12.0, (1.0, 0.0, 0.0), 14), BLOOD, Priority.HEART
    )
    left = resample(np.asarray([(14.0, 0.0, 0.68 * L), (17.0 * wide, -4.0, 0.8 * L), (15.0, -8.0, 0.9 * L),
                                (12.0, -12.0, 1.02 * L)]), 14)  # fmt: skip
    scene.add("subclavian_left", tube(left, 5.0, 5.0, points=10), BLOOD, Priority.HEART, "mediastinum")


def _add_hila(scene: Scene, frame: Frame, rng: np.random.Generator) -> None:
    marks = frame.landmarks()
    size = float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.35)) * frame.patient.vessels**0.5
    right, left = marks["hilum_right"], marks["hilum_left"]
    trunk = np.asarray([12.0, -14.0, right[2] + 10.0])
    lines = {
        "artery_right": (
            [trunk, right + [6, 6, 2], right + [-8, 6, -8], right + [-12, 12, -30], right + [-18, 22, -58]],
            9.0,
        ),
        "artery_left": (
            [
                trunk + [8, 4, 8],
                left + [-6, -2, 6],
                left + [4, 12, 4],
                left + [8, 20, -18],
                left + [16, 26, -52],
            ],
            9.0,
        ),
        "artery_upper_right": ([right + [4, 4, 2], right + [-12, 0, 22], right + [-20, -2, 46]], 5.0),
        "artery_upper_left": ([left + [0, 6, 6], left + [12, 2, 26], left + [18, 0, 50]], 5.0),
        "vein_right": ([right + [14, 10, -16], right + [-6, 0, -14], right + [-22, -4, 4]], 6.0),
        "vein_left": ([left + [-14, 12, -22], left + [6, 4, -20], left + [20, -4, 0]], 6.0),
    }
    for name, (knots, radius) in lines.items():
        line = resample(np.asarray(knots) + rng.normal(0.0, 1.5, (len(knots), 3)), 18)
        taper = radius * size * np.interp(np.linspace(0, 1, 18), [0.0, 0.35, 1.0], [1.0, 0.95, 0.38])
        side = "right" if "right" in name else "left"
        scene.add(f"hilum_{name}", tube(line, taper, taper, (0.2, 1.0, 0.3), 12), BLOOD,
                  Priority.LUNG_DISEASE + 1.0, f"hilum_{side}", motion=0.3)  # fmt: skip
