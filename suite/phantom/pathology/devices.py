"""Support devices as one finding: any mix of tubes, lines and implants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from suite.errors import InputError
from suite.phantom.pathology import implants, lines
from suite.phantom.pathology.contract import Pathology, is_supine
from suite.phantom.pathology.site import Site
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene

Builder = Callable[[Site, int, float, np.random.Generator], None]

KINDS: Final[dict[str, Builder]] = {
    "tracheal_tube": lines.tracheal_tube,
    "gastric_tube": lines.gastric_tube,
    "jugular_line": lines.jugular_line,
    "subclavian_line": lines.subclavian_line,
    "arm_line": lines.arm_line,
    "port": lines.port,
    "chest_drain": lines.chest_drain,
    "ecg_leads": lines.ecg_leads,
    "pacemaker": implants.pacemaker,
    "sternal_wires": implants.sternal_wires,
    "valve": implants.valve,
}
"""Kinds of device and what builds them."""

_WARD = {
    "ecg_leads": 0.75,
    "jugular_line": 0.35,
    "tracheal_tube": 0.40,
    "gastric_tube": 0.35,
    "arm_line": 0.15,
    "subclavian_line": 0.15,
    "chest_drain": 0.15,
    "sternal_wires": 0.15,
    "pacemaker": 0.08,
    "valve": 0.05,
}
_WALKING = {
    "pacemaker": 0.34,
    "sternal_wires": 0.30,
    "port": 0.22,
    "arm_line": 0.14,
    "valve": 0.10,
    "jugular_line": 0.08,
    "chest_drain": 0.07,
    "ecg_leads": 0.10,
}


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Attributes:
        kind: one of ``KINDS``.
        side: -1 right, 1 left, where it has one.
        depth_mm: where its tip lies: above the carina for tracheal tubes, else below the cava's middle.

    Raises:
        InputError: there is no such kind.
    """

    kind: str
    side: int = -1
    depth_mm: float = 30.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"support device {self.kind!r} is not known; use one of {', '.join(KINDS)}.")


@dataclass(frozen=True, slots=True)
class SupportDevices(Pathology):
    """Everything that was put into or onto the patient."""

    code: ClassVar[str] = "support_devices"
    devices: tuple[Device, ...] = (Device("jugular_line"),)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> SupportDevices:
        """What lying patients have (tubes, lines, leads) or walking ones (pacemakers, wires, ports)."""
        wanted = _WARD if is_supine(patient) else _WALKING
        kinds = [kind for kind, share in wanted.items() if rng.random() < share]
        if not kinds:
            shares = np.asarray(list(wanted.values()))
            kinds = [str(rng.choice(list(wanted), p=shares / shares.sum()))]
        return cls(tuple(_draw_device(rng, kind) for kind in kinds))

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Build the devices, each with its own random stream."""
        site = Site(scene, patient)
        for one, own in zip(self.devices, rng.spawn(len(self.devices)), strict=True):
            KINDS[one.kind](site, one.side, one.depth_mm, own)


def _draw_device(rng: np.random.Generator, kind: str) -> Device:
    right = {"jugular_line": 0.85, "pacemaker": 0.12, "port": 0.75}.get(kind, 0.5)
    side = -1 if rng.random() < right else 1
    depth = rng.uniform(15.0, 65.0) if kind == "tracheal_tube" else rng.uniform(-5.0, 45.0)
    return Device(kind, side, float(depth))
