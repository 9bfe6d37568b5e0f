"""``benchmarks/plain_densenet.py``: a plain network beside the diagnosis network, on tiny films."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import nn

from benchmarks import plain_densenet
from benchmarks.plain import tables
from benchmarks.plain.task import PlainDenseNet, PlainRecipe, PlainTask
from classifiers.ablation.predictions import Scored
from classifiers.densenet import load_imagenet
from classifiers.diagnosis.network import DualBranchDenseNet
from classifiers.diagnosis.recipe import DiagnosisRecipe
from classifiers.diagnosis.training import DiagnosisTask
from classifiers.learned_sets import LearnedSets
from suite.datasets.manifest import Manifest
from suite.errors import StorageError
from suite.findings import CODES
from tests import untrained_weights
from tests.made_cohort import cohort, cohort_folder  # noqa: F401 - fixtures

RECIPE = {"size": 64, "batch_size": 4, "precision": "32-true", "ema_decay": 0.5, "learning_rate": 0.002}


def given_weights(folder: Path) -> Path:
    """A diagnosis network that reads the film and the lateral, and nothing that a stage makes."""
    recipe = DiagnosisRecipe.checked({**RECIPE, "configuration": "dual", "lung_source": "true"})
    network = DualBranchDenseNet(1, map_stride=8, pooling="lse", fuse_branches=True)
    architecture = {"frontal_channels": 1, "map_stride": 8, "pooling": "lse", "fuse_branches": True}
    card = untrained_weights.release(
        folder, "diagnosis", network, recipe=recipe.model_dump(), architecture=architecture
    )
    return card.weights_path


def run(monkeypatch: pytest.MonkeyPatch, data: Path, out: Path, *options: str, films: int = 8) -> None:
    command = ["plain_densenet.py", "--data", f"phantom={data}", "--out", str(out), "--device", "cpu"]
    weights = out.parent / "given" / "diagnosis.safetensors"
    if not weights.exists():
        given_weights(weights.parent)
    command += ["--weights", str(weights), "--films", str(films), "--set", "limit=4"]
    monkeypatch.setattr(sys, "argv", [*command, "--set", "precision=32-true", *options])
    plain_densenet.main()


def scored(strength: float, patients: int = 60, seed: int = 0) -> Scored:
    """One film a patient; scores are the truth times ``strength``, and noise."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (patients, len(CODES))).astype(np.float64)
    truth[:, -1] = np.nan  # no film knows the last finding
    names = tuple(str(number) for number in range(patients))
    scores = strength * truth + np.random.default_rng(seed + 1).normal(size=truth.shape)
    scores[:, -1] = 0.0
    nothing = np.full_like(truth, np.nan)
    attributes = dict.fromkeys(("source", "view", "age", "sex"), ("",) * patients)
    return Scored(names, names, attributes, truth, scores, nothing, nothing)


def test_the_recipe_is_the_diagnosis_recipe_as_far_as_a_plain_network_has_it() -> None:
    plain, own = PlainRecipe.from_settings([]), DiagnosisRecipe.from_settings([])
    shared = PlainRecipe.model_fields.keys() & DiagnosisRecipe.model_fields.keys()
    assert PlainRecipe.model_fields.keys() == shared
    assert {key: getattr(plain, key) for key in shared} == {key: getattr(own, key) for key in shared}


def test_films_are_parted_as_the_diagnosis_network_parts_them(cohort: Manifest) -> None:  # noqa: F811
    plain = PlainTask(PlainRecipe.checked(RECIPE), {"phantom": cohort})
    diagnosis = DiagnosisTask(DiagnosisRecipe.checked(RECIPE), {"phantom": cohort})
    sets = LearnedSets.of_task(diagnosis, lambda record: True)
    assert plain.training_part() == diagnosis.part("train")
    for split in ("validation", "test"):
        assert plain.part("phantom", split) == sets.part_of("phantom", split)


def test_unknown_labels_pull_at_nothing_and_known_ones_do(cohort: Manifest) -> None:  # noqa: F811
    task = PlainTask(PlainRecipe.checked({**RECIPE, "limit": 4, "weight_decay": 0.0}), {"phantom": cohort})
    torch.manual_seed(0)
    task.build()
    task.training_set()
    task._training_bank.stored["labels"][:, 1:] = math.nan
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    model, optimizer = fabric.setup(task.modules["model"], task.optimizers()["model"])
    head = task.modules["model"].network.get_classifier()
    before = head.weight.detach().clone()
    model.train()
    losses = task.training_step(fabric, {"model": model}, {"model": optimizer}, {"index": torch.arange(4)})
    assert math.isfinite(losses["loss"])
    assert not torch.equal(head.weight[0], before[0])
    assert torch.equal(head.weight[1:], before[1:])


def test_imagenet_weights_see_a_grey_film_as_three_equal_planes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    colour = timm.create_model("densenet121", num_classes=1000).eval()
    save_file(colour.state_dict(), tmp_path / "densenet121.safetensors")
    network = PlainDenseNet().eval()
    network.start_from_imagenet(load_imagenet(tmp_path / "densenet121.safetensors"))
    film = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        grey = network.network.forward_features((film - 0.5) / 0.25)
        assert torch.allclose(
            grey, colour.forward_features((film.repeat(1, 3, 1, 1) - 0.5) / 0.25), atol=1e-4
        )


def test_both_networks_stand_in_one_table_and_what_is_finished_is_kept(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    run(monkeypatch, cohort_folder, out)
    printed = capsys.readouterr().out
    text = (out / "table.md").read_text()
    assert text in printed
    assert "4 films of phantom in 2 epochs, 8 shown; 64 px, batches of 4" in text
    assert "| finding | positive | given | plain | given - plain | p | p (Holm) |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:14]] == list(CODES)
    assert "step 2 of 2, 8 films shown" in printed

    times = {path: path.stat().st_mtime_ns for path in out.glob("*/*.csv")}
    assert {path.parent.name for path in times} == {"given", "plain"}
    monkeypatch.setattr(plain_densenet, "fit", lambda *_, **__: pytest.fail("trained again"))
    run(monkeypatch, cohort_folder, out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.csv")} == times
    assert (out / "table.md").read_text() == text
    with pytest.raises(SystemExit, match="was made with another recipe; give another --out"):
        run(monkeypatch, cohort_folder, out, films=12)


def test_an_interrupted_training_goes_on(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = tmp_path / "whole" / "out", tmp_path / "broken" / "out"
    run(monkeypatch, cohort_folder, whole)
    started = PlainTask.start_epoch

    def stop(self: PlainTask, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        started(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(PlainTask, "start_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            run(monkeypatch, cohort_folder, broken)
    assert not (broken / "plain" / "phantom.csv").exists()
    run(monkeypatch, cohort_folder, broken)
    files = [folder / "plain" / "phantom.csv" for folder in (whole, broken)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "films", "words"),
    [
        (["--set", "epochs=3"], 8, "--set epochs=3 is not for this comparison: give --films"),
        (["--set", "split_seed=1"], 8, "know the training films of their own split"),
        (["--set", "map_weight=1"], 8, "recipe key 'map_weight' is unknown"),
        ([], 3, "--films 3 is less than one epoch of 4 training films"),
    ],
)
def test_what_would_not_be_a_comparison_is_refused_before_anything_is_measured(
    cohort_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    films: int,
    words: str,
) -> None:
    with pytest.raises(SystemExit, match=words):
        run(monkeypatch, cohort_folder, tmp_path / "out", *options, films=films)
    assert not (tmp_path / "out").exists()


def test_a_better_network_is_said_to_be_better_by_the_right_sign() -> None:
    text = tables.table("made", {"given": scored(3.0), "plain": scored(0.0)})
    row = next(line for line in text.splitlines() if line.startswith("| cardiomegaly"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert float(cells[2].split()[0]) > 0.95
    assert cells[4].startswith("+0.")
    assert cells[5] == "< 0.0001"
    assert "| support_devices | 0 | - | - | - |  |  |" in text
    assert "## 60 films of 60 patients of made" in text
    with pytest.raises(StorageError, match="other studies or labels"):
        tables.table("made", {"given": scored(3.0), "plain": scored(3.0, seed=4)})


def test_the_network_has_a_densenets_weights_and_one_output_a_finding() -> None:
    network = PlainDenseNet()
    assert isinstance(network.network.get_classifier(), nn.Linear)
    # Huang's 7,978,856 with 1,000 outputs and three planes, two planes and 987 outputs less
    assert sum(value.numel() for value in network.parameters()) == 7_978_856 - 2 * 64 * 49 - 987 * 1025
