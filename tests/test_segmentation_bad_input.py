"""What a segmentation network cannot be trained on: one sentence and exit status 2 before anything starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from segmentation.pneumothorax.cases import label
from segmentation.pneumothorax.network import PneumothoraxUNet
from segmentation.pneumothorax.reading import System, read_films
from segmentation.tissues.evaluation import measure
from segmentation.tissues.network import tissue_network
from segmentation.tissues.parts import split_by_part
from suite.cli import main
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import open_dataset
from suite.phantom.cohort import CohortSettings, parse_prevalence, write_cohort
from suite.stages.plugins import RECIPES, installed, load_recipe
from suite.training import loop
from tests import made_datasets
from tests.made_films import write_png

NETWORKS = [name for name, point in installed(RECIPES).items() if point.value.startswith("segmentation.")]
SETS = [(name, dataset) for name in NETWORKS for dataset in load_recipe(name).datasets]
SMALL = ("epochs=1", "batch_size=2", "precision=32-true")
TINY = {
    "lungs": ("size=64", "width=0.0625", "films_per_epoch=4"),
    "whole-lungs": ("size=64", "width=0.0625", "films_per_epoch=4"),
    "organs": ("size=32", "width=0.0625", "films_per_epoch=4", "learn_from=phantom"),
    "tissues": ("size=32", "width=0.0625", "images_per_part=4"),
    "pneumothorax-mask": ("size=64", "width=0.125", "encoder=resnet18", "decoder=8,8,8,8,8"),
    "pneumothorax-gate": ("size=64", "width=0.125", "backbone=resnet18"),
}


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


def refused_outlines(name: str, outlines: np.ndarray, folder: Path) -> str:
    """What is said of a set whose outlines are all the same mask (H, W)."""
    films = made_datasets.jsrt(folder / "jsrt", count=12)
    for outline in (films / "organs").iterdir():
        write_png(outline, outlines)
    settings = [word for setting in (*SMALL, "learn_from=jsrt") for word in ("--set", setting)]
    return refusal(folder / "out", name, "--data", f"jsrt={films}", *settings)


@pytest.mark.parametrize("name", [name for name in ("lungs", "whole-lungs", "organs") if name in NETWORKS])
def test_a_mask_of_another_size_than_its_film(name: str, tmp_path: Path) -> None:
    said = refused_outlines(name, np.ones((40, 90), np.uint8), tmp_path)
    assert "its mask of (40, 90) pixels has another aspect ratio than the film of (64, 56)" in said


@pytest.mark.parametrize("name", [name for name in ("lungs", "organs") if name in NETWORKS])
def test_outlines_that_are_all_empty(name: str, tmp_path: Path) -> None:
    said = refused_outlines(name, np.zeros((64, 56), np.uint8), tmp_path)
    assert said.startswith("the outlines of the validation part of jsrt are all empty, first of JPCLN")


# cohorts that a run would end on


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 chests, half with a pneumothorax: films of both kinds to learn from and to choose by."""
    folder = tmp_path_factory.mktemp("bad") / "cohort"
    prevalence = parse_prevalence(("pneumothorax=0.5",))
    write_cohort(CohortSettings(seed=5, size=64, lateral=False, prevalence=prevalence), 16, folder)
    split = open_dataset("phantom", folder).split()
    assert {1.0, 0.0} == {label(record) for record in split["train"]}
    assert {1.0, 0.0} == {label(record) for record in split["validation"]}
    assert split["test"]
    return folder


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever begins to train fails."""

    def begun(*arguments: object) -> int:
        raise AssertionError("training has begun")

    monkeypatch.setattr(loop, "_train_epoch", begun)


def kept(cohort: Path, folder: Path, names: Iterable[str]) -> Path:
    """A copy of the cohort with the studies ``names`` alone."""
    shutil.copytree(cohort, folder)
    head, *rows = (folder / "manifest.csv").read_text().splitlines()
    own = set(names)
    (folder / "manifest.csv").write_text(
        "\n".join([head, *(row for row in rows if row.split(",")[0] in own)])
    )
    return folder


def resize_masks(folder: Path, names: Iterable[str], size: tuple[int, int]) -> None:
    """Every picture of the studies ``names`` but the film, at ``size`` (columns, rows)."""
    for path in (path for name in names for path in (folder / name).glob("*.png") if path.stem != "frontal"):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST))


def trained_on(name: str, folder: Path) -> tuple[str, ...]:
    settings = (word for setting in (*SMALL, *TINY[name]) for word in ("--set", setting))
    return (name, "--data", f"phantom={folder}", *settings)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("missing", ["validation", "test"])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "tissues"])
def test_a_part_without_a_film(name: str, missing: SplitName, cohort: Path, tmp_path: Path) -> None:
    manifest = open_dataset("phantom", cohort)
    gone = {record.id for record in manifest.split()[missing]}
    folder = kept(cohort, tmp_path / "cohort", (record.id for record in manifest if record.id not in gone))
    said = refusal(tmp_path / "out", *trained_on(name, folder))
    assert said == f"the {missing} part of phantom has no film; give more patients."


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(("count", "missing"), [(1, "train"), (2, "validation")])
def test_too_few_films_of_a_body_part(count: int, missing: str, cohort: Path, tmp_path: Path) -> None:
    names = [record.id for record in open_dataset("phantom", cohort)][:count]
    said = refusal(tmp_path / "out", *trained_on("tissues", kept(cohort, tmp_path / "cohort", names)))
    assert said.startswith(f"recipe tissues finds no {missing} film in phantom; give at least three patients")


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("settings", [(), ("--set", "learn_from=all")])
def test_no_gas_to_choose_a_mask_by(settings: tuple[str, ...], cohort: Path, tmp_path: Path) -> None:
    manifest = open_dataset("phantom", cohort)
    gas = {record.id for record in manifest.split()["validation"] if label(record) == 1.0}
    folder = kept(cohort, tmp_path / "cohort", (record.id for record in manifest if record.id not in gas))
    said = refusal(tmp_path / "out", *trained_on("pneumothorax-mask", folder), *settings)
    assert said.startswith("the validation part has no film with a pneumothorax to choose by")


@pytest.mark.parametrize("name", ["pneumothorax-mask", "pneumothorax-gate"])
def test_measuring_on_nothing(name: str, cohort: Path, tmp_path: Path) -> None:
    runner, weights = CliRunner(), tmp_path / "out" / f"{name}.safetensors"
    words = ["train", *trained_on(name, cohort), "--out", str(weights.parent), "--device", "cpu"]
    assert runner.invoke(main, words).exit_code == 0
    manifest = open_dataset("phantom", cohort)
    tested = {record.id for record in manifest.split()["test"]}
    folder = kept(cohort, tmp_path / "cohort", (record.id for record in manifest if record.id not in tested))
    words = ["evaluate", name, "--weights", str(weights), "--data", f"phantom={folder}"]
    result = runner.invoke(main, [*words, "--out", str(tmp_path / "figures")])
    assert result.exit_code == 2
    assert "the test part of phantom has no film; give more patients." in result.stderr


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_mask_of_another_size_among_the_names_measured(name: str, cohort: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cohort, tmp_path / "cohort"))
    tested = names_measured(name, folder)
    resize_masks(folder, tested, (90, 40))
    said = refusal(tmp_path / "out", *trained_on(name, folder))
    assert "its mask of (40, 90) pixels has another aspect ratio than the film of (64, 64)" in said
    assert said.split(":")[0] in tested


def names_measured(name: str, folder: Path) -> list[str]:
    """The names of the test films of a recipe, whatever way it parts them."""
    manifest = open_dataset("phantom", folder)
    if name == "tissues":
        return [record.id for record in split_by_part(manifest)["test"]]
    return [record.id for record in manifest.split()["test"]]


def with_gas(manifest: Manifest) -> list[Record]:
    return [record for record in manifest if label(record) == 1.0][:3]


def test_a_finer_mask_of_the_same_film_is_brought_to_it(cohort: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cohort, tmp_path / "cohort"))
    manifest = open_dataset("phantom", cohort)
    resize_masks(folder, (record.id for record in manifest), (128, 128))
    finer = open_dataset("phantom", folder)
    torch.manual_seed(0)
    tissues = tissue_network("xnet", [2, 2, 2, 2], 3).eval()
    as_drawn, as_resized = (
        measure(tissues, tuple(each.with_target("tissue"))[:4], 32) for each in (manifest, finer)
    )
    np.testing.assert_array_equal(as_drawn.counts.confusion, as_resized.counts.confusion)
    gas = System(PneumothoraxUNet("resnet18", 0.125, [8] * 5).eval(), 64)
    drawn, resized = (read_films(gas, with_gas(each))["argmax"].counts for each in (manifest, finer))
    assert drawn.true.all()
    np.testing.assert_array_equal(drawn.true, resized.true)
    np.testing.assert_array_equal(drawn.hits, resized.hits)
