"""The findings of a report: their numbers, and where on the film their heatmaps point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from suite.errors import StageError
from suite.findings import CODES, FINDINGS, Finding
from suite.report.images import Picture
from suite.report.numbers import rounded
from suite.report.plausibility import Terrain
from suite.report.regions import LEVEL, LungZones, regions_of, shows_something
from suite.report.unfinished import Draft
from suite.stages.artifacts import FindingResult
from suite.study import Mask, Radiograph


def describe_findings(draft: Draft, pictures: dict[str, Picture]) -> list[dict[str, Any]] | None:
    """One entry a finding, ``None`` where no stage looked for any; their heatmaps are added to ``pictures``.

    Raises:
        StageError: a stage made other findings than the known ones.
    """
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
        "score": rounded(result.score),
        "probability": rounded(result.probability),
        "interval": None if result.interval is None else [round(bound, 5) for bound in result.interval],
        "operating_point": rounded(result.operating_point),
        "state": result.state,
        "no_probability": result.no_probability,
        "lateral_effect": rounded(result.lateral_effect),
        "regions": regions,
        "heatmap": paths or None,
        "heatmap_method": next((heatmap.method for heatmap in heatmaps.values()), None),
        "heatmap_flags": flags,
    }
