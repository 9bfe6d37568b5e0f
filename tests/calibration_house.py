"""A site that calibrates: films scored on a known curve, stages that brightness decides, their cards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from classifiers.calibration_methods import HeadFilms
from suite.findings import CODES
from suite.stages.artifacts import FindingResult, TriageResult
from tests import fake_stages, untrained_weights

Values = npt.NDArray[np.float64]

SLOPE, INTERCEPT = 0.5, -1.2
"""A network that boasts on these films, and sees fewer positives than it was calibrated on."""


def head_films(count: int, seed: int = 0, films_each: int = 1) -> HeadFilms:
    """Labels drawn from a known logistic curve of the scores."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0.0, 2.0, count)
    truth = (rng.random(count) < expit(SLOPE * score + INTERCEPT)).astype(float)
    patients = np.array([f"p{index // films_each}" for index in range(count)])
    return HeadFilms(truth, score, patients)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def install_cards(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Cards of networks that learned nothing: fracture and devices not trained, edema not calibrated."""
    made = {
        "triage": untrained_weights.card("triage", folder / "cards"),
        "diagnosis": untrained_weights.card("diagnosis", folder / "cards"),
    }
    patch.setattr("classifiers.recalibration.shipped_card", lambda _package, name: made[name])


def tell(study: Any) -> float:
    """A score that a film's mean brightness decides."""
    return float(study["frontal"].value.pixels.mean() - 0.6) * 40


def reading_stages() -> list[type]:
    def findings(study: Any) -> tuple[FindingResult, ...]:
        return tuple(FindingResult(code, "uncertain", tell(study)) for code in CODES)

    class Triage(
        fake_stages.fake(  # type: ignore[misc]
            "triage",
            "frontal",
            "triage",
            lambda study: {"triage": TriageResult(tell(study), 0.5, (0.4, 0.6), 0.5, "uncertain")},
        )
    ):
        def recalibrate(self, content: Mapping[str, Any]) -> None:
            self.read_by = content["calibration"]

    return [
        fake_stages.gate(),
        Triage,
        fake_stages.lungs(),
        fake_stages.bone(),
        fake_stages.diagnosis(findings),
    ]
