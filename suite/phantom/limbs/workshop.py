"""How limbs are put together: long bones, knobs, flesh; a smooth warp at the end takes the lathe marks away.

Coordinates are millimetres as on an AP film: x towards the picture's right, y away from the source, z up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator

from suite.phantom.materials import CORTEX, FAT, GAS, MARROW, MUSCLE, Material
from suite.phantom.mesh import Floats, Mesh, ellipsoid, merge, resample, tube
from suite.phantom.scene import Priority, Scene

Point = tuple[float, float, float] | Floats
Profile = Sequence[tuple[float, ...]]
"""Rows of (place along the line 0 to 1, value, value ...)."""

Piece = tuple[Sequence[Point], Profile]
"""A stretch of flesh: knots of its middle, and (place, half-width, half-depth) of its skin."""

YELLOW_MARROW: Final = Material("yellow_marrow", "adipose", 0.98, bone=True)
SKIN: Final = Material("skin", "soft", 1.09)
SKIN_MM: Final = 1.6
_SAMPLES: Final = 48


@dataclass(frozen=True, slots=True)
class Physique:
    """What all bones and flesh of one person share, factors around one.

    Attributes:
        size: of everything; girth: of muscles; fat: mm under the skin at the calf, elsewhere in proportion.
        cortex: thickness of cortical bone; trabeculae: density of spongy bone.
    """

    size: float = 1.0
    girth: float = 1.0
    fat: float = 5.0
    cortex: float = 1.0
    trabeculae: float = 1.0

    @staticmethod
    def draw(rng: np.random.Generator) -> Physique:
        """Someone from the adult population."""
        age = float(np.clip(rng.normal(0.5, 0.25), 0.0, 1.0))
        return Physique(
            size=float(np.clip(rng.normal(1.0, 0.06), 0.86, 1.14)),
            girth=float(np.clip(rng.normal(1.0, 0.1), 0.78, 1.25)),
            fat=float(np.clip(rng.gamma(4.0, 1.6), 2.0, 16.0)),
            cortex=float(np.clip(1.2 - 0.45 * age + rng.normal(0.0, 0.1), 0.55, 1.4)),
            trabeculae=float(np.clip(1.15 - 0.35 * age + rng.normal(0.0, 0.08), 0.6, 1.3)),
        )


@dataclass(slots=True)
class Workshop:
    """A scene under construction and the person it is of."""

    rng: np.random.Generator
    physique: Physique
    scene: Scene = field(default_factory=Scene)
    implants: list[str] = field(default_factory=list)
    lines: dict[str, tuple[Floats, Floats, Floats]] = field(default_factory=dict)
    """Of each long bone: places (n,) from 0 to 1, centre line (n, 3), smaller half-width (n,)."""

    @property
    def spongy(self) -> Material:
        """Spongy bone of this person."""
        return MARROW.with_density(1.0 + 0.16 * self.physique.trabeculae)

    def bone(
        self,
        name: str,
        shells: Sequence[Mesh],
        cores: Sequence[Mesh],
        canal: Mesh | None = None,
        level: float = 0.0,
    ) -> None:
        """Add a bone: cortex within ``shells``, spongy bone within ``cores``, yellow marrow within ``canal``.

        ``level`` decides between bones that touch; the higher one is what is there.
        """
        priority = Priority.CORTEX + level
        self.scene.add(name, merge(list(shells)), CORTEX, priority, "bone")
        self.scene.add(f"{name}_spongy", merge(list(cores)), self.spongy, priority + 0.4, "bone")
        if canal is not None:
            self.scene.add(f"{name}_canal", canal, YELLOW_MARROW, priority + 0.6, "bone")

    def long_bone(
        self, name: str, knots: Sequence[Point], profile: Profile, cortex: Profile, *,
        ends: tuple[float, float] = (3.0, 3.0), canal: tuple[float, float] | None = (0.25, 0.75),
        knobs: Sequence[tuple[Mesh, Mesh]] = (), normal: Point = (0.0, 1.0, 0.0), level: float = 0.0,
        skew: float = 0.0,
    ) -> None:  # fmt: skip
        """Sweep a bone along ``knots``; ``lines`` remembers where it runs.

        Args:
            profile: (place, half-width, half-depth) in mm; cortex: (place, thickness) in mm.
            ends: mm over which each end rounds off.
            canal: where along the line the medullary canal runs, or ``None``.
            knobs: further (shell, core) pairs that belong to the bone.
        """
        # Close samples at both ends, where the bone rounds off.
        at = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, _SAMPLES))
        line = pick(resample(np.asarray(knots, dtype=np.float64), 4 * _SAMPLES), at)
        wide, deep = along(profile, at, 1), along(profile, at, 2)
        shell = along(cortex, at, 1) * self.physique.cortex
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        dome = rounded(at * length, length, *ends)
        self.lines[name] = at, line, np.minimum(wide, deep)
        outer = tube(line, wide * dome, deep * dome, normal, 20, skew)
        gap = 0.8 * self.physique.cortex
        inside = (at * length > gap) & ((1.0 - at) * length > gap)
        inner_dome = rounded(at[inside] * length - gap, length - 2.0 * gap, *ends)
        inner_wide = np.maximum(wide - shell, 0.3)[inside] * inner_dome
        inner_deep = np.maximum(deep - shell, 0.3)[inside] * inner_dome
        core = tube(line[inside], inner_wide, inner_deep, normal, 20, skew)
        hollow = None
        if canal is not None:
            open_ = (at >= canal[0]) & (at <= canal[1])
            fade = rounded(at[open_] - canal[0], canal[1] - canal[0], 0.12, 0.12)
            radii = [0.93 * np.maximum(half - shell, 0.3)[open_] * fade for half in (wide, deep)]
            hollow = tube(line[open_], radii[0], radii[1], normal, 20, skew)
        self.bone(name, [outer, *(k[0] for k in knobs)], [core, *(k[1] for k in knobs)], hollow, level)

    def point(self, bone: str, place: float) -> Floats:
        """The middle (3,) of a long bone at ``place`` (0 to 1) of its length."""
        at, line, _ = self.lines[bone]
        return np.asarray([np.interp(place, at, line[:, k]) for k in range(3)])

    def knob(
        self, centre: Point, radii: Point, tilt: float = 0.0, cortex: float = 0.7, turn: float = 0.0
    ) -> tuple[Mesh, Mesh]:
        """A rounded piece of bone as (shell, core): an ellipsoid tilted in the film, turned about z."""
        axes = turned(tilt, turn)
        shell = ellipsoid(centre, radii, 18, 26, axes)
        thin = np.maximum(np.asarray(radii, dtype=np.float64) - cortex * self.physique.cortex, 0.4)
        return shell, ellipsoid(centre, thin, 18, 26, axes)

    def short_bone(
        self, name: str, centre: Point, radii: Point, tilt: float = 0.0, cortex: float = 0.7,
        turn: float = 0.0,
        level: float = 0.0, more: Sequence[tuple[Mesh, Mesh]] = (),
    ) -> None:  # fmt: skip
        """Add a carpal, a patella and their kin."""
        parts = [self.knob(centre, radii, tilt, cortex, turn), *more]
        self.bone(name, [part[0] for part in parts], [part[1] for part in parts], level=level)

    def flesh(self, name: str, pieces: Sequence[Piece], fat: float = 1.0) -> None:
        """Add skin, fat and muscle around limbs; overlapping pieces are one body.

        Args:
            pieces: knots and (place, half-width, half-depth) of the skin for each piece; ends are rounded.
            fat: factor on the person's fat layer.
        """
        layer = SKIN_MM + fat * self.physique.fat
        for kind, inset, material, priority in (
            ("skin", 0.0, SKIN, Priority.FAT - 1.0),
            ("fat", SKIN_MM, FAT, Priority.FAT),
            ("muscle", layer, MUSCLE, Priority.MUSCLE),
        ):
            meshes = [_sleeve(knots, profile, inset, self.physique.girth) for knots, profile in pieces]
            self.scene.add(f"{name}_{kind}", merge(meshes), material, priority, "soft")

    def gas(self, name: str, mesh: Mesh) -> None:
        """Add gas in the bowel."""
        self.scene.add(name, mesh, GAS, Priority.BOWEL_GAS)

    def metal(self, name: str, mesh: Mesh, material: Material) -> None:
        """Add a piece of metal."""
        self.scene.add(name, mesh, material, Priority.METAL, "metal")

    def finish(self, amount: float = 1.0) -> None:
        """Bend the whole scene a little, smoothly, and scale it to the person's size."""
        warp = organic(self.rng, amount)
        size = self.physique.size
        self.scene.move(lambda points: size * warp(points))


def _sleeve(knots: Sequence[Point], profile: Profile, inset: float, girth: float) -> Mesh:
    line = resample(np.asarray(knots, dtype=np.float64), 40)
    at = np.linspace(0.0, 1.0, 40)
    wide, deep = along(profile, at, 1), along(profile, at, 2)
    # Thin parts have less fat, and muscle never vanishes altogether.
    shrink = np.minimum(inset, 0.42 * np.minimum(wide, deep))
    factor = 0.5 + 0.5 * girth
    length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
    dome = rounded(at * length, length, 0.7 * float(wide[0]), 0.7 * float(wide[-1]))
    # Depth lies along the beam; a foot runs along the beam itself, and its depth is its height.
    forwards = abs(line[-1, 1] - line[0, 1]) > abs(line[-1, 2] - line[0, 2])
    normal = (0.0, 0.02, 1.0) if forwards else (0.0, 1.0, 0.02)
    return tube(line, (wide * factor - shrink) * dome, (deep * factor - shrink) * dome, normal, 28)


def along(profile: Profile, at: Floats, column: int) -> Floats:
    """One column of a profile at the places ``at`` (0 to 1), without overshoot."""
    table = np.asarray(profile, dtype=np.float64)
    if len(table) == 1:
        return np.full(at.shape, table[0, column])
    return np.asarray(
        PchipInterpolator(table[:, 0], table[:, column])(np.clip(at, table[0, 0], table[-1, 0]))
    )


def pick(line: Floats, at: Floats) -> Floats:
    """Points of an evenly sampled curve at the places ``at`` (0 to 1)."""
    even = np.linspace(0.0, 1.0, len(line))
    return np.stack([np.interp(at, even, line[:, k]) for k in range(3)], axis=1)


def rounded(at: Floats, length: float, first: float, last: float) -> Floats:
    """Factor on the radius that closes both ends of a tube with domes of ``first`` and ``last`` length."""
    start = np.clip(at / max(first, 1e-6), 0.0, 1.0)
    stop = np.clip((length - at) / max(last, 1e-6), 0.0, 1.0)
    return np.asarray(np.maximum(np.sqrt((1.0 - (1.0 - start) ** 2) * (1.0 - (1.0 - stop) ** 2)), 0.05))


def turned(tilt: float, turn: float = 0.0) -> Floats:
    """Rows are the axes of a body tilted in the x-z plane (degrees, counter-clockwise) and turned about z."""
    a, b = np.deg2rad(tilt), np.deg2rad(turn)
    in_film = np.asarray([[np.cos(a), 0.0, np.sin(a)], [0.0, 1.0, 0.0], [-np.sin(a), 0.0, np.cos(a)]])
    about_z = np.asarray([[np.cos(b), np.sin(b), 0.0], [-np.sin(b), np.cos(b), 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(about_z @ in_film)


def rotation(axis: str, degrees: float, centre: Point = (0.0, 0.0, 0.0)) -> Callable[[Floats], Floats]:
    """A rotation about x, y or z through ``centre``."""
    a = np.deg2rad(degrees)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(a)
    matrix[i, j], matrix[j, i] = -np.sin(a), np.sin(a)
    origin = np.asarray(centre, dtype=np.float64)
    return lambda points: np.asarray((points - origin) @ matrix.T + origin)


def mirrored(points: Floats) -> Floats:
    """The other side's limb; meshes must be turned outwards again, see ``mirror_scene``."""
    return np.asarray(points * np.asarray([-1.0, 1.0, 1.0]))


def mirror_scene(scene: Scene) -> None:
    """Turn a right limb into a left one, in place."""
    for solid in scene.solids:
        mesh = solid.mesh
        solid.mesh = Mesh(mirrored(mesh.vertices), np.ascontiguousarray(mesh.faces[:, ::-1]))
    scene.capsules = [one.moved(mirrored) for one in scene.capsules]


def organic(rng: np.random.Generator, amount: float) -> Callable[[Floats], Floats]:
    """A smooth random displacement: a millimetre over a few centimetres, so that no outline is a conic."""
    waves = []
    for length, size in ((120.0, 1.5), (50.0, 0.32), (21.0, 0.17), (11.0, 0.1)):
        for _ in range(3):
            aim = rng.normal(0.0, 1.0, 3)
            aim = aim / np.linalg.norm(aim) * 2.0 * np.pi / length
            waves.append((aim, rng.uniform(0.0, 2.0 * np.pi), rng.normal(0.0, amount * size, 3)))

    def change(points: Floats) -> Floats:
        out = points.copy()
        for aim, phase, size in waves:
            out += np.sin(points @ aim + phase)[:, None] * size
        return out

    return change
