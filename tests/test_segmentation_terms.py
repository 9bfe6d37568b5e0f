"""Weights that a segmentation network is measured with or begins from: the right ones, and their terms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from segmentation.companions import companion
from segmentation.lungs.training import LungsRecipe
from segmentation.terms import FREE, licence
from suite.errors import RecipeError, WeightsError
from suite.stages.weights import shipped_card
from suite.training import command
from tests import made_datasets, untrained_weights
from tests.made_siim import siim

POSITIVE = tuple(number % 3 == 0 for number in range(30))


def weights(folder: Path, name: str, **content: object) -> Path:
    """A weights file of the recipe ``name``; nobody loads it."""
    return untrained_weights.release(folder, name, nn.Linear(1, 1), **content).weights_path


def test_another_networks_weights_are_refused_by_name(tmp_path: Path) -> None:
    gate = weights(tmp_path, "pneumothorax-gate")
    assert companion("gate_weights", str(gate), "pneumothorax-gate").name == "pneumothorax-gate"
    with pytest.raises(RecipeError) as caught:
        companion("mask_weights", str(gate), "pneumothorax-mask")
    assert str(caught.value) == (
        f"mask_weights: {gate} holds weights of pneumothorax-gate; give those of pneumothorax-mask."
    )
    with pytest.raises(RecipeError, match="mask_weights: there is no file none; train that network first"):
        companion("mask_weights", "none", "pneumothorax-mask")
    gate.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"belongs beside its \.safetensors file"):
        companion("gate_weights", str(gate), "pneumothorax-gate")


def test_a_baseline_is_a_network_that_saw_every_film(tmp_path: Path) -> None:
    films = {"siim": siim(tmp_path / "siim", POSITIVE)}
    own = weights(tmp_path, "pneumothorax-mask", recipe={"learn_from": "positives"})
    with pytest.raises(
        RecipeError, match=r"pneumothorax-mask learn_from=positives; give those of .* learn_from=all"
    ):
        command.prepare("pneumothorax-mask", films, (f"baseline_weights={own}",))
    with pytest.raises(RecipeError, match=r"gate_weights: .* holds weights of pneumothorax-mask"):
        command.prepare("pneumothorax-mask", films, (f"gate_weights={own}",))
    gate = weights(tmp_path, "pneumothorax-gate")
    with pytest.raises(RecipeError, match=r"mask_weights: .* holds weights of pneumothorax-gate"):
        command.prepare("pneumothorax-gate", films, (f"mask_weights={gate}",))


@pytest.mark.parametrize(("recipe", "wanted"), [("lungs", "lungs or whole-lungs"), ("organs", "organs")])
def test_a_run_begins_from_its_own_networks_weights(recipe: str, wanted: str, tmp_path: Path) -> None:
    films = {"jsrt": made_datasets.jsrt(tmp_path / "jsrt")}
    other = weights(tmp_path, "tissues")
    with pytest.raises(RecipeError, match=f"start_from: .* holds weights of tissues; give those of {wanted}"):
        command.prepare(recipe, films, (f"start_from={other}",))
    with pytest.raises(RecipeError, match="start_from: there is no file none; train that network first"):
        command.prepare(recipe, films, ("start_from=none",))


def test_weights_are_measured_by_a_recipe_of_their_kind(tmp_path: Path) -> None:
    films = {"jsrt": made_datasets.jsrt(tmp_path / "jsrt")}
    shipped = shipped_card("segmentation", "lungs").weights_path
    with pytest.raises(
        RecipeError, match="holds weights of lungs, which recipe organs does not measure; use"
    ):
        command.evaluate("organs", shipped, films, (), tmp_path / "out")
    whole = shipped_card("segmentation", "whole-lungs").weights_path
    task, _, card = command.finished("lungs", whole, films, ())
    assert (task.name, card.name) == ("lungs", "whole-lungs")


def test_a_value_of_another_form_is_told_the_form_and_no_expression() -> None:
    with pytest.raises(RecipeError) as caught:
        LungsRecipe.from_settings(["learn_from=jrst"])
    assert "; wanted: those of jsrt,scr,montgomery,phantom,shenzhen" in str(caught.value)
    assert "^" not in str(caught.value)


def test_a_rival_is_the_network_it_is_called(tmp_path: Path) -> None:
    films = {"painted-masks": made_datasets.painted(tmp_path / "painted", count=6)}
    xnet = weights(tmp_path, "tissues", recipe={"network": "xnet"})
    with pytest.raises(RecipeError, match="tissues network=xnet; give those of tissues network=segnet"):
        command.prepare("tissues", films, (f"segnet_weights={xnet}",))


def test_terms_are_those_of_every_film_that_was_learned_from(tmp_path: Path) -> None:
    assert licence(("phantom",)) == FREE
    assert licence(("phantom", "scr")).startswith(
        "research use only: learned from scr: research and education"
    )
    free = weights(tmp_path / "free", "lungs", licence=FREE)
    bound = weights(tmp_path / "bound", "lungs", licence="research use only: JSRT")
    assert licence(("phantom",), str(free)) == FREE
    assert licence(("phantom",), str(bound)) == (
        "research use only: begun with weights under other terms: research use only: JSRT"
    )
    bound.with_suffix(".json").unlink()
    assert licence(("phantom",), str(bound)).endswith("not known, as their card is gone")


@pytest.mark.parametrize(
    ("recipe", "dataset", "settings"),
    [
        ("lungs", "phantom", ()),
        ("organs", "phantom", ("learn_from=phantom",)),
        ("tissues", "phantom", ("network=unet",)),
    ],
)
def test_a_card_names_what_was_learned_from_and_nothing_else(
    recipe: str, dataset: str, settings: tuple[str, ...], cohort: Path
) -> None:
    card = command.prepare(recipe, {dataset: cohort}, settings).describe()
    assert card["licence"] == FREE
    assert "no patient's among them" in card["limits"]
    assert "JSRT" not in json.dumps(card)
    assert card["sources"][1:] == ["phantom: this suite"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from suite.phantom.cohort import CohortSettings, write_cohort

    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(CohortSettings(seed=5, size=64, lateral=False), 3, folder, workers=1)
    return folder
