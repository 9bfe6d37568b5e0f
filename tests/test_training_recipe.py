"""Recipes, the learning-rate schedule, checkpoints: what is checked, what is refused, and in which words."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim import Adam

from gan.training import BoneRecipe
from segmentation.lungs.training import LungsRecipe
from suite.errors import RecipeError, WeightsError
from suite.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from suite.training.recipe import Recipe
from suite.training.schedule import learning_rate_factor


def sentence_of(settings: list[str], recipe: type[Recipe] = Recipe) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe.from_settings(settings)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_settings_are_converted_to_the_types_of_their_keys() -> None:
    recipe = Recipe.from_settings(["epochs=3", " learning_rate = 1e-4", "precision=32-true"])
    assert (recipe.epochs, recipe.learning_rate, recipe.precision) == (3, 1e-4, "32-true")
    assert BoneRecipe.from_settings(["attention=false"]).attention is False


def test_an_unknown_key_lists_the_known_ones_in_one_sentence() -> None:
    message = sentence_of(["epoch=3"])
    assert message.startswith("recipe key 'epoch' is unknown; use one of batch_size, ema_decay, epochs,")
    assert all(key in message for key in Recipe.model_fields)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs=0", "'epochs' has the value '0'"),
        ("epochs=many", "'epochs' has the value 'many'"),
        ("epochs=2.5", "'epochs'"),
        ("learning_rate=0", "'learning_rate'"),
        ("learning_rate=nan", "'learning_rate' has the value 'nan'"),
        ("learning_rate=inf", "'learning_rate'"),
        ("warmup=1", "'warmup'"),
        ("ema_decay=1", "'ema_decay'"),
        ("size=31", "'size'"),
        ("size=4096", "'size'"),
        ("seed=-1", "'seed'"),
        ("precision=16", "'precision'"),
        ("workers=", "'workers' has the value ''"),
    ],
)
def test_a_value_outside_its_range_is_named_with_its_key(setting: str, words: str) -> None:
    assert words in sentence_of([setting])


def test_a_setting_without_a_value_shows_the_form() -> None:
    assert "'epochs' is not of the form key=value; for example --set epochs=5" in sentence_of(["epochs"])


def test_sizes_a_network_cannot_take_are_refused() -> None:
    assert "'size'" in sentence_of(["size=250"], LungsRecipe)  # sixteenths
    assert "'size'" in sentence_of(["size=320"], BoneRecipe)  # seven halvings
    assert "'width'" in sentence_of(["width=0.001"], LungsRecipe)  # a convolution without channels


def test_warm_up_rises_in_equal_steps_to_one() -> None:
    factors = [learning_rate_factor(step, 100, 0.05) for step in range(5)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_cosine_passes_its_known_points() -> None:
    # 101 steps without warm-up: the quarter, half and three quarters of half a cosine
    assert learning_rate_factor(0, 101, 0.0, floor=0.0) == 1.0
    assert learning_rate_factor(25, 101, 0.0, floor=0.0) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert learning_rate_factor(50, 101, 0.0, floor=0.0) == pytest.approx(0.5)
    assert learning_rate_factor(100, 101, 0.0, floor=0.0) == pytest.approx(0.0, abs=1e-12)
    assert learning_rate_factor(100, 101, 0.0) == pytest.approx(0.01)
    assert learning_rate_factor(50, 101, 0.0, floor=0.2) == pytest.approx(0.6)


@pytest.mark.parametrize("total", [1, 2, 3, 17, 400])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 0.99])
def test_the_factor_stays_in_its_range_and_falls_after_warm_up(total: int, warmup: float) -> None:
    factors = [learning_rate_factor(step, total, warmup) for step in range(total)]
    assert all(0.0 < factor <= 1.0 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert learning_rate_factor(total + 50, total, warmup) == pytest.approx(0.01)


def trained() -> tuple[nn.Module, Adam]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    optimizer = Adam(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(2, 2, 5, 5)).pow(2).mean().backward()
        optimizer.step()
    return network, optimizer


RECIPE = {"epochs": 3, "learning_rate": 0.1}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    network, optimizer = trained()
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"model": network}, {"model": optimizer}, Progress(2, 34, 0.125), RECIPE)
    return path


def fresh() -> tuple[nn.Module, Adam]:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    return network, Adam(network.parameters(), lr=9.0)


def test_a_checkpoint_gives_back_weights_optimiser_and_progress(checkpoint: Path) -> None:
    expected, expected_optimizer = trained()
    network, optimizer = fresh()
    progress = load_checkpoint(checkpoint, {"model": network}, {"model": optimizer}, RECIPE)
    assert progress == Progress(2, 34, 0.125)
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    assert optimizer.param_groups[0]["lr"] == 0.1
    for index, state in expected_optimizer.state_dict()["state"].items():
        for name, value in state.items():
            assert torch.equal(optimizer.state_dict()["state"][index][name], value), name


def test_a_checkpoint_without_a_best_figure_yet(tmp_path: Path) -> None:
    network, optimizer = trained()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"model": network}, {"model": optimizer}, Progress(0, 0, None), RECIPE)
    assert load_checkpoint(path, {}, {}, RECIPE) == Progress(0, 0, None)


def test_another_recipe_is_refused(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="was made with another recipe"):
        load_checkpoint(checkpoint, {}, {}, {**RECIPE, "epochs": 4})


def test_a_key_that_is_newer_than_a_checkpoint_had_its_default(checkpoint: Path) -> None:
    newer = {**RECIPE, "square_weight": 0.0}
    network, optimizer = fresh()
    load_checkpoint(checkpoint, {"model": network}, {"model": optimizer}, newer, newer)
    other = {**RECIPE, "square_weight": 1.0}
    with pytest.raises(WeightsError, match=r"same --set options \(square_weight=0\.0\)"):
        load_checkpoint(checkpoint, {}, {}, other, newer)


def damaged(content: bytes, kind: str) -> bytes:
    header = struct.unpack("<Q", content[:8])[0]
    return {
        "empty": b"",
        "truncated": content[:-7],
        "half": content[: len(content) // 2],
        "no safetensors": b"PK\x03\x04" + content[4:],
        "header overwritten": content[:8] + b"\x00" * header + content[8 + header :],
        "a bit of a tensor flipped": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["empty", "truncated", "half", "no safetensors", "header overwritten", "a bit of a tensor flipped"],
)
def test_a_damaged_checkpoint_is_refused(checkpoint: Path, kind: str) -> None:
    checkpoint.write_bytes(damaged(checkpoint.read_bytes(), kind))
    network, optimizer = fresh()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match="start without --resume"):
        load_checkpoint(checkpoint, {"model": network}, {"model": optimizer}, RECIPE)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_weights_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="is not a checkpoint of this version"):
        load_checkpoint(path, {}, {}, RECIPE)


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not a readable checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors", {}, {}, RECIPE)


def test_a_checkpoint_of_another_network_is_refused(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="holds another network"):
        load_checkpoint(checkpoint, {"model": nn.Conv2d(1, 1, 1)}, {}, RECIPE)


def test_the_recipe_stands_in_the_file_as_json(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert json.loads(header["__metadata__"]["recipe"]) == RECIPE


@pytest.mark.parametrize(("capable", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_automatic_precision_is_what_the_processor_is_quick_at(
    monkeypatch: pytest.MonkeyPatch, capable: bool, expected: str
) -> None:
    """Emulated bfloat16 is slower than single precision; the recipe names what was used."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": capable}, raising=False)
    assert Recipe().precision == expected
    assert Recipe.from_settings(["precision=auto"]).precision == expected
    assert Recipe.from_settings(["precision=16-mixed"]).precision == "16-mixed"


def test_a_recipe_that_needs_single_precision_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    from classifiers.gate.training import GateTask

    assert GateTask.recipe_type().precision == "32-true"
