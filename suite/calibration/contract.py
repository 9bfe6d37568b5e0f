"""What recalibration hands to a network's package, and what it gets back. The kernel knows no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from suite.stages.weights import ModelCard
from suite.training.evaluation import Figure

ABNORMAL = "abnormal"
"""Head of the triage score, beside the codes of the findings."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """How to calibrate.

    Attributes:
        rule: how operating points are chosen: ``youden``, ``sensitivity=0.95``, ``specificity=0.9``.
        method: ``auto``, ``platt``, ``temperature`` or ``isotonic``.
        source: the films, in words, for cards and reports.
        seed: of resampling and folds.
    """

    rule: str = "youden"
    method: str = "auto"
    source: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ScoredFilms:
    """What the stages made of labelled films.

    Attributes:
        ids, patients: (N,) of each film.
        labels: head to (N,) labels 1, 0 or NaN; heads are ``ABNORMAL`` and the codes of findings.
        scores: head to (N,) logits, NaN where a film has none.
    """

    ids: tuple[str, ...]
    patients: tuple[str, ...]
    labels: Mapping[str, Values]
    scores: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class HeadReport:
    """What became of one head.

    Attributes:
        head: ``ABNORMAL`` or a finding's code.
        positives, negatives: films with a score and a known label.
        method: with the reason for it; empty where the head was kept.
        kept: why the head was kept as it was, one sentence; empty where it was fitted.
        operating_point: (before, after), NaN where there is none.
        before, after: figures by name, of the calibration so far and of the new one on films of patients it
            was not fitted on.
        uncertain: (before, after) share of the films in the abstain band.
    """

    head: str
    positives: int
    negatives: int
    method: str = ""
    kept: str = ""
    operating_point: tuple[float, float] = (float("nan"), float("nan"))
    before: Mapping[str, Figure] = field(default_factory=dict)
    after: Mapping[str, Figure] = field(default_factory=dict)
    uncertain: tuple[float, float] = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A network's card with new calibrations, and what changed.

    Attributes:
        card: content of the model card; the weights are the same, and so is their sha256.
        heads: one report a head, in the network's order.
        draw: draws the reliability diagram into the PNG it is given; ``None`` when no head was fitted.
    """

    card: Mapping[str, Any]
    heads: Sequence[HeadReport]
    draw: Callable[[Path], None] | None


class Calibrator(Protocol):
    """Recalibrates one network. Built as ``Calibrator(plan)``, which checks the plan.

    Raises:
        InputError: the plan's rule or method is not known.
    """

    stage: str
    """The stage whose scores it reads."""

    heads: tuple[str, ...]
    """Heads it calibrates."""

    card: ModelCard
    """Of the weights in use."""

    def recalibrate(self, films: ScoredFilms) -> Recalibration: ...
