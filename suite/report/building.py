"""From the artifacts of a reading to ``report.json`` and the pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from suite.report.disagreement import disagreement
from suite.report.findings import describe_findings
from suite.report.images import Picture, add_layers, film_pictures
from suite.report.measurements import measurements_of
from suite.report.numbers import checked_value
from suite.report.schema import SCHEMA
from suite.report.unfinished import Draft
from suite.stages.artifacts import GateResult, TriageResult
from suite.study import Radiograph
from suite.version import __version__

DISCLAIMER = "Research software, not a medical device. Suggestions for a radiologist, not a diagnosis."
LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pydicom")


def build(draft: Draft) -> tuple[dict[str, Any], dict[str, Picture]]:
    """The report and the pictures it names; picture ``NAME`` is written to ``NAME.png``."""
    pictures = film_pictures(draft.study)
    accepted = draft.may_be_read
    findings = describe_findings(draft, pictures) if accepted else None
    images = add_layers(draft, pictures) if accepted else None
    report = {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "study": {
            "id": draft.study.id,
            "views": {name: _view(film) for name, film in draft.study.views.items()},
        },
        "gate": _gate(draft),
        "triage": _triage(draft),
        "findings": findings,
        "measurements": measurements_of(draft) if accepted else None,
        "images": images,
        "warnings": _warnings(draft, findings),
        "provenance": _provenance(draft),
    }
    return report, pictures


def _view(film: Radiograph) -> dict[str, Any]:
    rows, columns = film.shape
    return {
        "source": film.source,
        "projection": str(film.projection),
        "rows": rows,
        "columns": columns,
        "spacing_mm": None if film.spacing is None else list(film.spacing),
    }


def _gate(draft: Draft) -> dict[str, Any] | None:
    artifact = draft.artifacts.get("gate")
    if artifact is None:
        return None
    gate: GateResult = artifact.value
    return {
        "accepted": gate.accepted,
        "overridden": not gate.accepted and draft.may_be_read,
        "reasons": list(gate.reasons),
        "checks": {
            check.name: {
                "passed": bool(check.passed),
                "value": checked_value(check.value),
                "message": check.message,
                **({"overridden": True} if check.name in draft.overridden else {}),
            }
            for check in gate.checks
        },
    }


def _triage(draft: Draft) -> dict[str, Any] | None:
    artifact = draft.artifacts.get("triage")
    if artifact is None:
        return None
    triage: TriageResult = artifact.value
    return {
        "score": round(triage.score, 5),
        "probability": round(triage.probability, 5),
        "interval": [round(bound, 5) for bound in triage.interval],
        "operating_point": round(triage.operating_point, 5),
        "state": triage.state,
    }


def _warnings(draft: Draft, findings: Sequence[Mapping[str, Any]] | None) -> list[str]:
    lines = [f"{view}: {line}" for view, film in draft.study.views.items() for line in film.warnings]
    lines += [line for artifact in draft.artifacts.values() for line in artifact.warnings]
    for finding in findings or ():
        if finding["state"] == "suggested":
            lines += [
                f"{each['view']}: {finding['name']}: {each['message']}" for each in finding["heatmap_flags"]
            ]
    triage = draft.artifacts.get("triage")
    state = None if triage is None else triage.value.state
    return list(dict.fromkeys([*lines, *disagreement(state, findings or ())]))


def _provenance(draft: Draft) -> dict[str, Any]:
    lines = [f"{view}: {line}" for view, film in draft.study.views.items() for line in film.preprocessing]
    lines += [f"{name}: {line}" for name, artifact in draft.artifacts.items() for line in artifact.history]
    return {
        "radsuite": __version__,
        "libraries": {name: _version(name) for name in LIBRARIES},
        "unavailable": list(draft.unavailable),
        "grey_scale": {
            view: {"black": film.grey_scale.black, "white": film.grey_scale.white}
            for view, film in draft.study.views.items()
        },
        "stages": [run.as_json() for run in draft.runs],
        "preprocessing": lines,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
