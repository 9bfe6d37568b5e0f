"""From the artifacts of a reading to ``report.json`` and the pictures beside it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.errors import InputError, StageError
from suite.findings import CODES, FINDINGS, Finding
from suite.report.disagreement import disagreement
from suite.report.plausibility import Terrain
from suite.report.regions import LEVEL, LungZones, regions_of, shows_something
from suite.report.schema import SCHEMA
from suite.stages.artifacts import Check, FindingResult, GateResult, Measured, TriageResult, is_mask
from suite.stages.contract import Artifact, StageRun
from suite.study import FULL_16_BIT, Mask, Radiograph, Study
from suite.version import __version__

DISCLAIMER = "Research software, not a medical device. Suggestions for a radiologist, not a diagnosis."
LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pydicom")
Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(slots=True)
class Draft:
    """What a reading has come to so far.

    Attributes:
        override: whether a refusal of the gate is overridden: as a whole, or the checks that are named.
    """

    study: Study
    override: bool | Collection[str] = False
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    runs: list[StageRun] = field(default_factory=list)
    unavailable: Sequence[str] = ()

    @property
    def overridden(self) -> frozenset[str]:
        """Names of the checks that the film fails and that are overridden.

        Raises:
            InputError: a name is none of the gate's checks.
        """
        gate = self.artifacts.get("gate")
        checks: tuple[Check, ...] = () if gate is None else gate.value.checks
        failed = frozenset(check.name for check in checks if not check.passed)
        if isinstance(self.override, bool):
            return failed if self.override else frozenset()
        unknown = sorted(set(self.override) - {check.name for check in checks})
        if gate is not None and unknown:
            known = ", ".join(check.name for check in checks)
            raise InputError(f"check {unknown[0]!r} is none of the gate's; override one of {known}.")
        return failed & frozenset(self.override)

    @property
    def may_be_read(self) -> bool:
        """Whether the gate accepts the film, or every check that it fails is overridden."""
        gate = self.artifacts.get("gate")
        return (
            gate is None or {check.name for check in gate.value.checks if not check.passed} <= self.overridden
        )


def build(draft: Draft) -> tuple[dict[str, Any], dict[str, Picture]]:
    """The report and the pictures it names; picture ``NAME`` is written to ``NAME.png``."""
    pictures: dict[str, Picture] = {name: _film(film) for name, film in _film_names(draft.study)}
    accepted = draft.may_be_read
    findings = _findings(draft, pictures) if accepted else None
    images = _images(draft, pictures) if accepted else None
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
        "measurements": _measurements(draft) if accepted else None,
        "images": images,
        "warnings": _warnings(draft, findings),
        "provenance": _provenance(draft),
    }
    return report, pictures


def _film_names(study: Study) -> list[tuple[str, Radiograph]]:
    names = {"frontal": "film", "lateral": "film_lateral"}
    return [(names[view], film) for view, film in study.views.items()]


def _film(film: Radiograph) -> Picture:
    return FULL_16_BIT.to_uint16(film.pixels)


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
                "value": _plain(check.value),
                "message": check.message,
                **({"overridden": True} if check.name in draft.overridden else {}),
            }
            for check in gate.checks
        },
    }


def _plain(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return round(float(value), 5)
    return None


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


def _findings(draft: Draft, pictures: dict[str, Picture]) -> list[dict[str, Any]] | None:
    artifact = draft.artifacts.get("findings")
    if artifact is None:
        return None
    lungs = draft.artifacts.get("lung_mask")
    mask: Mask | None = None if lungs is None else lungs.value
    grounds = {
        name: _Ground.of(film, mask if name == "frontal" else None)
        for name, film in draft.study.views.items()
    }
    results: Sequence[FindingResult] = artifact.value
    if tuple(result.code for result in results) != CODES:
        raise StageError(
            f"the findings of study {draft.study.id} are not the {len(CODES)} known ones in their order; "
            "mend the stage that makes them."
        )
    return [
        _finding(finding, result, grounds, pictures)
        for finding, result in zip(FINDINGS, results, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a film's heatmaps are described by."""

    zones: LungZones
    lungs: Mask | None
    terrain: Terrain

    @classmethod
    def of(cls, film: Radiograph, lungs: Mask | None) -> _Ground:
        return cls(LungZones.of(lungs, film.shape), lungs, Terrain.of(film.pixels, lungs))


def _finding(
    finding: Finding, result: FindingResult, grounds: Mapping[str, _Ground], pictures: dict[str, Picture]
) -> dict[str, Any]:
    paths = {}
    regions: list[dict[str, Any]] = []
    flags: list[dict[str, Any]] = []
    heatmaps = {view: heatmap for view, heatmap in result.heatmaps.items() if shows_something(heatmap)}
    for view, heatmap in heatmaps.items():
        name = f"heatmap_{finding.code}_{view}"
        paths[view] = f"{name}.png"
        on_film = np.asarray(
            heatmap.grid.invert(np.rint(np.clip(heatmap.values, 0, 1) * 255).astype(np.uint8))
        )
        pictures[name] = on_film
        ground = grounds[view]
        regions += regions_of(heatmap, ground.zones, ground.lungs)
        flags += ground.terrain.flags(finding.code, view, on_film, LEVEL)
    return {
        "code": finding.code,
        "name": finding.name,
        "score": _rounded(result.score),
        "probability": _rounded(result.probability),
        "interval": None if result.interval is None else [round(bound, 5) for bound in result.interval],
        "operating_point": _rounded(result.operating_point),
        "state": result.state,
        "no_probability": result.no_probability,
        "lateral_effect": _rounded(result.lateral_effect),
        "regions": regions,
        "heatmap": paths or None,
        "heatmap_method": next((heatmap.method for heatmap in heatmaps.values()), None),
        "heatmap_flags": flags,
    }


def _number(value: float | None) -> float | None:
    """A measured number: counts stay whole, the rest is rounded."""
    return value if isinstance(value, int) else _rounded(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 5)


def _images(draft: Draft, pictures: dict[str, Picture]) -> dict[str, str] | None:
    """Masks as they are; grey layers on the scale of the film they came from.

    Raises:
        StageError: a mask does not have the film's size, so that nobody could lay it on the film.
    """
    for name, artifact in draft.artifacts.items():
        if is_mask(artifact.value):
            _check_size(name, artifact.value, draft.study.frontal)
            pictures[name] = artifact.value
    if draft.study.frontal is not None and "bone_subtracted" in draft.artifacts:
        pictures |= _bone_layers(draft.study.frontal, draft.artifacts)
    return {name: f"{name}.png" for name in pictures}


def _check_size(name: str, mask: Mask, film: Radiograph | None) -> None:
    if film is not None and mask.shape != film.shape:
        raise StageError(
            f"the mask {name} has {mask.shape[0]} x {mask.shape[1]} pixels and its film "
            f"{film.shape[0]} x {film.shape[1]}; mend the stage that makes it, or leave it out with --stages."
        )


def _bone_layers(film: Radiograph, artifacts: Mapping[str, Artifact]) -> dict[str, Picture]:
    """Bone, film minus bone, and what is missing between film and soft tissue, in numbers of the source.

    Differences carry no offset: a layer of nothing is 0, whatever number the film's black has, so that
    ``film = bone_suppressed + bone_subtracted`` holds number by number.
    """
    scale = film.grey_scale
    original = scale.to_uint16(film.pixels).astype(np.int32)
    suppressed = scale.to_uint16(artifacts["bone_suppressed"].value).astype(np.int32)
    difference = np.abs(original - suppressed).astype(np.uint16)
    return {
        "bone_subtracted": difference,
        "bone_suppressed": suppressed.astype(np.uint16),
        "residual": difference,
    }


def _measurements(draft: Draft) -> dict[str, float | None] | None:
    """Numbers of the film: those read off the lungs, then those that stages measured themselves."""
    film = draft.study.frontal
    own = [artifact.value for artifact in draft.artifacts.values() if isinstance(artifact.value, Measured)]
    lungs = draft.artifacts.get("lung_mask")
    if film is None or (lungs is None and not own):
        return None
    measured: dict[str, float | None] = {} if lungs is None else _lung_measurements(draft, film, lungs.value)
    for each in own:
        measured |= {name: _number(value) for name, value in each.values.items()}
    return measured


def _lung_measurements(draft: Draft, film: Radiograph, mask: Mask) -> dict[str, float | None]:
    counts = np.bincount(mask.ravel(), minlength=256)
    right, left = int(counts[128]), int(counts[255])
    measured: dict[str, float | None] = {
        "lung_area_px": right + left,
        "right_lung_area_px": right,
        "left_lung_area_px": left,
    }
    if film.spacing is not None:
        measured["lung_area_cm2_at_detector"] = round(
            (right + left) * film.spacing[0] * film.spacing[1] / 100, 2
        )
    if "bone_subtracted" in draft.artifacts and right + left:
        bone = draft.artifacts["bone_subtracted"].value
        measured["bone_share_inside_lungs"] = round(float(bone[mask > 0].mean()), 5)
    return measured


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
