"""Labelled films through the same stages as every reading, each once: their scores by head."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.calibration.contract import ABNORMAL, ScoredFilms
from suite.datasets.manifest import Record
from suite.errors import InputError, StageError
from suite.film import given_as_frontal, given_as_lateral
from suite.findings import CODES
from suite.study import Study
from suite.training.films import open_film

if TYPE_CHECKING:
    from suite.analysis import Analyzer

HEADS = (ABNORMAL, *CODES)


@dataclass(frozen=True, slots=True)
class Scored:
    """The films that were read, and a sentence for each that was not."""

    films: ScoredFilms
    left_out: tuple[str, ...]


def score_films(
    records: Sequence[Record],
    analyzer: Analyzer,
    *,
    override_gate: bool = False,
    on_film: Callable[[int], None] | None = None,
) -> Scored:
    """Read each record once. A film that cannot be read, that a stage fails on, or that the gate refuses, is
    left out and named.

    Raises:
        InputError: no film is left.
        StageError: no film is left, and a stage failed on one.
    """
    kept: list[Record] = []
    rows: list[Mapping[str, float]] = []
    left_out: list[str] = []
    failed: list[str] = []
    for index, record in enumerate(records):
        try:
            report = _report(record, index, analyzer, override_gate=override_gate)
        except (InputError, StageError) as error:
            left_out.append(f"{record.id}: {error}")
            if isinstance(error, StageError):
                failed.append(left_out[-1])
        else:
            gate = report["gate"]
            if gate is not None and not gate["accepted"] and not gate["overridden"]:
                left_out.append(f"{record.id}: the gate refuses it. {gate['reasons'][0]}")
            else:
                kept.append(record)
                rows.append(_scores(report))
        if on_film is not None:
            on_film(index + 1)
    if not kept and failed:
        raise StageError(
            f"none of the {len(records)} films could be read, and stages failed on {len(failed)}: {failed[0]}"
        )
    if not kept:
        raise InputError(
            f"none of the {len(records)} films could be read (first: {left_out[0] if left_out else 'none'}); "
            "give films that the suite reads."
        )
    labels = {code: np.array([record.labels[at] for record in kept]) for at, code in enumerate(CODES)}
    labels[ABNORMAL] = np.array([record.abnormal for record in kept])
    scores = {head: np.array([row.get(head, math.nan) for row in rows]) for head in HEADS}
    films = ScoredFilms(
        tuple(record.id for record in kept), tuple(record.patient_id for record in kept), labels, scores
    )
    return Scored(films, tuple(left_out))


def _report(record: Record, index: int, analyzer: Analyzer, *, override_gate: bool) -> Mapping[str, Any]:
    frontal, lateral = open_film(record.frontal), None
    if record.lateral is not None:
        frontal, lateral = given_as_frontal(frontal), given_as_lateral(open_film(record.lateral))
    study = Study(f"film-{index}", frontal, lateral)
    return analyzer.run(study, override_gate=override_gate).report


def _scores(report: Mapping[str, Any]) -> dict[str, float]:
    found = {} if report["triage"] is None else {ABNORMAL: float(report["triage"]["score"])}
    for finding in report["findings"] or ():
        if finding["score"] is not None:
            found[finding["code"]] = float(finding["score"])
    return found
