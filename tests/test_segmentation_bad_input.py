"""What a segmentation network cannot be trained on: one sentence and exit status 2 before anything starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.stages.plugins import RECIPES, installed, load_recipe
from tests import made_datasets
from tests.made_films import write_png

NETWORKS = [name for name, point in installed(RECIPES).items() if point.value.startswith("segmentation.")]
SETS = [(name, dataset) for name in NETWORKS for dataset in load_recipe(name).datasets]
SMALL = ("epochs=1", "batch_size=2", "precision=32-true")


def refusal(out: Path, *words: object) -> str:
    """The one sentence that ``radsuite train`` refuses with; nothing may have been trained."""
    result = CliRunner().invoke(
        main, ["train", *(str(word) for word in words), "--out", str(out), "--device", "cpu"]
    )
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert not list(out.rglob("*.safetensors"))
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_with_an_unknown_key(name: str, tmp_path: Path) -> None:
    dataset = load_recipe(name).datasets[0]
    said = refusal(tmp_path / "out", name, "--data", f"{dataset}={tmp_path}", "--set", "depht=3")
    assert said.startswith("recipe key 'depht' is unknown; use one of ")


@pytest.mark.parametrize(("name", "dataset"), SETS)
def test_an_empty_folder(name: str, dataset: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    said = refusal(tmp_path / "out", name, "--data", f"{dataset}={empty}")
    assert said.startswith(f"{empty}")
    assert said.endswith(".")


@pytest.mark.parametrize("name", [name for name in ("lungs", "organs") if name in NETWORKS])
def test_a_mask_of_another_size_than_its_film(name: str, tmp_path: Path) -> None:
    folder = made_datasets.jsrt(tmp_path / "jsrt", count=12)
    for outline in (folder / "organs").iterdir():
        write_png(outline, np.ones((40, 90), np.uint8))
    settings = [word for setting in (*SMALL, "learn_from=jsrt") for word in ("--set", setting)]
    said = refusal(tmp_path / "out", name, "--data", f"jsrt={folder}", *settings)
    assert "its mask of (40, 90) pixels has another aspect ratio than the film of (64, 56)" in said
