"""What a network learned from against what it was measured on, from films to the table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suite.cli import main
from suite.errors import InputError
from suite.training import command
from suite.training.cross_table import Row, figures_by_dataset, read_row, write_cross_table
from suite.training.evaluation import Evaluation, Figure
from tests import made_datasets
from tests.made_siim import siim

FILMS = [
    {"dataset": "jsrt", "patient": "a", "dice": 0.9, "heart": 0.5},
    {"dataset": "jsrt", "patient": "b", "dice": 0.7, "heart": math.nan},
    {"dataset": "montgomery", "patient": "c", "dice": 0.4},
]


def test_the_films_of_each_data_set_have_their_own_mean() -> None:
    found = figures_by_dataset(FILMS, ("dice", "heart"), np.random.default_rng(0))
    assert {name: list(figures) for name, figures in found.items()} == {
        "jsrt": ["dice", "heart"],
        "montgomery": ["dice"],
    }
    dice = found["jsrt"]["dice"]
    assert (dice.value, dice.low, dice.high, dice.n) == (pytest.approx(0.8), 0.7, 0.9, 2)
    assert (found["jsrt"]["heart"].value, found["jsrt"]["heart"].n) == (0.5, 1)


def evaluated(folder: Path, learned_from: list[str], **dice: float) -> Path:
    """A folder as ``radsuite evaluate`` leaves it."""
    by_dataset = {name: {"dice": Figure(value, value - 0.1, value + 0.1, 7)} for name, value in dice.items()}
    Evaluation({"dice": Figure(0.5)}, by_dataset=by_dataset).write(folder, learned_from)
    return folder


def test_figures_come_back_from_the_folder_they_were_written_to(tmp_path: Path) -> None:
    row = read_row(evaluated(tmp_path, ["jsrt", "phantom"], jsrt=0.8, shenzhen=0.6))
    assert row.name == "jsrt + phantom"
    assert row.learned_from == ("jsrt", "phantom")
    assert row.measured_on["shenzhen"]["dice"] == Figure(0.6, 0.5, 0.7, 7)
    assert read_row(tmp_path, "ours").name == "ours"


def test_an_unknown_figure_stays_unknown(tmp_path: Path) -> None:
    Evaluation({}, by_dataset={"jsrt": {"dice": Figure(math.nan)}}).write(tmp_path, ["jsrt"])
    assert math.isnan(read_row(tmp_path).measured_on["jsrt"]["dice"].value)


def test_the_table_across_data_sets(tmp_path: Path) -> None:
    rows = [
        read_row(evaluated(tmp_path / "a", ["jsrt"], jsrt=0.97, montgomery=0.9)),
        read_row(evaluated(tmp_path / "b", ["montgomery"], jsrt=0.8, montgomery=0.95, shenzhen=0.7)),
    ]
    text = write_cross_table(rows, tmp_path / "out")
    assert (tmp_path / "out" / "cross.md").read_text() == text
    assert text.splitlines()[:4] == [
        "| dice | jsrt | montgomery | shenzhen |",
        "|---|---|---|---|",
        "| jsrt | **0.97 (0.87 - 1.07)** | 0.9 (0.8 - 1) | - |",
        "| montgomery | 0.8 (0.7 - 0.9) | **0.95 (0.85 - 1.05)** | 0.7 (0.6 - 0.8) |",
    ]
    with (tmp_path / "out" / "cross.csv").open() as stream:
        cells = list(csv.DictReader(stream))
    assert len(cells) == 5
    assert cells[1] == {
        "figure": "dice",
        "network": "jsrt",
        "learned_from": "jsrt",
        "measured_on": "montgomery",
        "value": "0.9",
        "low": "0.8",
        "high": "1",
        "n": "7",
    }


def test_each_figure_has_a_table_with_the_sets_that_know_it(tmp_path: Path) -> None:
    rows = [Row("a", ("x",), {"x": {"dice": Figure(1.0)}, "y": {"heart": Figure(0.5)}})]
    lines = write_cross_table(rows, tmp_path).splitlines()
    assert [line for line in lines if line.startswith(("| dice", "| heart"))] == [
        "| dice | x |",
        "| heart | y |",
    ]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"learned_from": [], "measured_on": {"a": 1}}'])
def test_a_folder_without_figures_by_data_set_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "datasets.json").write_text(content)
    with pytest.raises(InputError, match="holds no figures by data set") as caught:
        read_row(tmp_path)
    assert "\n" not in str(caught.value)


SMALL = (
    "size=64",
    "width=0.0625",
    "epochs=1",
    "films_per_epoch=8",
    "learn_from=jsrt",
    "batch_size=4",
    "precision=32-true",
)


@pytest.fixture(scope="module")
def jsrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_datasets.jsrt(tmp_path_factory.mktemp("jsrt"), count=14)


@pytest.fixture(scope="module")
def trained(jsrt: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two lung networks of different seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        command.train(
            "lungs", {"jsrt": jsrt}, (*SMALL, f"seed={seed}"), folder / f"seed-{seed}", device="cpu"
        )
    return [folder / f"seed-{seed}" / "lungs.safetensors" for seed in (1, 2)]


def test_training_says_what_it_learned_from_and_draws_the_worst(trained: list[Path]) -> None:
    folder = trained[0].parent
    assert json.loads((folder / "lungs.json").read_text())["learned_from"] == ["jsrt"]
    assert json.loads((folder / "datasets.json").read_text())["learned_from"] == ["jsrt"]
    assert (folder / "worst.png").read_bytes().startswith(b"\x89PNG")


def test_several_weights_are_measured_across_data_sets(
    jsrt: Path, trained: list[Path], tmp_path: Path
) -> None:
    outside = made_datasets.covid_lungs(tmp_path / "covid")
    words = ["evaluate", "lungs", "--out", str(tmp_path / "out")]
    for weights in trained:
        words += ["--weights", str(weights)]
    for source in (f"jsrt={jsrt}", f"covid-lungs={outside}"):
        words += ["--data", source]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    table = (tmp_path / "out" / "cross.md").read_text()
    assert table in result.stdout
    assert table.startswith("| dice | jsrt | covid-lungs |")
    for name in ("seed-1", "seed-2"):
        assert f"| jsrt ({name}) | **" in table
        figures = json.loads((tmp_path / "out" / name / "metrics.json").read_text())
        alone = json.loads((tmp_path / "out" / name / "datasets.json").read_text())["measured_on"]
        assert alone["jsrt"]["dice"] == figures["dice"]
        assert alone["covid-lungs"]["right"] == figures["covid_lungs_right"]


@pytest.mark.parametrize(
    ("recipe", "settings", "figure"),
    [
        ("pneumothorax-mask", ("encoder=resnet18", "decoder=8,8,8,8,8", "epochs=1"), "positives_tta_dice"),
        ("pneumothorax-gate", ("backbone=resnet18", "epochs=1"), "auc"),
    ],
)
def test_pneumothorax_weights_are_measured_across_data_sets(
    recipe: str, settings: tuple[str, ...], figure: str, tmp_path: Path
) -> None:
    films = siim(tmp_path / "siim", tuple(number % 3 == 0 for number in range(30)))
    small = ("size=64", "width=0.125", "precision=32-true", "batch_size=4", "limit=8", *settings)
    weights = []
    for seed in (1, 2):
        out = tmp_path / f"seed-{seed}"
        command.train(recipe, {"siim": films}, (*small, f"seed={seed}"), out, device="cpu")
        weights.append(out / f"{recipe}.safetensors")
    table = command.evaluate_across(recipe, weights, {"siim": films}, (), tmp_path / "out")
    assert f"| {figure} | siim |" in table
    assert "| siim (seed-1) | **" in table
    assert "| siim (seed-2) | **" in table


def test_weights_that_cannot_be_told_apart_are_refused(
    jsrt: Path, trained: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="another weights file has its name"):
        command.evaluate_across("lungs", [trained[0], trained[0]], {"jsrt": jsrt}, (), tmp_path)
