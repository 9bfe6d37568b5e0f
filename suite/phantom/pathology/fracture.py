"""Fractures of ribs and clavicles: the bone itself is cut, its ends displaced; callus may bridge them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from suite.phantom.materials import MARROW, SOFT
from suite.phantom.mesh import Floats, Mesh, loft, tangents, tube
from suite.phantom.pathology.contract import Pathology, label
from suite.phantom.patient import Patient
from suite.phantom.scene import Priority, Scene, Solid

ZONE_MM = 11.0
"""Bone on either side of a break that belongs to the finding's mask."""

_CALLUS = replace(MARROW, name="callus", density=1.38)


@dataclass(frozen=True, slots=True)
class Break:
    """One break.

    Attributes:
        bone: name of the bone in the scene: "rib_left_06", "clavicle_right".
        place: where along it, 0 at the spine (sternum for clavicles) to 1.
        step_mm: how far the ends are displaced across the bone.
        direction_deg: of that step: 0 within the bone's height (up and down on films), 90 in and out.
        gap_mm: between the ends, negative where they override.
        oblique_mm: how far the break runs along the bone from edge to edge.
        callus: 0 fresh to 1 a bulky bridge.
        haematoma_mm: thickness of blood under the pleura or around the bone.
    """

    bone: str = "rib_right_06"
    place: float = 0.45
    step_mm: float = 4.0
    direction_deg: float = 0.0
    gap_mm: float = 1.0
    oblique_mm: float = 5.0
    callus: float = 0.0
    haematoma_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class Fracture(Pathology):
    """One or several broken bones."""

    code: ClassVar[str] = "fracture"
    breaks: tuple[Break, ...] = (Break(),)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Fracture:
        """Ribs, alone or a row of neighbours, or a clavicle; displaced, undisplaced or healing."""
        side = "left" if rng.random() < 0.5 else "right"
        if rng.random() < 0.2:
            return cls((_draw_break(rng, f"clavicle_{side}", float(rng.uniform(0.38, 0.68)), 2.0),))
        count = int(rng.choice([1, 2, 3, 4], p=(0.45, 0.25, 0.18, 0.12)))
        first = int(rng.integers(3, 11 - count))
        place, healing = float(rng.uniform(0.22, 0.80)), rng.random() < 0.3
        breaks = [
            _draw_break(
                rng,
                f"rib_{side}_{first + k:02d}",
                float(np.clip(place + rng.normal(0.0, 0.04), 0.18, 0.85)),
                1.0,
                healing,
            )
            for k in range(count)
        ]
        return cls(tuple(breaks))

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Break each bone; bones that the scene does not have are left out."""
        for k, one in enumerate(self.breaks):
            shell = [solid for solid in scene.solids if solid.name == one.bone]
            core = [solid for solid in scene.solids if solid.name == f"{one.bone}_marrow"]
            if shell:
                _break(scene, f"fracture_{k}", one, shell[0], core)
        scene.measurements["fracture_step_mm"] = max((one.step_mm for one in self.breaks), default=0.0)


def _draw_break(
    rng: np.random.Generator, bone: str, place: float, size: float, healing: bool = False
) -> Break:
    displaced = rng.random() < 0.65
    step = float(rng.uniform(2.0, 6.0) if displaced else rng.uniform(0.2, 1.2)) * size
    return Break(
        bone=bone,
        place=place,
        step_mm=step,
        direction_deg=float(rng.normal(0.0 if rng.random() < 0.5 else 180.0, 35.0)),
        gap_mm=float(rng.uniform(0.6, 3.0) if displaced and rng.random() < 0.7 else rng.uniform(0.3, 0.9)),
        oblique_mm=float(rng.uniform(0.0, 8.0)) * size,
        callus=float(rng.uniform(0.3, 1.0)) if healing else 0.0,
        haematoma_mm=float(rng.uniform(2.0, 7.0))
        if displaced and size == 1.0 and not healing and rng.random() < 0.4
        else 0.0,
    )


def rings_of(mesh: Mesh) -> Floats:
    """The contours (rings, points, 3) that a lofted tube was made from."""
    points = int(mesh.faces[0].max()) - 1
    return mesh.vertices[:-2].reshape(-1, points, 3)


def _break(scene: Scene, name: str, one: Break, shell: Solid, core: list[Solid]) -> None:
    rings = rings_of(shell.mesh)
    line = rings.mean(axis=1)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    room = ZONE_MM + one.oblique_mm + 4.0
    at = float(np.clip(one.place * arc[-1], room, arc[-1] - room))
    k = int(np.clip(np.searchsorted(arc, at), 1, len(arc) - 1))
    height = _unit(rings[k, 0] - line[k])
    depth = np.cross(tangents(line)[k], height)
    if height[2] < 0.0:
        height = -height
    turn = np.deg2rad(one.direction_deg)
    step = one.step_mm * (np.cos(turn) * height + np.sin(turn) * depth)
    for solid in (shell, *core):
        scene.solids.remove(solid)
        for piece in _pieces(solid, name, one, arc, at, step):
            scene.solids.append(piece)
    along = tangents(line)[k]
    middle = line[k]
    if one.callus > 0.0:
        _add_callus(scene, name, one, rings[k], middle, along, step)
    if one.haematoma_mm > 0.0:
        _add_haematoma(scene, name, one, middle, along, height)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector), 1e-9))


def _pieces(solid: Solid, name: str, one: Break, arc: Floats, at: float, step: Floats) -> list[Solid]:
    """The bone in four: shaft, labelled end, labelled end, shaft."""
    rings = rings_of(solid.mesh)
    phase = 2.0 * np.pi * np.arange(rings.shape[1]) / rings.shape[1]
    slant = 0.5 * one.oblique_mm * np.cos(phase)
    cut = np.full(rings.shape[1], at)
    half = 0.5 * one.gap_mm
    marks = [
        np.zeros_like(cut),
        cut - ZONE_MM - 0.5 * one.oblique_mm,
        cut + slant - half,
        cut + slant + half,
        cut + ZONE_MM + 0.5 * one.oblique_mm,
        np.full_like(cut, arc[-1]),
    ]
    out = []
    for part, (first, last, sign) in enumerate(((0, 1, -0.5), (1, 2, -0.5), (3, 4, 0.5), (4, 5, 0.5))):
        extra = (label("fracture"),) if part in (1, 2) else ()
        # A step moves the ends most; a hand's breadth away the bone lies where it lay.
        contours, s = _between(rings, arc, marks[first], marks[last], 8 if extra else len(arc))
        weight = np.clip(1.0 - np.abs(s - at) / 55.0, 0.0, 1.0) ** 1.5
        mesh = loft(contours + sign * weight[..., None] * step)
        piece = replace(solid, name=f"{solid.name}_{name}_{part}", mesh=mesh, labels=(*solid.labels, *extra))
        out.append(piece)
    return out


def _between(rings: Floats, arc: Floats, first: Floats, last: Floats, count: int) -> tuple[Floats, Floats]:
    """Contours from arc length ``first`` to ``last`` (both (points,)), and each corner's arc length."""
    u = np.linspace(0.0, 1.0, count)[:, None]
    s = first + (last - first) * u
    out = np.empty((count, rings.shape[1], 3))
    for j in range(rings.shape[1]):
        for axis in range(3):
            out[:, j, axis] = np.interp(s[:, j], arc, rings[:, j, axis])
    return out, s


def _add_callus(
    scene: Scene, name: str, one: Break, ring: Floats, middle: Floats, along: Floats, step: Floats
) -> None:
    reach = 8.0 + 6.0 * one.callus
    t = np.linspace(-1.0, 1.0, 12)
    line = middle + reach * t[:, None] * along + 0.5 * np.sign(t)[:, None] * step * (np.abs(t)[:, None] > 0.2)
    line = np.stack(
        [np.convolve(np.pad(line[:, k], 2, "edge"), np.ones(5) / 5, "valid") for k in range(3)], axis=1
    )
    across = ring - middle
    wide, deep = np.linalg.norm(across[0]), np.linalg.norm(across[len(ring) // 4])
    bulge = np.maximum(np.sqrt(np.maximum(1.0 - t**2, 0.0)), 0.1) * (1.05 + 0.35 * one.callus)
    mesh = tube(line, wide * bulge, deep * bulge, across[len(ring) // 4], 14)
    material = _CALLUS.with_density(1.15 + 0.3 * one.callus)
    scene.add(f"{name}_callus", mesh, material, Priority.CORTEX - 0.3, label("fracture"))


def _add_haematoma(
    scene: Scene, name: str, one: Break, middle: Floats, along: Floats, height: Floats
) -> None:
    t = np.linspace(-1.0, 1.0, 12)
    bulge = np.maximum(np.sqrt(np.maximum(1.0 - t**2, 0.0)), 0.08)
    line = middle + 26.0 * t[:, None] * along
    inward = np.cross(along, height)
    mesh = tube(line, 13.0 * bulge, (4.0 + one.haematoma_mm) * bulge, inward, 14)
    scene.add(f"{name}_haematoma", mesh, SOFT, Priority.LUNG_DISEASE + 0.6, label("fracture"))
