"""Which findings a patient has: marginal prevalences, co-occurrence, CheXpert's hierarchy, label noise.

A patient is healthy or ill; among the ill, correlated normal variables (a Gaussian copula) decide finding by
finding, so the marginals are exactly the prevalences asked for and the pairs that go together in the clinic
go together here. Prevalences of the two parents are those of cases without any child.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom.mesh import Floats
from suite.phantom.pathology.airspace import Consolidation, LungOpacity, Pneumonia
from suite.phantom.pathology.atelectasis import Atelectasis
from suite.phantom.pathology.contract import Pathology
from suite.phantom.pathology.devices import SupportDevices
from suite.phantom.pathology.edema import Edema
from suite.phantom.pathology.effusion import PleuralEffusion
from suite.phantom.pathology.fracture import Fracture
from suite.phantom.pathology.heart import Cardiomegaly, EnlargedCardiomediastinum
from suite.phantom.pathology.lesion import LungLesion
from suite.phantom.pathology.pleura import PleuralOther
from suite.phantom.pathology.pneumothorax import Pneumothorax
from suite.phantom.patient import Patient
from suite.phantom.truth import PARENTS

CLASSES: Final[Mapping[str, type[Pathology]]] = MappingProxyType(
    {
        one.code: one
        for one in (
            Cardiomegaly,
            EnlargedCardiomediastinum,
            Pneumothorax,
            Atelectasis,
            PleuralEffusion,
            PleuralOther,
            Edema,
            Consolidation,
            Pneumonia,
            LungOpacity,
            LungLesion,
            Fracture,
            SupportDevices,
        )
    }
)
"""The class behind each finding code, in the order in which findings are put into a scene."""

PREVALENCE: Final[Mapping[str, float]] = MappingProxyType(
    {
        "enlarged_cardiomediastinum": 0.05,
        "cardiomegaly": 0.11,
        "lung_opacity": 0.05,
        "lung_lesion": 0.09,
        "edema": 0.08,
        "consolidation": 0.07,
        "pneumonia": 0.07,
        "atelectasis": 0.10,
        "pneumothorax": 0.07,
        "pleural_effusion": 0.14,
        "pleural_other": 0.04,
        "fracture": 0.07,
        "support_devices": 0.20,
    }
)
"""Default marginal prevalences; rare findings are commoner than in a hospital, to be learnable."""

HEALTHY: Final = 0.40
"""Default share of patients without any finding before chance adds to it."""

_TOGETHER: Final[tuple[tuple[str, str, float], ...]] = (
    ("cardiomegaly", "edema", 0.45),
    ("cardiomegaly", "pleural_effusion", 0.35),
    ("edema", "pleural_effusion", 0.5),
    ("edema", "support_devices", 0.3),
    ("pleural_effusion", "atelectasis", 0.45),
    ("pleural_effusion", "consolidation", 0.3),
    ("pleural_effusion", "support_devices", 0.3),
    ("consolidation", "pneumonia", 0.45),
    ("atelectasis", "support_devices", 0.25),
    ("pneumothorax", "support_devices", 0.35),
    ("pneumothorax", "fracture", 0.35),
    ("pleural_other", "pleural_effusion", 0.15),
    ("fracture", "pleural_effusion", 0.15),
    ("enlarged_cardiomediastinum", "cardiomegaly", 0.2),
    ("lung_lesion", "pleural_effusion", 0.15),
    ("pneumonia", "pleural_effusion", 0.2),
    ("cardiomegaly", "support_devices", 0.2),
)


def draw_findings(
    rng: np.random.Generator,
    patient: Patient,
    prevalence: Mapping[str, float] | None = None,
    healthy: float = HEALTHY,
) -> tuple[Pathology, ...]:
    """Draw a patient's findings, in the order in which they are put into the scene.

    Args:
        prevalence: marginal shares by code; codes left out keep their default from ``PREVALENCE``.
        healthy: share of patients who have nothing at all; lowered where the prevalences demand it.

    Raises:
        InputError: an unknown code, or a share outside 0 to 1.
    """
    shares = dict(PREVALENCE) | dict(prevalence or {})
    for code, share in shares.items():
        if code not in CODES:
            raise InputError(f"finding {code!r} is not known; use one of {', '.join(CODES)}.")
        if not 0.0 <= share <= 1.0:
            raise InputError(f"prevalence {share} of {code} is outside 0 to 1; give a share.")
    ill = max(1.0 - healthy, max(shares.values()))
    sick = rng.random() < ill
    latent = _correlation_root() @ rng.standard_normal(len(CODES))
    streams = rng.spawn(len(CODES))
    if not sick:
        return ()
    limit = {code: float(ndtri(min(shares[code] / ill, 1.0))) if ill > 0.0 else -np.inf for code in CODES}
    return tuple(
        CLASSES[code].draw(streams[CODES.index(code)], patient)
        for code in CLASSES
        if latent[CODES.index(code)] < limit[code]
    )


@lru_cache(maxsize=1)
def _correlation_root() -> Floats:
    matrix = np.eye(len(CODES))
    for one, other, value in _TOGETHER:
        i, j = CODES.index(one), CODES.index(other)
        matrix[i, j] = matrix[j, i] = value
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)


def findings_from(
    wanted: str | Iterable[Any] | None, patient: Patient, rng: np.random.Generator
) -> tuple[Any, ...]:
    """What ``render_study`` was asked for as finding objects.

    Args:
        wanted: ``None`` (healthy), "draw", or a sequence of codes and finding objects; codes become random
            cases, each from its own stream.

    Raises:
        InputError: an unknown word or code.
    """
    if wanted is None:
        return ()
    if isinstance(wanted, str):
        if wanted != "draw":
            raise InputError(f"findings={wanted!r} is not known; give None, 'draw', codes or findings.")
        return draw_findings(rng, patient)
    streams = dict(zip(CODES, rng.spawn(len(CODES)), strict=True))
    out = []
    for one in wanted:
        if isinstance(one, str):
            if one not in CLASSES:
                raise InputError(f"finding {one!r} is not known; use one of {', '.join(CODES)}.")
            out.append(CLASSES[one].draw(streams[one], patient))
        else:
            out.append(one)
    return tuple(out)


def labels_of(findings: Sequence[Any]) -> dict[str, int]:
    """The 13 labels of some findings, parents included."""
    present = {code for one in findings for code in one.codes}
    present |= {parent for parent, children in PARENTS.items() if present.intersection(children)}
    return {code: int(code in present) for code in CODES}


def noisy_labels(
    labels: Mapping[str, int], rng: np.random.Generator, missed: float = 0.15, invented: float = 0.02
) -> dict[str, int]:
    """Labels as text mining leaves them: some findings missed, some invented; parents stay consistent."""
    draws = rng.random(len(CODES))
    own = {
        code: int(draws[k] >= missed if labels[code] else draws[k] < invented) for k, code in enumerate(CODES)
    }
    for parent, children in PARENTS.items():
        own[parent] = max(own[parent], *(own[child] for child in children))
    return own
