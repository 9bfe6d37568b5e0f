"""Lung lesions: solid, part-solid and ground-glass nodules and masses, calcified or cavitating ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from suite.phantom.cloud import puffs
from suite.phantom.materials import CALCIUM, GAS, SOFT
from suite.phantom.mesh import Floats, Mesh, directions, loft
from suite.phantom.pathology.contract import Pathology, label, stuff
from suite.phantom.pathology.site import SIDE_NAMES, Site
from suite.phantom.patient import Patient
from suite.phantom.scene import Capsules, Priority, Scene

Kind = Literal["solid", "part_solid", "ground_glass", "calcified", "cavity"]
Place = Literal["anywhere", "behind_heart", "apex", "hilum", "periphery"]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion.

    Attributes:
        diameter_mm: longest axis.
        side: -1 right, 1 left.
        kind: what it consists of; place: where it is sought, see ``_in_place``.
        lobulation: relative depth of the surface's bumps; spikes: number of spiculae.
    """

    diameter_mm: float = 20.0
    side: int = -1
    kind: Kind = "solid"
    place: Place = "anywhere"
    lobulation: float = 0.10
    spikes: int = 0


@dataclass(frozen=True, slots=True)
class LungLesion(Pathology):
    """One or several nodules or masses, 5 to 60 mm."""

    code: ClassVar[str] = "lung_lesion"
    lesions: tuple[Lesion, ...] = (Lesion(),)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> LungLesion:
        """Mostly one; sometimes a few, seldom metastases all over."""
        u = rng.random()
        count = 1 if u < 0.70 else int(rng.integers(2, 4)) if u < 0.90 else int(rng.integers(5, 13))
        middle = 19.0 if count < 5 else 13.0
        return cls(tuple(_draw_lesion(rng, middle) for _ in range(count)))

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Put the lesions into the lungs and record their sizes in mm."""
        site = Site(scene, patient)
        for k, (lesion, own) in enumerate(zip(self.lesions, rng.spawn(len(self.lesions)), strict=True)):
            radius = 0.5 * lesion.diameter_mm
            found = _find_place(site, lesion, radius, own)
            _add(site, f"lesion_{k}", lesion, found, own)
            scene.measurements[f"lung_lesion_{k + 1}_mm"] = lesion.diameter_mm


def _draw_lesion(rng: np.random.Generator, middle: float) -> Lesion:
    diameter = float(np.clip(np.exp(rng.normal(np.log(middle), 0.5)), 5.0, 60.0))
    kinds: tuple[Kind, ...] = ("solid", "part_solid", "ground_glass", "calcified", "cavity")
    weights = (0.66, 0.12, 0.07, 0.10 if diameter < 16.0 else 0.0, 0.05 if diameter > 20.0 else 0.0)
    kind = kinds[int(rng.choice(5, p=np.asarray(weights) / sum(weights)))]
    places: tuple[Place, ...] = ("anywhere", "behind_heart", "apex", "hilum", "periphery")
    place = places[int(rng.choice(5, p=(0.50, 0.13, 0.15, 0.10, 0.12)))]
    bad = kind in ("solid", "part_solid") and diameter > 12.0
    return Lesion(
        diameter_mm=diameter,
        side=-1 if rng.random() < 0.55 else 1,
        kind=kind,
        place=place,
        lobulation=float(rng.uniform(0.03, 0.20 if bad else 0.10)),
        spikes=int(rng.integers(6, 22)) if bad and rng.random() < 0.4 else 0,
    )


def _find_place(site: Site, lesion: Lesion, radius: float, rng: np.random.Generator) -> Floats:
    points, _ = site.lung_points(lesion.side, 400, rng, None, min(0.75 * radius + 2.0, 18.0))
    fits = points[_in_place(site, lesion, points)]
    choice = fits if len(fits) else points
    if not len(choice):
        return site.frame.landmarks()[f"hilum_{SIDE_NAMES[lesion.side]}"] + [25.0 * lesion.side, 20.0, 30.0]
    return np.asarray(choice[0])


def _in_place(site: Site, lesion: Lesion, points: Floats) -> np.ndarray:
    x, y, z = (points[:, k] for k in range(3))
    hilum = site.frame.landmarks()[f"hilum_{SIDE_NAMES[lesion.side]}"]
    reach = site.frame.half_width(z)
    if lesion.place == "behind_heart":
        return np.asarray((np.abs(x) < 0.45 * reach) & (y > 15.0) & (z < hilum[2] - 15.0))
    if lesion.place == "apex":
        return np.asarray(z > 0.78 * site.height)
    if lesion.place == "hilum":
        return np.asarray(np.linalg.norm(points - hilum, axis=1) < 45.0)
    if lesion.place == "periphery":
        return np.asarray(np.abs(x) > 0.7 * reach)
    return np.ones(len(points), dtype=bool)


def _body(centre: Floats, radius: float, bumps: float, rng: np.random.Generator) -> Mesh:
    d = directions(20, 28)
    reach = np.ones(d.shape[:2])
    for _ in range(12):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        reach += 2.0 * bumps * rng.uniform(-0.6, 1.0) * np.exp(5.0 * (d @ axis - 1.0))
    axes = rng.uniform(0.7, 1.0, 3)
    shape = d * reach[..., None] * axes
    return loft(centre + shape * (radius / np.linalg.norm(shape, axis=2).max()))


def _add(site: Site, name: str, lesion: Lesion, centre: Floats, rng: np.random.Generator) -> None:
    radius, mark = 0.5 * lesion.diameter_mm, label("lung_lesion")
    body = _body(centre, radius, lesion.lobulation, rng)
    priority = Priority.LUNG_DISEASE + 0.5
    core = {"part_solid": 0.55, "ground_glass": 0.0}.get(lesion.kind, 1.0)
    if core < 1.0:
        _add_glass(site, name, lesion, centre, rng)
    if core > 0.0:
        material = CALCIUM.with_density(1.35) if lesion.kind == "calcified" else SOFT
        mesh = body.moved(lambda points: centre + core * (points - centre)).moved(site.pose)
        site.scene.add(name, mesh, material, priority, mark)
    if lesion.kind == "cavity":
        off = rng.normal(0.0, 0.06 * radius, 3)
        hollow = body.moved(lambda points: centre + off + _hollow(lesion) * (points - centre))
        site.scene.add(f"{name}_cavity", hollow.moved(site.pose), GAS, priority + 0.1, mark)
    if lesion.spikes:
        _add_spikes(site, name, lesion, centre, core * radius, rng)


def _hollow(lesion: Lesion) -> float:
    """How much of a cavitating lesion's radius is hollow: larger ones have relatively thinner walls."""
    return float(np.clip(0.45 + 0.006 * lesion.diameter_mm, 0.45, 0.78))


def _add_glass(site: Site, name: str, lesion: Lesion, centre: Floats, rng: np.random.Generator) -> None:
    radius = 0.5 * lesion.diameter_mm
    d = rng.normal(size=(60, 3))
    d *= (rng.random(60)[:, None] ** (1 / 3)) / np.linalg.norm(d, axis=1, keepdims=True)
    points = site.pose(centre + 0.78 * radius * d)
    side = SIDE_NAMES[lesion.side]
    cloud = puffs(
        f"{name}_glass_{side}",
        points,
        0.24 * radius,
        0.11 * rng.uniform(0.6, 1.4, 60),
        stuff("lung_lesion"),
        site.lung_material(lesion.side),
    )
    site.scene.capsules.append(cloud)


def _add_spikes(
    site: Site, name: str, lesion: Lesion, centre: Floats, radius: float, rng: np.random.Generator
) -> None:
    n = lesion.spikes
    d = rng.normal(size=(n, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    reach = radius * (1.15 + 0.7 * rng.random(n))[:, None]
    ends = d * reach + rng.normal(0.0, 0.08 * radius, (n, 3))
    starts = site.pose(centre + 0.8 * radius * d)
    radii = np.column_stack([np.full(n, 0.05 * radius + 0.3), np.full(n, 0.2)])
    spikes = Capsules(
        f"{name}_spikes_{SIDE_NAMES[lesion.side]}",
        starts,
        site.pose(centre + ends),
        radii,
        SOFT,
        site.lung_material(lesion.side),
        (label("lung_lesion"),),
    )
    site.scene.capsules.append(spikes)
