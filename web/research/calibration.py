"""Calibration: how each network's scores become probabilities, and whether readers here agree with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, render_template

from suite.errors import StorageError, SuiteError
from suite.findings import NAMES
from suite.jobs.store import REPORT, Store
from suite.records.agreement import Judgement, judgements
from suite.records.jobs import find_job
from suite.records.reliability import (
    Bin,
    calibration_curve,
    expected_calibration_error,
    judged_probabilities,
    reliability,
)
from suite.stages.weights import shipped_cards
from web.research.plots import Square, curve_plot, reliability_plot
from web.services import services

blueprint = Blueprint("calibration", __name__)

MAX_READINGS = 400
"""The latest readings that are opened for the site's own reliability."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One calibration of a model card, drawn."""

    network: str
    title: str
    drawing: Square
    facts: Mapping[str, Any]


@blueprint.get("/research/calibration")
def index() -> str:
    """Curves of the model cards, and the reliability of what was judged here."""
    bins, used = _on_this_site()
    return render_template(
        "research/calibration.html",
        curves=_curves(),
        bins=bins,
        used=used,
        error=expected_calibration_error(bins) if bins else None,
        drawing=reliability_plot(bins),
        limit=MAX_READINGS,
    )


def _curves() -> list[Curve]:
    """Curves from score to probability; a segmentation's card holds mean confidences, which are none."""
    found = []
    for card in shipped_cards():
        own = {"": card.content.get("calibration")}
        own |= {code: head.get("calibration") for code, head in (card.content.get("heads") or {}).items()}
        for code, facts in own.items():
            if facts and "slope" in facts:
                drawing = curve_plot(calibration_curve(facts), facts.get("operating_point"))
                found.append(Curve(card.name, NAMES.get(code, str(card.content["title"])), drawing, facts))
    return found


def _on_this_site() -> tuple[list[Bin], int]:
    """Bins of the suggestions that were judged here, and how many there were."""
    found = judgements(services().database)
    jobs = list(dict.fromkeys(one.job_id for one in reversed(found)))[:MAX_READINGS]
    probabilities = {job: _probabilities(job) for job in jobs}
    pairs = judged_probabilities(_suggested(found, probabilities), probabilities)
    return reliability(pairs), len(pairs)


def _suggested(found: list[Judgement], probabilities: Mapping[str, Mapping[str, float]]) -> list[Judgement]:
    return [one for one in found if one.job_id in probabilities]


def _probabilities(job_id: str) -> dict[str, float]:
    """Calibrated probabilities of a reading by finding; none when it is gone or damaged."""
    try:
        job = find_job(services().database, job_id)
        if job.study_id is None or job.reading is None:
            return {}
        path = services().store.file(job.study_id, job.reading, REPORT)
        return _read(services().store, job.study_id, job.reading, path, path.stat().st_mtime_ns)
    except StorageError:
        raise
    except (SuiteError, OSError):
        return {}


@lru_cache(maxsize=2 * MAX_READINGS)
def _read(store: Store, study_id: str, reading: str, _path: Path, _modified: int) -> dict[str, float]:
    report = store.report(study_id, reading)
    return {
        finding["code"]: float(finding["probability"])
        for finding in report.get("findings") or ()
        if finding.get("probability") is not None
    }
