"""Stages without networks, of known output, and a way to install them in place of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import suite.stages.selection
from suite.errors import GraphError
from suite.findings import CODES
from suite.grid import Grid
from suite.stages.artifacts import Check, FindingResult, GateResult, Heatmap, TriageResult
from suite.stages.contract import Artifact, Inputs, Outputs
from suite.study import FloatImage, Mask, Radiograph

Make = Callable[[Inputs], dict[str, Any]]
SHA256 = "0123456789abcdef" * 4


def fake(name: str, needs: str, makes: str, make: Make, uses: str = "") -> type:
    """A stage class called ``name`` that returns what ``make`` makes of a study."""

    class Fake:
        weights_sha256: str | None = SHA256

        def __init__(self, device: str) -> None:
            self.device = device

        def run(self, studies: Sequence[Inputs]) -> list[Outputs]:
            made = [make(study) for study in studies]
            return [
                {
                    key: value if isinstance(value, Artifact) else Artifact(value)
                    for key, value in each.items()
                }
                for each in made
            ]

    Fake.name, Fake.needs, Fake.makes = name, frozenset(needs.split()), frozenset(makes.split())  # type: ignore[attr-defined]
    Fake.uses = frozenset(uses.split())  # type: ignore[attr-defined]
    return Fake


def lungs_of(shape: tuple[int, int]) -> Mask:
    """Right lung (128) in columns 1/6 to 5/12, left (255) in 7/12 to 5/6, rows 1/5 to 4/5."""
    rows, columns = shape
    mask = np.zeros(shape, np.uint8)
    mask[rows // 5 : rows * 4 // 5, columns // 6 : columns * 5 // 12] = 128
    mask[rows // 5 : rows * 4 // 5, columns * 7 // 12 : columns * 5 // 6] = 255
    return mask


def bone_of(film: Radiograph) -> FloatImage:
    """A fifth of the film in every third row."""
    bone = np.zeros(film.shape, np.float32)
    bone[::3] = np.float32(0.2) * film.pixels[::3]
    return bone


def gate(*failed: str) -> type:
    """Refuses with one check for each entry of ``failed``; accepts where there is none."""
    checks = [Check("chest", True, 0.98, "This is a chest.")]
    checks += [Check(f"check_{index}", False, None, message) for index, message in enumerate(failed)]
    return fake("gate", "frontal", "gate", lambda _study: {"gate": GateResult(tuple(checks))}, uses="lateral")


def lungs() -> type:
    return fake(
        "lungs",
        "frontal",
        "lung_mask",
        lambda study: {
            "lung_mask": Artifact(
                lungs_of(study["frontal"].value.shape),
                Grid.of(study["frontal"].value.shape),
                ("looked at the film",),
                ("A warning of the lungs.",),
            )
        },
    )


def bone() -> type:
    def make(study: Inputs) -> dict[str, Any]:
        film = study["frontal"].value
        layer = bone_of(film)
        return {"bone_subtracted": layer, "bone_suppressed": film.pixels - layer}

    return fake("bone", "frontal lung_mask", "bone_subtracted bone_suppressed", make)


def triage(state: str = "abnormal") -> type:
    result = TriageResult(1.23456789, 0.75, (0.6, 0.85), 0.4, state)
    return fake("triage", "frontal", "triage", lambda _study: {"triage": result})


def heatmap(view: str, film: Radiograph, *hot: tuple[int, int], cells: int = 16) -> Heatmap:
    """A map of ``cells`` x ``cells`` on the letterboxed film, 1 in the cells (row, column), else 0."""
    values = np.zeros((cells, cells), np.float32)
    for place in hot:
        values[place] = 1.0
    return Heatmap(view, values, Grid.of(film.shape).square().resize(256).resize(cells))


def findings(
    hot: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> Callable[[Inputs], tuple[Any, ...]]:
    """Pneumothorax is suggested with hot cells by view, edema has a score alone, fracture is not trained."""
    places = {"frontal": [(4, 4)]} if hot is None else hot

    def make(study: Inputs) -> tuple[FindingResult, ...]:
        maps = {view: heatmap(view, study[view].value, *cells) for view, cells in places.items()}
        results = []
        for code in CODES:
            if code == "pneumothorax":
                results.append(FindingResult(code, "suggested", 2.5, 0.91, (0.8, 0.97), 0.3, maps))
            elif code == "edema":
                results.append(FindingResult(code, "uncertain", 0.25))
            elif code == "fracture":
                results.append(FindingResult(code, "not_trained"))
            else:
                results.append(FindingResult(code, "not_suggested", -3.0, 0.05, (0.01, 0.1), 0.3))
        return tuple(results)

    return make


def without_probability(code: str, reason: str) -> Callable[[Inputs], tuple[Any, ...]]:
    """``findings`` with a score and a heatmap alone for ``code``, and the reason."""

    def make(study: Inputs) -> tuple[FindingResult, ...]:
        maps = {"frontal": heatmap("frontal", study["frontal"].value, (4, 4))}
        bare = FindingResult(code, "uncertain", 1.2, heatmaps=maps, no_probability=reason)
        return tuple(bare if each.code == code else each for each in findings()(study))

    return make


def diagnosis(make: Callable[[Inputs], tuple[Any, ...]] | None = None) -> type:
    chosen = make or findings()
    return fake(
        "diagnosis",
        "frontal lung_mask bone_subtracted",
        "findings",
        lambda study: {"findings": chosen(study)},
        uses="lateral",
    )


def broken(name: str, error: Exception, needs: str = "frontal", makes: str = "nothing") -> type:
    """A stage that fails whenever it runs."""

    def make(_study: Inputs) -> dict[str, Any]:
        raise error

    return fake(name, needs, makes, make)


def unbuildable(name: str, error: Exception, needs: str = "frontal", makes: str = "nothing") -> type:
    """A stage that cannot be built, as one whose weights are missing."""
    stage = fake(name, needs, makes, lambda _study: {})

    def refuse(_self: Any, _device: str) -> None:
        raise error

    stage.__init__ = refuse  # type: ignore[misc]
    return stage


def whole_house() -> list[type]:
    """One fake for each stage of the suite."""
    return [gate(), lungs(), bone(), triage(), diagnosis()]


def install(patch: pytest.MonkeyPatch, stages: Sequence[type], unloadable: Sequence[str] = ()) -> None:
    """Make ``stages`` the installed ones; those in ``unloadable`` are listed and do not import."""
    classes: dict[str, Any] = {stage.name: stage for stage in stages}  # type: ignore[attr-defined]

    def load(name: str) -> Any:
        if name in unloadable:
            raise GraphError(f"plug-in {name} (x:Y) does not load: no module; reinstall its package.")
        return classes[name]

    names = dict.fromkeys(sorted([*classes, *unloadable]))
    patch.setattr(suite.stages.selection, "installed", lambda _group: names)
    patch.setattr(suite.stages.selection, "load_stage", load)
