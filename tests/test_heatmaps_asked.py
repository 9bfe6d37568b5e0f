"""Maps of a method of pytorch-grad-cam measured beside the closed form, on a network one can follow."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers.diagnosis.asked_heatmaps import asked_maps, check_asked
from classifiers.diagnosis.batches import StudyBatch
from classifiers.diagnosis.evaluation import AskedMaps, asked_figures, measured
from classifiers.diagnosis.predictions import Predictions
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.training import DiagnosisTask
from classifiers.learned_sets import LearnedSets
from classifiers.localisation import LocatedMap, framed_heatmap
from suite.datasets.manifest import Manifest, Record
from suite.errors import InputError
from suite.findings import CODES
from web.research.figure_words import known_words

SIDE, CELLS = 64, 8


class Tiny(nn.Module):
    """Each finding's logit is the mean over bright cells of the frontal film; the maps are those cells."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.frontal = nn.Sequential(nn.AvgPool2d(SIDE // CELLS), nn.ReLU())
        self.lateral = nn.Sequential(nn.Identity())

    def forward(self, frontal: Tensor, lateral: Tensor | None = None, present: Tensor | None = None) -> Any:
        class Output:
            frontal_maps = self.frontal(frontal).expand(-1, len(CODES), -1, -1)
            logits = frontal_maps.square().mean((-2, -1))

        return Output


class GradCAM:
    """Selvaraju 2017 for one layer, as the library's class of that name is called."""

    def __init__(self, model: nn.Module, layers: list[nn.Module]) -> None:
        self.model, self.layer = model, layers[0]

    def __enter__(self) -> GradCAM:
        self.hook = self.layer.register_forward_hook(self._keep)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.hook.remove()

    def _keep(self, _layer: nn.Module, _given: Any, output: Tensor) -> None:
        self.activations = output

    def __call__(self, film: Tensor, targets: list[Any]) -> np.ndarray:
        logits = self.model(film.requires_grad_())
        (gradient,) = torch.autograd.grad(targets[0](logits[0]), self.activations)
        weighted = (gradient.mean((-2, -1), keepdim=True) * self.activations).sum(1, keepdim=True).relu()
        return nn.functional.interpolate(weighted, film.shape[-2:]).detach()[:, 0].numpy()


class ClassifierOutputTarget:
    def __init__(self, head: int) -> None:
        self.head = head

    def __call__(self, logits: Tensor) -> Tensor:
        return logits[self.head]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is used of pytorch-grad-cam, in its place."""
    package, targets = ModuleType("pytorch_grad_cam"), ModuleType("pytorch_grad_cam.utils.model_targets")
    package.GradCAM = GradCAM  # type: ignore[attr-defined]
    targets.ClassifierOutputTarget = ClassifierOutputTarget  # type: ignore[attr-defined]
    modules = {module.__name__: module for module in (package, targets)}
    monkeypatch.setattr("classifiers.saliency.find_spec", lambda _name: object())
    monkeypatch.setattr("classifiers.saliency.import_module", modules.__getitem__)


def located(name: str, row: int, column: int) -> tuple[Record, StudyBatch]:
    """A film of SIDE pixels, bright in one cell, whose record says that the lesion is there."""
    film = torch.full((1, 1, SIDE, SIDE), 0.1)
    step = SIDE // CELLS
    film[..., row * step : (row + 1) * step, column * step : (column + 1) * step] = 1.0
    box = (column / CELLS, row / CELLS, (column + 1) / CELLS, (row + 1) / CELLS)
    record = Record(name, name, Path("none.png"), boxes={"lung_lesion": (box,)})
    nothing, absent = torch.zeros(1, 1, 0, 0), torch.zeros(1, dtype=torch.bool)
    labels = torch.zeros(1, len(CODES))
    shape = torch.tensor([[SIDE, SIDE]])
    return record, StudyBatch(film, nothing, absent, labels, labels > 0, nothing, nothing, absent, shape)


def test_the_method_points_where_the_film_is_bright(library: None) -> None:
    studies = [located("one", 1, 6), located("other", 5, 2)]
    maps = asked_maps(Tiny().eval(), "gradcam", studies, SIDE)
    assert [(each.record.id, each.code) for each in maps] == [
        ("one", "lung_lesion"),
        ("other", "lung_lesion"),
    ]
    for each, place in zip(maps, ((1, 6), (5, 2)), strict=True):
        assert each.heatmap.values.shape == (CELLS, CELLS)
        assert np.unravel_index(each.heatmap.values.argmax(), (CELLS, CELLS)) == place


def test_figures_bear_its_name_and_those_of_the_closed_form_are_of_the_same_findings(library: None) -> None:
    """The closed form misses its one finding here, and hits in a film that the method was not asked about."""
    studies = [located("one", 1, 6)]
    maps = asked_maps(Tiny().eval(), "gradcam", studies, SIDE)
    record, wrong = studies[0][0], np.zeros((CELLS, CELLS), np.float32)
    wrong[7, 0] = 1.0
    missed = LocatedMap.of(record, "lung_lesion", framed_heatmap("frontal", wrong, (SIDE, SIDE), SIDE))
    further = LocatedMap(
        Record("far", "far", Path("far.png")), "lung_lesion", maps[0].heatmap, maps[0].outline
    )
    figures = asked_figures("gradcam", maps, [missed, further], 0)
    assert figures["gradcam_hit_rate_lung_lesion"].value == 1.0
    assert figures["gradcam_closed_hit_rate_lung_lesion"].value == 0.0
    assert figures["gradcam_hit_rate"].n == figures["gradcam_closed_hit_rate"].n == 1
    assert figures["gradcam_chance"].value == pytest.approx(1 / CELLS**2)
    assert all(known_words(name) for name in figures)
    assert asked_figures("gradcam", [], [missed], 0) == {}


def test_they_stand_beside_the_figures_of_the_closed_form(library: None) -> None:
    studies = [located(name, row, 2) for row, name in enumerate(("one", "other", "third"))]
    rows = (len(studies), len(CODES))
    unknown = np.full(rows, math.nan)
    flat = np.zeros((*rows, CELLS, CELLS), np.float32)
    flat[..., 7, 7] = 1.0
    records = tuple(record for record, _ in studies)
    shapes = np.full((len(studies), 2), SIDE)
    own = Predictions(records, unknown, np.zeros(rows), unknown, unknown, unknown, flat, shapes)
    also = AskedMaps("gradcam", {"made": asked_maps(Tiny().eval(), "gradcam", studies[:2], SIDE)})
    common: dict[str, Any] = {"beside": {}, "size": SIDE, "seed": 0, "shown": None}
    positives = {code: {"made": 0} for code in CODES}
    found = measured({"made": own}, {"made": own}, positives, also=also, **common).figures
    assert (found["hit_rate"].value, found["hit_rate"].n) == (0.0, 3)
    assert (found["gradcam_hit_rate"].value, found["gradcam_hit_rate"].n) == (1.0, 2)
    without = measured({"made": own}, {"made": own}, positives, **common).figures
    kept = {name: figure for name, figure in found.items() if not name.startswith("gradcam")}
    assert repr(without) == repr(kept)  # NaN is no equal of itself


def test_a_lateral_is_read_and_no_map_made_of_it(library: None) -> None:
    record, batch = located("one", 3, 3)
    with_lateral = batch._replace(lateral=torch.rand(1, 1, SIDE, SIDE), has_lateral=torch.tensor([True]))
    (found,) = asked_maps(Tiny().eval(), "gradcam", [(record, with_lateral)], SIDE)
    assert found.heatmap.view == "frontal"


def test_a_task_asks_it_of_the_first_located_studies_of_a_part(
    library: None, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = {"one": located("one", 1, 6)[1], "b": located("b", 5, 2)[1]}
    monkeypatch.setattr(DiagnosisTask, "films", lambda _task, _records, _device: Rows())
    monkeypatch.setattr(
        "classifiers.diagnosis.asked_heatmaps.row_batches",
        lambda _films, rows, _planes, _size: (by_name[row] for row in rows),
    )
    monkeypatch.setattr(LearnedSets, "part_of", lambda _sets, _name, _split: tuple(manifest))
    settings = ["also_heatmaps=GradCAM", "also_heatmaps_films=1"]
    task = DiagnosisTask(DiagnosisRecipe.from_settings(settings), {"phantom": manifest})
    also = task._asked_maps(Tiny().eval(), ["phantom"], "test")
    assert also is not None
    assert (also.method, [each.record.id for each in also.maps["phantom"]]) == ("gradcam", ["one"])
    silent = DiagnosisTask(DiagnosisRecipe.from_settings([]), {"phantom": manifest})
    assert silent._asked_maps(Tiny().eval(), ["phantom"], "test") is None


class Rows:
    """Films that lie under their studies' names."""

    def rows_of(self, records: list[Record]) -> list[str]:
        return [record.id for record in records]


@pytest.fixture
def manifest() -> Manifest:
    """Three studies of which the last two know a place."""
    return Manifest(
        "phantom",
        (Record("nowhere", "nowhere", Path("n.png")), located("one", 1, 6)[0], located("b", 5, 2)[0]),
    )


def test_what_cannot_be_measured_is_said_before_a_film_is_read(
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("classifiers.saliency.find_spec", lambda _name: None)
    for method, sentence in (
        ("gradcam", "heatmaps by gradcam need the package grad-cam; install it with"),
        ("smoothgrad", "heatmaps by 'smoothgrad' are not known; use cam, gradcam"),
        ("cam", "heatmaps by cam are measured anyway"),
    ):
        recipe = DiagnosisRecipe.from_settings([f"also_heatmaps={method}"])
        with pytest.raises(InputError, match=sentence):
            DiagnosisTask(recipe, {"phantom": manifest})
    assert check_asked("") == ""
