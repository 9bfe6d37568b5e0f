"""The scene: closed solids and capsule trees with material, priority and label.

Where solids overlap, the one with the higher priority is what is there; nothing is counted twice. Pathology
edits a scene by adding, replacing and moving solids before it is projected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from suite.phantom.materials import Material
from suite.phantom.mesh import Floats, Mesh


class Priority:
    """Who wins where solids overlap; higher wins. Leave gaps for what pathology puts in between."""

    FAT: Final = 10.0
    BREAST: Final = 12.0
    MUSCLE: Final = 15.0
    LUNG: Final = 20.0
    LUNG_DISEASE: Final = 25.0
    PLEURAL_GAS: Final = 27.0
    PLEURA: Final = 28.0
    ABDOMEN: Final = 30.0
    STOMACH: Final = 35.0
    BOWEL_GAS: Final = 37.0
    MEDIASTINUM: Final = 40.0
    HEART: Final = 45.0
    AIRWAY: Final = 50.0
    CARTILAGE: Final = 55.0
    CORTEX: Final = 60.0
    MARROW: Final = 61.0
    FRACTURE_GAP: Final = 65.0
    DEVICE: Final = 80.0
    METAL: Final = 90.0


@dataclass(slots=True)
class Solid:
    """One closed surface filled with one material.

    Attributes:
        name: unique in the scene.
        mesh: its surface, mm.
        material: what fills it.
        priority: who wins in an overlap (``Priority``).
        labels: structures it belongs to; each gives a truth mask ("heart", "finding:fracture").
        motion: how far the heart beat moves it, 0 (rigid) to 1 (the ventricle's wall).
    """

    name: str
    mesh: Mesh
    material: Material
    priority: float
    labels: tuple[str, ...] = ()
    motion: float = 0.0


@dataclass(slots=True)
class Capsules:
    """Many thin tapered cylinders, each replacing what lies around it.

    ``material`` stands in for ``instead`` along each chord (vessels: blood for lung); overlaps among capsules
    are summed, so they are meant for things that are thin against their spacing.

    Attributes:
        starts, ends: (n, 3) mm.
        radii: (n, 2) mm at start and end.
        labels: structures they belong to, as in ``Solid``.
    """

    name: str
    starts: Floats
    ends: Floats
    radii: Floats
    material: Material
    instead: Material
    labels: tuple[str, ...] = ()
    motion: float = 0.0

    def moved(self, change: Callable[[Floats], Floats]) -> Capsules:
        """The same capsules with both ends sent through ``change``."""
        return replace(self, starts=np.asarray(change(self.starts)), ends=np.asarray(change(self.ends)))


MAX_LABELS: Final = 128
"""Truth labels a scene may hold: two 64-bit words per ray."""


@dataclass(slots=True)
class Scene:
    """Everything the beam will cross, in patient coordinates.

    Attributes:
        solids: closed surfaces, any order.
        capsules: capsule trees.
        landmarks: named points (3,) mm, e.g. "carina", "hilum_left", "heart", "centre".
        measurements: named numbers in mm for reports ("heart_width_mm").
    """

    solids: list[Solid] = field(default_factory=list)
    capsules: list[Capsules] = field(default_factory=list)
    landmarks: dict[str, Floats] = field(default_factory=dict)
    measurements: dict[str, float] = field(default_factory=dict)

    def add(
        self, name: str, mesh: Mesh, material: Material, priority: float, *labels: str, motion: float = 0.0
    ) -> Solid:
        """Add one solid and return it."""
        solid = Solid(name, mesh, material, priority, labels, motion)
        self.solids.append(solid)
        return solid

    def find(self, prefix: str) -> list[Solid]:
        """All solids whose name starts with ``prefix``."""
        return [solid for solid in self.solids if solid.name.startswith(prefix)]

    def remove(self, prefix: str) -> None:
        """Drop all solids and capsules whose name starts with ``prefix``."""
        self.solids = [solid for solid in self.solids if not solid.name.startswith(prefix)]
        self.capsules = [one for one in self.capsules if not one.name.startswith(prefix)]

    def move(self, change: Callable[[Floats], Floats], prefix: str = "") -> None:
        """Send every point whose owner's name starts with ``prefix`` through ``change``."""
        for solid in self.solids:
            if solid.name.startswith(prefix):
                solid.mesh = solid.mesh.moved(change)
        self.capsules = [one.moved(change) if one.name.startswith(prefix) else one for one in self.capsules]

    def label_names(self) -> tuple[str, ...]:
        """All labels in order of first use.

        Raises:
            ValueError: more than ``MAX_LABELS`` labels.
        """
        owners: list[Solid | Capsules] = [*self.solids, *self.capsules]
        names = tuple(dict.fromkeys(label for owner in owners for label in owner.labels))
        if len(names) > MAX_LABELS:
            raise ValueError(f"a scene holds {len(names)} labels; at most {MAX_LABELS} fit")
        return names

    def materials(self) -> tuple[Material, ...]:
        """All different materials in order of first use."""
        used = [solid.material for solid in self.solids]
        used += [material for one in self.capsules for material in (one.instead, one.material)]
        return tuple(dict.fromkeys(used))
