"""The training loop: interrupted or not, with workers or without, the weights are the same, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from suite.datasets.manifest import SplitName
from suite.errors import DatasetError, InputError, StorageError, WeightsError
from suite.training import loop
from suite.training.evaluation import Evaluation
from suite.training.loop import EpochSampler, SeededDataset, derived_seed, fit
from suite.training.recipe import Recipe
from suite.training.task import Batch
from tests.small_task import SmallTask, Spots, small_task

STEPS_AN_EPOCH = 3  # 11 films in batches of 3, the rest dropped


class PowerCutError(Exception):
    """The run ends here."""


def cut_at(step: int):  # type: ignore[no-untyped-def]
    def on_step(done: int, _total: int, _losses: Mapping[str, float]) -> None:
        if done == step:
            raise PowerCutError

    return on_step


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A run nobody interrupted, and the weights it returned."""
    out = tmp_path_factory.mktemp("whole")
    return out, fit(small_task(), out, device="cpu").state_dict()


@pytest.mark.parametrize("step", [STEPS_AN_EPOCH + 1, 2 * STEPS_AN_EPOCH, 3 * STEPS_AN_EPOCH + 2])
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path, step: int
) -> None:
    with pytest.raises(PowerCutError):
        fit(small_task(), tmp_path, device="cpu", on_step=cut_at(step))
    torch.manual_seed(12345)  # another process has another state of the global generator
    weights = fit(small_task(), tmp_path, device="cpu", resume=True).state_dict()
    out, expected = whole_run
    assert_same(weights, expected)
    for name in ("last.safetensors", "best.safetensors"):
        assert_same(load_file(tmp_path / name), load_file(out / name))


def test_a_run_can_be_interrupted_twice(whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    for step in (STEPS_AN_EPOCH + 1, 2 * STEPS_AN_EPOCH + 2):
        with pytest.raises(PowerCutError):
            fit(small_task(), tmp_path, device="cpu", resume=True, on_step=cut_at(step))
    weights = fit(small_task(), tmp_path, device="cpu", resume=True).state_dict()
    assert_same(weights, whole_run[1])


def test_a_finished_run_is_not_trained_further(
    whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    fit(small_task(), tmp_path, device="cpu")
    steps: list[int] = []
    weights = fit(
        small_task(), tmp_path, device="cpu", resume=True, on_step=lambda step, *_: steps.append(step)
    ).state_dict()
    assert steps == []
    assert_same(weights, whole_run[1])


def test_loader_processes_do_not_change_the_weights(
    whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    weights = fit(small_task(workers=2), tmp_path, device="cpu").state_dict()
    assert_same(weights, whole_run[1])


def test_the_seed_matters(whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    weights = fit(small_task(seed=1), tmp_path, device="cpu").state_dict()
    assert not torch.equal(weights["0.weight"], whole_run[1]["0.weight"])


def test_steps_are_counted_over_the_whole_run(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fit(
        small_task(epochs=2),
        tmp_path,
        device="cpu",
        on_step=lambda step, total, _: seen.append((step, total)),
    )
    assert seen == [(step, 2 * STEPS_AN_EPOCH) for step in range(1, 2 * STEPS_AN_EPOCH + 1)]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    fit(
        small_task(epochs=30, ema_decay=0.0),
        tmp_path,
        device="cpu",
        on_step=lambda _step, _total, values: losses.append(values["model"]),
    )
    assert sum(losses[-9:]) < 0.7 * sum(losses[:9])


def test_the_best_epoch_is_kept_and_later_wins_a_tie(tmp_path: Path) -> None:
    class Scripted(SmallTask):
        """Its validation figures are given; the weights say which epoch they come from."""

        figures = iter((0.5, 0.2, 0.2, 0.4))
        marks: list[float]

        def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
            evaluation = super().evaluate(model, "validation")
            self.marks = [*getattr(self, "marks", []), float(model[0].weight.sum())]  # type: ignore[index]
            return type(evaluation)({"loss": type(evaluation.figures["loss"])(next(self.figures))})

    task = Scripted(small_task().recipe, {})
    weights = fit(task, tmp_path, device="cpu").state_dict()
    assert float(weights["0.weight"].sum()) == pytest.approx(task.marks[2], abs=1e-6)


class Losing(SmallTask):
    """Its loss on the validation part is best after the second epoch and never again."""

    losses = (0.5, 0.2, 0.4, 0.3, 0.25, 0.21, 0.3, 0.3)

    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def evaluate(self, model: nn.Module, split: SplitName) -> Evaluation:
        evaluation = super().evaluate(model, "validation")
        return type(evaluation)({"loss": type(evaluation.figures["loss"])(self.losses[self.epoch])})


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (3, 5), (6, 8), (0, 8)])
def test_a_run_ends_when_patience_is_exhausted(tmp_path: Path, patience: int, epochs: int) -> None:
    steps: list[int] = []
    task = Losing(small_task(epochs=8, patience=patience).recipe, {})
    fit(task, tmp_path, device="cpu", on_step=lambda step, *_: steps.append(step))
    assert steps[-1] == epochs * STEPS_AN_EPOCH


def test_patience_counts_on_after_an_interruption(tmp_path: Path) -> None:
    recipe = small_task(epochs=8, patience=3).recipe
    whole = fit(Losing(recipe, {}), tmp_path / "whole", device="cpu").state_dict()
    with pytest.raises(PowerCutError):
        fit(Losing(recipe, {}), tmp_path / "parts", device="cpu", on_step=cut_at(3 * STEPS_AN_EPOCH + 1))
    steps: list[int] = []
    resumed = fit(
        Losing(recipe, {}),
        tmp_path / "parts",
        device="cpu",
        resume=True,
        on_step=lambda step, *_: steps.append(step),
    )
    assert (steps[0], steps[-1]) == (3 * STEPS_AN_EPOCH + 1, 5 * STEPS_AN_EPOCH)
    assert_same(resumed.state_dict(), whole)
    again: list[int] = []
    fit(
        Losing(recipe, {}),
        tmp_path / "parts",
        device="cpu",
        resume=True,
        on_step=lambda step, *_: again.append(step),
    )
    assert again == []


def test_the_average_is_an_exponential_one(tmp_path: Path) -> None:
    """One weight followed by hand: the average starts as the first weights, then moves by 1 - decay."""
    trace: list[float] = []

    class Followed(SmallTask):
        def training_step(self, *arguments):  # type: ignore[no-untyped-def]
            losses = super().training_step(*arguments)
            trace.append(float(self.modules["model"][7].bias.detach()))  # type: ignore[index]
            return losses

    task = Followed(small_task(epochs=1, ema_decay=0.75).recipe, {})
    averaged = fit(task, tmp_path, device="cpu").state_dict()["7.bias"]
    expected = trace[0]
    for value in trace[1:]:
        expected = 0.75 * expected + 0.25 * value
    assert float(averaged) == pytest.approx(expected, abs=1e-7)


def test_an_empty_training_part_is_refused(tmp_path: Path) -> None:
    class Nobody(SmallTask):
        count = 0

    with pytest.raises(DatasetError, match=r"the training part of .* has no films"):
        fit(Nobody(small_task().recipe, {}), tmp_path, device="cpu")


def test_an_output_folder_that_cannot_be_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*choose another folder"):
        fit(small_task(), tmp_path / "file" / "run", device="cpu")


def test_a_device_that_is_not_there_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device cuda is not available here; use --device cpu"):
        fit(small_task(), tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("found", "called"), [("cuda", 1), ("cpu", 0)])
def test_only_a_gpu_tries_its_kernels_out(
    found: str, called: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(loop, "resolve_device", lambda _: found)
    monkeypatch.setattr(loop, "quick_arithmetic", lambda: calls.append("quick"))
    fit(small_task(epochs=1), tmp_path, device="cpu")
    assert len(calls) == called


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    fit(small_task(epochs=1), tmp_path, device="cpu")
    with pytest.raises(
        WeightsError, match=r"was made with another recipe; resume with .* options \(epochs=1\)"
    ):
        fit(small_task(epochs=2), tmp_path, device="cpu", resume=True)


def test_without_resume_an_old_run_in_the_folder_does_not_matter(
    whole_run: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    fit(small_task(seed=9), tmp_path, device="cpu")
    assert_same(fit(small_task(), tmp_path, device="cpu").state_dict(), whole_run[1])


def test_every_item_has_its_own_random_stream() -> None:
    def items(order: list[int], epoch: int) -> dict[int, Batch]:
        dataset = SeededDataset(Spots(4), seed=3)
        dataset.epoch = epoch
        return {index: dataset[index] for index in order}

    forwards, backwards = items([0, 1, 2, 3], 0), items([3, 2, 1, 0], 0)
    assert all(torch.equal(forwards[index]["film"], backwards[index]["film"]) for index in range(4))
    assert not torch.equal(forwards[0]["film"], items([0], 1)[0]["film"])


def test_an_item_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    _ = SeededDataset(Spots(2), seed=3)[1]
    assert torch.equal(torch.rand(3), expected)


def test_the_order_is_a_permutation_that_changes_with_the_epoch() -> None:
    sampler = EpochSampler(50, seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(50))
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_derived_seeds_are_those_of_sha256() -> None:
    # printf 0:init | sha256sum
    assert derived_seed(0, "init") == 0x63E1A981777FB7AF >> 1
    assert derived_seed(1, "a") != derived_seed(1, "b") != derived_seed("1:a", "b")
    assert 0 <= derived_seed("x") < 2**63


def test_a_recipe_in_the_loop_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe.checked({}).seed = 3
