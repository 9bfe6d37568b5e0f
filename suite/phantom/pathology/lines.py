"""Tubes and lines in the patient: tracheal and gastric tubes, central lines, drains, ECG leads."""

# Points plus offsets are sums of vectors, not joined lists.
# ruff: noqa: RUF005

from __future__ import annotations

import numpy as np

from suite.phantom.anatomy.body import skin_front
from suite.phantom.materials import BARIUM_POLYMER, GAS, MUSCLE, STEEL, Material
from suite.phantom.mesh import Floats, ellipsoid, resample, tube
from suite.phantom.pathology.contract import label
from suite.phantom.pathology.fracture import rings_of
from suite.phantom.pathology.site import SIDE_NAMES, Site
from suite.phantom.scene import Capsules, Priority

MARK = label("support_devices")
_POLYMER = Material("device_polymer", "pmma", 1.30)
_TUBE = BARIUM_POLYMER.with_density(0.075)
_CATHETER = BARIUM_POLYMER.with_density(0.16)
_COPPER = Material("lead_wire", "copper", 4.0)


def wire(
    site: Site, name: str, points: Floats, radius: float, material: Material, posed: bool = False
) -> None:
    """A thin line of constant radius along ``points`` (n, 3) mm; what it displaces is booked as muscle."""
    line = points if posed else site.pose(points)
    radii = np.full((len(line) - 1, 2), radius)
    site.scene.capsules.append(Capsules(name, line[:-1], line[1:], radii, material, MUSCLE, (MARK,)))


def hose(site: Site, name: str, line: Floats, outer: float, inner: float, posed: bool = False) -> None:
    """A plastic tube with air inside and a barium stripe along its wall."""
    at = line if posed else site.pose(line)
    site.scene.add(name, tube(at, outer, outer, points=12), _TUBE, Priority.DEVICE, MARK)
    site.scene.add(f"{name}_lumen", tube(at, inner, inner, points=12), GAS, Priority.DEVICE + 1.0, MARK)
    aside = 0.5 * (outer + inner) * np.asarray([0.8, -0.6, 0.0])
    wire(site, f"{name}_stripe", at + aside, 0.5, BARIUM_POLYMER.with_density(0.8), posed=True)


def tracheal_tube(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """From above the film down the trachea to ``depth_mm`` above the carina."""
    found = site.scene.find("trachea")
    if not found:
        return
    line = rings_of(found[0].mesh).mean(axis=1)
    tip = site.scene.landmarks["carina"][2] + depth_mm
    line = resample(line[line[:, 2] > tip], 40) + [rng.normal(0.0, 1.5), 2.0, 0.0]
    hose(site, "et_tube", line, 5.2, 3.8, posed=True)


def gastric_tube(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """Down the gullet, before the spine and behind the heart, into the stomach."""
    frame, height = site.frame, site.height
    z = np.linspace(1.3, 0.05, 14) * height
    x = np.interp(z / height, [0.05, 0.2, 0.6, 1.3], [14.0, 5.0, -2.0, 0.0]) + rng.normal(0.0, 0.8, 14)
    line = np.stack([x, frame.spine_y(z) - 26.0, z], axis=1)
    stomach = frame.dome_top(1) - np.asarray([26.0, 50.0 + 0.3 * depth_mm])
    end = np.asarray([[38.0, 0.0, stomach[0]], [62.0, -20.0, stomach[1]]])
    wire(
        site,
        "gastric_tube",
        resample(np.concatenate([line, end]), 70),
        1.9,
        BARIUM_POLYMER.with_density(0.09),
    )


def to_atrium(site: Site, depth_mm: float) -> Floats:
    """The superior cava from the clavicles to ``depth_mm`` below its middle, unposed."""
    found = site.scene.find("vena_cava_superior")
    line = site.unpose(np.concatenate([rings_of(s.mesh).mean(axis=1) for s in found]))
    line = line[np.argsort(-line[:, 2])]
    tip = 0.60 * site.height - depth_mm
    return line[(line[:, 2] > tip) & (line[:, 2] < 0.88 * site.height)][::2]


def jugular_line(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """From the neck's vein straight down into the superior cava."""
    height, first = site.height, to_atrium(site, depth_mm)
    neck = np.asarray(
        [
            [side * 44.0, -22.0, 1.26 * height],
            [side * 34.0, -26.0, 1.10 * height],
            [side * 26.0, -28.0, 0.97 * height],
        ]
    )
    if side > 0:
        neck = np.concatenate([neck, [[16.0, -26.0, 0.90 * height], [2.0, -26.0, 0.86 * height]]])
    wire(
        site, f"jugular_line_{SIDE_NAMES[side]}", resample(np.concatenate([neck, first]), 60), 1.15, _CATHETER
    )


def under_clavicle(site: Site, side: int, reach: float) -> Floats:
    """From the chest's front below the clavicle into the subclavian vein and over to the cava."""
    k, height = site.patient.half_width / 134.0, site.height
    y = float(site.frame.front(0.86 * height))
    points = [
        [side * reach * k, y - 4.0, 0.845 * height],
        [side * 62.0 * k, y + 4.0, 0.885 * height],
        [side * 40.0 * k, y + 8.0, 0.895 * height],
        [side * 20.0, y + 10.0, 0.875 * height],
    ]
    if side > 0:
        points.append([3.0, y + 8.0, 0.835 * height])
    return np.asarray(points)


def subclavian_line(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """Below the clavicle into the superior cava."""
    line = np.concatenate([under_clavicle(site, side, 92.0), to_atrium(site, depth_mm)])
    wire(site, f"subclavian_line_{SIDE_NAMES[side]}", resample(line, 70), 1.15, _CATHETER)


def arm_line(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """A thin line from the arm (PICC) into the superior cava."""
    k, height = site.patient.half_width / 134.0, site.height
    y = float(site.frame.front(0.86 * height))
    arm = np.asarray(
        [
            [side * 182.0 * k, y + 62.0, 0.62 * height],
            [side * 158.0 * k, y + 48.0, 0.80 * height],
            [side * 118.0 * k, y + 28.0, 0.885 * height],
        ]
    )
    line = np.concatenate([arm, under_clavicle(site, side, 92.0)[1:], to_atrium(site, depth_mm)])
    wire(site, f"arm_line_{SIDE_NAMES[side]}", resample(line, 90), 0.8, _CATHETER.with_density(0.22))


def port(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """A port under the skin with its line."""
    at = on_chest(site, side * rng.uniform(72.0, 88.0), rng.uniform(0.74, 0.80) * site.height, 6.0)
    ring = ellipsoid(at, (12.0, 5.5, 12.0), 14, 22)
    site.scene.add(f"port_{SIDE_NAMES[side]}", ring.moved(site.pose), _POLYMER, Priority.DEVICE, MARK)
    well = ellipsoid(at, (6.5, 4.0, 6.5), 12, 18)
    site.scene.add(
        f"port_{SIDE_NAMES[side]}_well",
        well.moved(site.pose),
        Material("port_metal", "titanium", 2.6),
        Priority.METAL,
        MARK,
    )
    line = np.concatenate([at[None], under_clavicle(site, side, 84.0)[1:], to_atrium(site, depth_mm)])
    wire(site, f"port_line_{SIDE_NAMES[side]}", resample(line, 70), 1.2, _CATHETER)


def on_chest(site: Site, x: float, z: float, below_mm: float) -> Floats:
    """A point ``below_mm`` under the skin of the front, unposed."""
    y = float(skin_front(site.frame, np.asarray([x]), np.asarray([z]))[0])
    return np.asarray([x, y + below_mm, z])


def chest_drain(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """A drain through the side of the chest, along the wall up to the apex or low behind."""
    frame, height = site.frame, site.height
    high = rng.random() < 0.6
    enter = rng.uniform(0.30, 0.48) * height
    aim = np.linspace(1.5, rng.uniform(1.7, 2.1) if high else 0.75, 12)
    z = np.interp(
        np.linspace(0, 1, 12), [0, 0.15, 1], [enter, enter + 6.0, (0.86 if high else 0.22) * height]
    )
    inside = frame.wall(z, side * aim, -7.0)
    outside = frame.wall(np.asarray([enter - 40.0, enter - 12.0]), side * np.asarray([1.45, 1.5]), 55.0)
    outside[1] = frame.wall(np.asarray(enter - 8.0), np.asarray(side * 1.5), 26.0)
    line = resample(np.concatenate([outside, inside]), 60)
    hose(site, f"drain_{SIDE_NAMES[side]}", line, 4.6, 3.3)


def ecg_leads(site: Site, side: int, depth_mm: float, rng: np.random.Generator) -> None:
    """Three to five electrodes on the skin with their wires running off the film."""
    k, height = site.patient.half_width / 134.0, site.height
    spots = [(-88.0, 0.86), (90.0, 0.85), (98.0, 0.20), (-96.0, 0.18), (10.0, 0.52)]
    # The wires run together towards the monitor, off the film at one edge.
    leave = np.asarray([side * rng.uniform(40.0, 210.0) * k, rng.choice([-0.45, -0.4, 1.3]) * height])
    for n in range(int(rng.integers(3, 6))):
        x, z = spots[n][0] * k + rng.normal(0.0, 9.0), (spots[n][1] + rng.normal(0.0, 0.04)) * height
        at = on_chest(site, x, z, -1.0)
        for name, size, material in (
            ("snap", (4.5, 1.2, 4.5), STEEL.with_density(5.0)),
            ("pad", (12.0, 1.4, 12.0), _POLYMER),
        ):
            priority = Priority.METAL if name == "snap" else Priority.DEVICE
            disc = ellipsoid(at, size, 8, 18).moved(site.pose)
            site.scene.add(f"electrode_{name}_{n}", disc, material, priority, MARK)
        t = np.linspace(0.0, 1.0, 8)[1:]
        sway = np.sin(np.pi * t)[:, None] * rng.normal(0.0, [26.0, 22.0], (7, 2))
        path = np.asarray([x, z]) + t[:, None] * (leave + rng.normal(0.0, 12.0, 2) - [x, z]) + sway
        y = skin_front(site.frame, path[:, 0], np.minimum(path[:, 1], 0.95 * height)) - 2.0
        line = resample(np.concatenate([at[None], np.stack([path[:, 0], y, path[:, 1]], axis=1)]), 80)
        wire(site, f"ecg_wire_{n}", line, 0.85, _COPPER)
