"""The artifacts every stage may count on, by name, and the types of those that are no pictures.

=================  =====================================================================================
``frontal``        ``Radiograph``
``lateral``        ``Radiograph``; a study without one simply lacks the artifact
``gate``           ``GateResult``
``lung_mask``      ``uint8 (H, W)`` on the frontal film: 0 background, 128 right lung, 255 left lung
``lung_whole``     the same for the whole lungs, with what heart and diaphragm hide
``organ_mask``     ``uint8 (H, W)`` bits: 1, 2 right and left lung, 4 heart, 8, 16 right and left clavicle
``heart_mask``     ``uint8 (H, W)``: 255 inside the heart
``tissue_mask``    ``uint8 (H, W)`` on the frontal film: 0 open beam, 128 soft tissue, 255 bone
``bone_subtracted``  ``float32 (H, W)`` on the frontal film, on its [0, 1] scale: what bone adds
``bone_suppressed``  ``float32 (H, W)``: the film minus that
``triage``         ``TriageResult``
``findings``       tuple of 13 ``FindingResult`` in the order of ``suite.findings.FINDINGS``
=================  =====================================================================================

Any other ``uint8 (H, W)`` on the frontal film becomes a picture of the report under the artifact's name, and
any ``Measured`` adds its numbers to the report's ``measurements``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from suite.grid import Grid
from suite.study import FloatImage


@dataclass(frozen=True, slots=True)
class Check:
    """One of the gate's tests: what it looked at, what it found, and whether that is acceptable."""

    name: str
    passed: bool
    value: float | str | None
    message: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether the film may be read, and why not."""

    checks: tuple[Check, ...]

    @property
    def accepted(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(check.message for check in self.checks if not check.passed)


@dataclass(frozen=True, slots=True)
class TriageResult:
    """Score (a logit), calibrated probability with 95 % interval, operating point, and the verdict."""

    score: float
    probability: float
    interval: tuple[float, float]
    operating_point: float
    state: str


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Where a finding's score comes from: (h, w) in [0, 1] on a coarse grid of the film ``view``.

    ``method`` is ``cam`` for the closed form of one forward pass, or the name of what was asked for.
    """

    view: str
    values: FloatImage
    grid: Grid
    method: str = "cam"


@dataclass(frozen=True, slots=True)
class FindingResult:
    """One finding. A head that its training data could not teach has ``None`` for every number.

    ``no_probability`` says why a score has no probability: a phrase without a capital or a full stop.
    ``lateral_effect`` is what the lateral film added to the score, in logits; ``None`` where none was read.
    """

    code: str
    state: str
    score: float | None = None
    probability: float | None = None
    interval: tuple[float, float] | None = None
    operating_point: float | None = None
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)
    no_probability: str | None = None
    lateral_effect: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers for the report's ``measurements`` by name, with their unit in it: ``heart_area_px``.

    A number that does not apply to this film is ``None``.
    """

    values: Mapping[str, float | None]


def is_mask(value: Any) -> bool:
    """Whether an artifact's value is a mask: ``uint8 (H, W)``."""
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 2
