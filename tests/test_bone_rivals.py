"""`radsuite evaluate bone` beside finished competitors, and on films that nobody knows the bones of."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from gan import pictures
from gan.contact import ContactFilm
from gan.recipe import BoneRecipe
from gan.training import BoneTask
from suite.datasets.registry import open_dataset
from suite.errors import WeightsError
from suite.stages.contract import Artifact
from suite.stages.weights import save_release
from suite.training.command import card_content, evaluate
from suite.training.evaluation import Evaluation
from tests import made_datasets

TINY = ("size=64", "depth=5", "base=4", "break_films=0", "test_films=3")
UNET = ("network=unet", "size=128", "base=4", "break_films=0", "test_films=3")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return made_datasets.jsrt(tmp_path / "jsrt", 40)


def weights(folder: Path, films: Path, settings: Sequence[str]) -> Path:
    """A network as it begins, with its card, for `radsuite evaluate`."""
    torch.manual_seed(0)
    task = BoneTask(BoneRecipe.from_settings(settings), {"jsrt": open_dataset("jsrt", films)})
    task.build()
    model = task.modules["model"]
    return save_release(folder, "bone", model, card_content(task, Evaluation({}), settings)).weights_path


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "films.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_rivals_figures_and_the_paired_difference_stand_beside_ours(films: Path, tmp_path: Path) -> None:
    ours = weights(tmp_path / "ours", films, TINY)
    unet = weights(tmp_path / "unet", films, UNET)
    sources = {"jsrt": films}
    plain = evaluate("bone", ours, sources, [], tmp_path / "plain")
    alone = evaluate("bone", unet, sources, [], tmp_path / "alone")
    beside = evaluate("bone", ours, sources, [f"unet_weights={unet}"], tmp_path / "beside")
    assert beside.as_json() == plain.as_json(), "a comparison changes none of our own figures"
    found = json.loads((tmp_path / "beside" / "extras.json").read_text())["comparison"]["unet"]
    assert found["figures"]["psnr"]["value"] == pytest.approx(alone.figures["psnr"].value, abs=1e-4)
    apart = [
        float(own["edge_residual"]) - float(its["edge_residual"])
        for own, its in zip(rows_of(tmp_path / "plain"), rows_of(tmp_path / "alone"), strict=True)
    ]
    difference = found["ours_minus_it"]["edge_residual"]
    assert difference["value"] == pytest.approx(np.mean(apart), abs=1e-4)
    assert difference["interval"][0] <= difference["value"] <= difference["interval"][1]
    assert difference["n"] == len(apart)
    said = (tmp_path / "beside" / "comparison.md").read_text()
    assert "| unet | edge_residual |" in said
    assert not (tmp_path / "plain" / "comparison.md").exists()


def test_weights_of_another_network_are_no_rival_of_that_name(films: Path, tmp_path: Path) -> None:
    ours = weights(tmp_path / "ours", films, TINY)
    with pytest.raises(WeightsError, match="holds network mca, not pix2pix; give weights of"):
        evaluate("bone", ours, {"jsrt": films}, [f"pix2pix_weights={ours}"], tmp_path / "out")


def test_films_from_elsewhere_are_drawn_and_not_scored(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the stage would show them, around the lungs that the lungs stage finds; unreadable ones left out."""

    class Lungs:
        def __init__(self, device: str) -> None:
            pass

        def run(self, studies: list[dict[str, Artifact]]) -> list[dict[str, Artifact]]:
            seen = studies[0]["frontal"]
            return [{"lung_mask": Artifact(np.zeros(seen.value.pixels.shape, np.uint8), seen.grid)}]

    sheets: list[list[ContactFilm]] = []
    real = pictures.draw_contact_sheet

    def draw(shown: list[ContactFilm], path: Path) -> None:
        sheets.append(shown)
        real(shown, path)

    monkeypatch.setattr(pictures, "load_stage", lambda name: {"lungs": Lungs}[name])
    monkeypatch.setattr(pictures, "draw_contact_sheet", draw)
    nih = made_datasets.nih(tmp_path / "nih", ["No Finding"] * 14)
    (nih / "images" / "00000003_000.png").write_bytes(b"broken")
    (nih / "images" / "00000005_000.png").write_bytes(b"broken")
    ours = weights(tmp_path / "ours", films, TINY)
    measured: Any = evaluate("bone", ours, {"nih": nih}, [], tmp_path / "out")
    assert measured.figures == {}
    assert cv2.imread(str(tmp_path / "out" / "films_nih.png")) is not None
    assert not (tmp_path / "out" / "worst.png").exists()
    assert not (tmp_path / "out" / "spread.png").exists()
    (sheet,) = sheets
    assert len(sheet) == 12
    assert len({film.caption for film in sheet}) == 12
    assert all(film.bone is None for film in sheet)
    assert all(not film.predicted.any() for film in sheet), "no lungs, so nothing is taken"
