"""The body parts: what is built for each, in which view, with what chance of an implant."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from suite.phantom.limbs import elbow, foot, hand, implants, knee, pelvis, shoulder
from suite.phantom.limbs.workshop import Workshop, rotation

CHEST_BONES: Final = (
    "ribs",
    "clavicle_left",
    "clavicle_right",
    "scapula_left",
    "scapula_right",
    "sternum",
    "spine",
)


@dataclass(slots=True)
class Framing:
    """How a part is put before the detector.

    Attributes:
        view: PA, AP or LL.
        middle: (x, y, z) mm that the film is centred on.
        field_mm: side of the film.
        kvp: usual tube voltage.
        turn: degrees about z before exposure; wobble, roll: standard deviation of careless positioning.
        grid: an anti-scatter grid is used.
    """

    view: str
    middle: tuple[float, float, float]
    field_mm: float
    kvp: float
    turn: float = 0.0
    wobble: float = 3.0
    roll: float = 5.0
    grid: bool = False


def _hand(w: Workshop) -> Framing:
    hand.add(w, float(w.rng.uniform(0.3, 1.6)))
    if w.rng.random() < 0.15:
        bone = str(w.rng.choice(["middle_0", "ring_0", "little_0", "index_0", "index_1"]))
        implants.plate(w, bone, (0.25, 0.78), (0.4, 0.9, 0.0), int(w.rng.integers(4, 7)), 0.5)
    elif w.rng.random() < 0.1:
        start, end = w.point("little_0", 0.05), w.point("little_0", 0.95)
        implants.wire(w, "wire_0", start + [4.0, 0.0, -6.0], end + [-2.0, 0.0, 2.0])
    w.finish(0.7)
    return Framing("PA", (-4.0, 0.0, 76.0), 250.0, 50.0, wobble=2.0)


def _wrist(w: Workshop) -> Framing:
    hand.add(w, float(w.rng.uniform(0.3, 1.2)))
    if w.rng.random() < 0.25:
        implants.plate(w, "radius", (0.03, 0.34), (0.1, -1.0, 0.0), int(w.rng.integers(5, 8)), 0.85, 0.8)
    w.finish(0.7)
    side = w.rng.random() < 0.35
    return Framing("LL" if side else "PA", (-2.0, 0.0, 6.0), 150.0, 52.0, turn=90.0 if side else 0.0)


def _elbow(w: Workshop) -> Framing:
    side = w.rng.random() < 0.45
    flexion = float(w.rng.normal(88.0, 6.0)) if side else float(w.rng.normal(6.0, 5.0))
    with_metal = w.rng.random() < 0.2
    elbow.add(w, flexion, plated=with_metal)
    w.finish()
    view, turn = ("LL", 90.0) if side else ("AP", 0.0)
    return Framing(view, elbow.forearm_centre(flexion), 215.0, 56.0, turn=turn)


def _shoulder(w: Workshop) -> Framing:
    joint, aim = shoulder.add(w)
    chance = w.rng.random()
    if chance < 0.12:
        implants.shoulder(w, joint, aim)
    elif chance < 0.24:
        implants.plate(w, "humerus", (0.06, 0.36), (-1.0, -0.35, 0.0), int(w.rng.integers(6, 10)), 1.1)
    middle = (float(joint[0]) + 22.0, float(joint[1]), float(joint[2]) - 28.0)
    return Framing("AP", middle, 235.0, 68.0, roll=2.0, grid=True)


def _knee(w: Workshop) -> Framing:
    chance = w.rng.random()
    knee.add(w, replaced=chance < 0.16)
    if chance < 0.16:
        implants.knee(w)
    elif chance < 0.23:
        implants.nail(w, "tibia", (0.2, 1.0), 5.0)
    elif chance < 0.32:
        implants.plate(w, "tibia", (0.1, 0.62), (-1.0, -0.1, 0.0), int(w.rng.integers(6, 10)), 1.2)
    w.finish()
    side = w.rng.random() < 0.4
    return Framing("LL" if side else "AP", (0.0, 0.0, 5.0), 280.0, 62.0, turn=90.0 if side else 0.0)


def _ankle(w: Workshop) -> Framing:
    foot.add_leg(w)
    foot.add_foot(w)
    if w.rng.random() < 0.25:
        implants.plate(w, "fibula", (0.08, 0.42), (-1.0, 0.25, 0.0), int(w.rng.integers(5, 9)), 0.8)
        for k in range(int(w.rng.integers(0, 3))):
            implants.lag_screw(
                w, f"malleolus_{k}", (25.0, -5.0 + 8.0 * k, -6.0), (13.0, -4.0 + 8.0 * k, 34.0)
            )
    w.finish()
    if w.rng.random() < 0.45:
        return Framing("LL", (0.0, -20.0, 20.0), 270.0, 56.0, turn=90.0)
    # The mortise view turns the foot inwards.
    return Framing("AP", (-2.0, 0.0, 40.0), 240.0, 57.0, turn=float(w.rng.normal(12.0, 5.0)))


def _foot(w: Workshop) -> Framing:
    foot.add_foot(w)
    if w.rng.random() < 0.18:
        for k in range(int(w.rng.integers(1, 3))):
            start, end = (w.point("great_metatarsal", 0.72 + 0.08 * k + step) for step in (0.0, 0.1))
            implants.lag_screw(w, f"screw_{k}", start + [9.0, 0.0, 0.0], end - [8.0, 0.0, 0.0], 1.3)
    w.finish()
    # Dorsoplantar: the film lies under the sole and the beam runs along the leg, which stands behind.
    w.scene.move(rotation("x", 90.0 + float(w.rng.normal(0.0, 4.0))))
    w.scene.move(rotation("y", 180.0))
    return Framing("AP", (-2.0, 0.0, 52.0), 280.0, 55.0)


def _pelvis(w: Workshop) -> Framing:
    chance = w.rng.random()
    sides = (-1, 1) if chance < 0.05 else (int(w.rng.choice([-1, 1])),) if chance < 0.22 else ()
    female = bool(w.rng.random() < 0.5)
    pelvis.add(w, female, sides)
    for side in sides:
        implants.hip(w, pelvis.hip_centre(side, female), side)
    if 0.22 <= chance < 0.3:
        side = int(w.rng.choice([-1, 1]))
        centre = pelvis.hip_centre(side, female)
        implants.plate(w, f"femur_{side}", (0.2, 0.5), (float(side), 0.1, 0.0), 4, 1.4)
        implants.lag_screw(
            w, "hip_screw", centre + [side * 58.0, 7.0, -56.0], centre + [side * 2.0, 0.0, 2.0], 4.0
        )
    w.finish(1.2)
    return Framing("AP", (0.0, 0.0, 22.0), 400.0, 75.0, wobble=2.0, roll=1.5, grid=True)


BUILDERS: Final[dict[str, Callable[[Workshop], Framing]]] = {
    "hand": _hand,
    "wrist": _wrist,
    "elbow": _elbow,
    "shoulder": _shoulder,
    "knee": _knee,
    "ankle": _ankle,
    "foot": _foot,
    "pelvis": _pelvis,
}
