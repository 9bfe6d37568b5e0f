"""A stand-in for the networks and the file readers: small, quick, and of known output."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from suite.errors import SuiteError, UnreadableFileError
from suite.findings import FINDINGS
from suite.jobs.contracts import Progress, StoredFilms
from suite.report.schema import validate
from suite.stages.memory import StageMemory
from suite.storage import whole_folder
from suite.study import Projection, Radiograph, Study

STAGES = ("gate", "lungs", "bone", "triage", "diagnosis")
ROWS, COLUMNS = 320, 256
HOT_ROW, HOT_COLUMN = 80, 192
"""Where the fake diagnosis plants its one hot spot: upper half, patient's left (the picture's right)."""

FilmArray = np.ndarray[Any, np.dtype[np.uint16]]


def film_array(seed: int = 1) -> FilmArray:
    """A 16-bit film (ROWS, COLUMNS): a ramp from black (left) to white (right), noise of a few greys."""
    ramp = np.linspace(2_000, 62_000, COLUMNS)[None, :].repeat(ROWS, axis=0)
    noise = np.random.default_rng(seed).normal(0, 20, ramp.shape)
    return np.clip(ramp + noise, 0, 65535).astype(np.uint16)


def film_png(seed: int = 1) -> bytes:
    """The film as a 16-bit PNG file."""
    return cv2.imencode(".png", film_array(seed))[1].tobytes()


def read_film(path: Path, projection: Projection, source: str) -> Radiograph:
    """A picture file as a radiograph; refuses what is not a picture."""
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2:
        raise UnreadableFileError(f"{source}: not a picture or DICOM file; export the film again.")
    scale = 65535.0 if pixels.dtype == np.uint16 else 255.0
    return Radiograph((pixels / scale).astype(np.float32), projection, source)


def load_study(films: StoredFilms) -> Study:
    """What the worker calls to read a study's stored files."""
    views = {
        view: replace(read_film(path, projection, str(name)), source=str(name))
        for view, path, name, projection in (
            ("frontal", films.frontal, films.frontal_name, Projection.PA),
            ("lateral", films.lateral, films.lateral_name, Projection.LATERAL),
        )
        if path
    }
    return Study(films.id, views.get("frontal"), views.get("lateral"))


@dataclass(frozen=True)
class FakeStudyFiles:
    id: str
    frontal: Path | None
    lateral: Path | None
    paired_by_hand: bool


@dataclass(frozen=True)
class FakeRefusal:
    source: str
    error: SuiteError


@dataclass(frozen=True)
class FakeIntake:
    studies: Sequence[FakeStudyFiles]
    refused: Sequence[FakeRefusal]


def collect(paths: Sequence[Path], *, lateral: Path | None = None) -> FakeIntake:
    """One study per readable picture, named after its file."""
    studies, refused = [], []
    for path in paths:
        try:
            read_film(path, Projection.PA, str(path))
            studies.append(FakeStudyFiles(path.stem, path, lateral, lateral is not None))
        except SuiteError as error:
            refused.append(FakeRefusal(str(path), error))
    return FakeIntake(studies, refused)


@dataclass
class FakeReading:
    report: dict[str, Any]
    images: dict[str, Any]

    def write(self, folder: Path) -> Path:
        with whole_folder(folder) as temporary:
            validate(self.report)
            for name, pixels in self.images.items():
                assert cv2.imwrite(str(temporary / f"{name}.png"), pixels)
            (temporary / "report.json").write_text(json.dumps(self.report))
        return folder / "report.json"


@dataclass
class FakeAnalyzer:
    """Reads every study alike, or fails its one check, ``chest``.

    ``before`` is called with the stage's name before each stage ends.
    """

    before: Callable[[str], None] | None = None
    accepted: bool = True
    runs: list[tuple[str, bool | Collection[str]]] = field(default_factory=list)
    stage_keys: Mapping[str, str] = field(default_factory=dict)

    def run_stage(self, study: Study, name: str, memory: StageMemory) -> bool:
        return False

    def run(
        self,
        study: Study,
        *,
        override_gate: bool | Collection[str] = False,
        on_progress: Progress | None = None,
        memory: StageMemory | None = None,
    ) -> FakeReading:
        self.runs.append((study.id, override_gate))
        named = not isinstance(override_gate, bool) and "chest" in override_gate
        stages = STAGES if self.accepted or named or override_gate is True else STAGES[:1]
        for stage in stages:
            if on_progress:
                on_progress(stage, "started")
            if self.before:
                self.before(stage)
            if on_progress:
                on_progress(stage, "finished")
        return make_reading(study, accepted=self.accepted, diagnosed=len(stages) > 1)


def make_reading(study: Study, *, accepted: bool = True, diagnosed: bool = True) -> FakeReading:
    """A complete report with images on the film's grid, or one with the gate's refusal alone."""
    film = next(iter(study.views.values()))
    images: dict[str, Any] = {
        "film" if view == "frontal" else "film_lateral": np.rint(view_film.pixels * 65535).astype(np.uint16)
        for view, view_film in study.views.items()
    }
    if diagnosed:
        images |= _derived(film.shape)
    report: dict[str, Any] = {
        "schema": "radsuite.report/1",
        "study": {"id": study.id, "views": {name: _view(view) for name, view in study.views.items()}},
        "gate": {
            "accepted": accepted,
            "reasons": [] if accepted else ["The lungs are not in the picture."],
            "overridden": diagnosed and not accepted,
            "checks": {
                "chest": {
                    "passed": accepted,
                    "value": 0.98 if accepted else 0.03,
                    "message": "The lungs are not in the picture.",
                }
            },
        },
        "triage": _triage() if diagnosed else None,
        "findings": [_finding(index, study) for index in range(13)] if diagnosed else None,
        "measurements": {"lung_area_px": 21_504, "cardiothoracic_ratio": 0.47} if diagnosed else None,
        "images": {name: f"{name}.png" for name in images if name[:4] != "heat"} if diagnosed else None,
        "provenance": {
            "radsuite": "0.1.0",
            "stages": [
                {"name": name, "weights_sha256": "ab" * 32, "device": "cpu", "seconds": 0.125}
                for name in (STAGES if diagnosed else STAGES[:1])
            ],
            "grey_scale": {"frontal": {"black": 0.0, "white": 65535.0}},
            "preprocessing": ["frontal: 16-bit picture, used range 2000..62000"],
        },
    }
    return FakeReading(report, images)


def _derived(shape: tuple[int, int]) -> dict[str, Any]:
    rows, columns = shape
    mask = np.zeros(shape, np.uint8)
    mask[rows // 4 : rows * 3 // 4, columns // 8 : columns * 3 // 8] = 128
    mask[rows // 4 : rows * 3 // 4, columns * 5 // 8 : columns * 7 // 8] = 255
    heat = np.zeros(shape, np.uint8)
    row, column = HOT_ROW * rows // ROWS, HOT_COLUMN * columns // COLUMNS
    heat[row - 4 : row + 4, column - 4 : column + 4] = 255
    flat = {
        name: np.full(shape, grey, np.uint16)
        for name, grey in (("bone_subtracted", 12_000), ("bone_suppressed", 40_000), ("residual", 4_000))
    }
    for index, image in enumerate(flat.values()):
        image[:: index + 2] += 8_000  # a window needs two greys
    return {"lung_mask": mask, "heatmap_frontal": heat, **flat}


def _view(film: Radiograph) -> dict[str, Any]:
    rows, columns = film.shape
    return {
        "source": film.source,
        "projection": str(film.projection),
        "rows": rows,
        "columns": columns,
        "spacing_mm": None,
    }


def _triage() -> dict[str, Any]:
    return {
        "score": 0.81,
        "probability": 0.74,
        "interval": [0.61, 0.84],
        "operating_point": 0.5,
        "state": "abnormal",
    }


def _finding(index: int, study: Study) -> Mapping[str, Any]:
    finding = FINDINGS[index]
    common: dict[str, Any] = {"code": finding.code, "name": finding.name}
    if finding.code in ("fracture", "support_devices", "enlarged_cardiomediastinum"):
        numbers = dict.fromkeys(("score", "probability", "interval", "operating_point"))
        return common | numbers | {"state": "not_trained", "regions": [], "heatmap": None}
    states = {"pleural_effusion": "suggested", "consolidation": "uncertain"}
    probability = {"pleural_effusion": 0.71, "consolidation": 0.34}.get(finding.code, 0.02 + 0.01 * index)
    region = {"view": "frontal", "box": [188, 76, 196, 84], "zone": "left upper", "inside_lung": 0.92}
    return common | {
        "score": probability,
        "probability": probability,
        "interval": [max(0.0, probability - 0.09), min(1.0, probability + 0.08)],
        "operating_point": 0.4,
        "state": states.get(finding.code, "not_suggested"),
        "regions": [region] if finding.code in states else [],
        "heatmap": {"frontal": "heatmap_frontal.png"},
    }
