"""What every finding of the phantom is: frozen parameters that change patient or scene."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from suite.phantom.materials import Material
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene


class Pathology:
    """A finding as a change of the anatomy; subclasses are frozen dataclasses of mm and severities.

    ``code`` is the finding it stands for, one of ``suite.findings.CODES``. What it adds to the scene carries
    the label ``finding:<code>``, or a material of that name (``stuff``) whose path length makes the mask.
    """

    __slots__ = ()
    code: ClassVar[str]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes this finding makes true, parents not included."""
        return (self.code,)

    @classmethod
    def draw(cls, rng: np.random.Generator, patient: Patient) -> Pathology:
        """A random case that fits the patient (standing or lying, sex, age)."""
        raise NotImplementedError

    def change_patient(self, patient: Patient, rng: np.random.Generator) -> Patient:
        """The patient with other parameters, before the scene is built; unchanged by default."""
        return patient

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Edit the posed scene in place; ``rng`` is this finding's own and the same for both views."""


def label(code: str) -> str:
    """The scene label of a finding."""
    return f"finding:{code}"


def stuff(*codes: str, table: str = "soft", density: float = 1.04) -> Material:
    """A material that belongs to a finding (or several), so that its path lengths give the mask."""
    return Material(label("+".join(codes)), table, density)


def is_supine(patient: Patient) -> bool:
    """Whether the frontal was taken lying (AP)."""
    return patient.technique.projection == "AP"
