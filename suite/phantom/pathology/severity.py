"""Findings by one number: how large or how severe, where the phantom's parameters allow that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from suite.errors import InputError
from suite.phantom.pathology.airspace import Consolidation, Focus, LungOpacity, Pneumonia
from suite.phantom.pathology.atelectasis import Atelectasis, Collapse
from suite.phantom.pathology.contract import Pathology
from suite.phantom.pathology.edema import Edema
from suite.phantom.pathology.effusion import Effusion, PleuralEffusion
from suite.phantom.pathology.fracture import Break, Fracture
from suite.phantom.pathology.heart import Cardiomegaly, EnlargedCardiomediastinum
from suite.phantom.pathology.lesion import Lesion, LungLesion
from suite.phantom.pathology.pleura import PleuralOther, Rind
from suite.phantom.pathology.pneumothorax import Pneumothorax


@dataclass(frozen=True, slots=True)
class Scale:
    """What the number stands for.

    Attributes:
        quantity: in words, such as "diameter".
        unit: such as "mm"; empty for a pure number.
        low, high: at severity 0 and 1.
        make: the finding from the quantity and the side (-1 right, 1 left).
    """

    quantity: str
    unit: str
    low: float
    high: float
    make: Callable[[float, int], Pathology]

    def value(self, severity: float) -> float:
        """The quantity at a severity in [0, 1]."""
        return self.low + (self.high - self.low) * severity


def _word(side: int) -> str:
    return "left" if side > 0 else "right"


def _lower(side: int) -> str:
    return f"{_word(side)}_lower"


SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "enlarged_cardiomediastinum": Scale(
            "widening", "times", 1.3, 2.6, lambda value, _: EnlargedCardiomediastinum(widening=value)
        ),
        "cardiomegaly": Scale(
            "cardiothoracic ratio", "", 0.54, 0.72, lambda value, _: Cardiomegaly(ratio=value)
        ),
        "lung_opacity": Scale(
            "radius", "mm", 15.0, 70.0, lambda v, side: LungOpacity((Focus(_lower(side), v, 0.3, 0.3),))
        ),
        "lung_lesion": Scale(
            "diameter", "mm", 6.0, 60.0, lambda value, side: LungLesion((Lesion(value, side),))
        ),
        "edema": Scale("severity", "", 0.1, 1.0, lambda value, _: Edema(severity=value)),
        "consolidation": Scale(
            "radius", "mm", 25.0, 140.0, lambda v, side: Consolidation((Focus(_lower(side), v),))
        ),
        "pneumonia": Scale(
            "radius", "mm", 20.0, 80.0, lambda v, side: Pneumonia((Focus(_lower(side), v, 0.5, 0.8),))
        ),
        "atelectasis": Scale(
            "collapse", "", 0.2, 1.0, lambda v, side: Atelectasis((), (Collapse(_lower(side), v),))
        ),
        "pneumothorax": Scale(
            "distance of the apex",
            "mm",
            8.0,
            90.0,
            lambda value, side: Pneumothorax(side, apex_mm=value, wall_mm=0.45 * value),
        ),
        "pleural_effusion": Scale(
            "amount", "", 0.1, 1.0, lambda value, side: PleuralEffusion((Effusion(side, value),))
        ),
        "pleural_other": Scale(
            "thickness", "mm", 2.0, 18.0, lambda value, side: PleuralOther((Rind(side, thick_mm=value),))
        ),
        "fracture": Scale(
            "step of the ends",
            "mm",
            0.5,
            12.0,
            lambda value, side: Fracture((Break(f"rib_{_word(side)}_06", step_mm=value),)),
        ),
    }
)
"""By finding code. Support devices are there or not, and have no scale."""


def of_severity(code: str, severity: float, side: int) -> Pathology:
    """A finding of a wanted severity.

    Args:
        code: finding code.
        severity: in [0, 1], from the scale's low end to its high end.
        side: -1 right, 1 left; findings in the middle ignore it.

    Raises:
        InputError: the finding has no scale, or a number is outside its range.
    """
    scale = SCALES.get(code)
    if scale is None:
        raise InputError(f"finding {code!r} has no severity; use one of {', '.join(SCALES)}.")
    if not 0.0 <= severity <= 1.0 or side not in (-1, 1):
        raise InputError(f"severity {severity} on side {side}: give 0 to 1, and -1 (right) or 1 (left).")
    return scale.make(scale.value(severity), side)
