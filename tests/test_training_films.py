"""Films as networks see them, with their masks; and from names on the command line to weights and a card."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from segmentation.films import framed_planes
from segmentation.lungs.training import LungsTask
from suite.datasets.outlines import lung_sides
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError, SuiteError, WeightsError
from suite.framing import frame
from suite.levels import Levels, auto_levels
from suite.stages.weights import read_card
from suite.training import command
from suite.training.films import load_film, read_mask
from tests import made_datasets
from tests.made_films import chest_pixels, write_png

SMALL = (
    "size=64",
    "width=0.0625",
    "epochs=1",
    "films_per_epoch=8",
    "learn_from=jsrt",
    "batch_size=2",
    "validate_every=1",
    "precision=32-true",
)
"""The lung network at a sixteenth of its channels."""


def test_levels_send_the_percentiles_to_black_and_white() -> None:
    pixels = np.linspace(0.2, 0.6, 10_000, dtype=np.float32).reshape(100, 100)
    levels = auto_levels(pixels)
    assert (levels.low, levels.high) == pytest.approx((0.2 + 0.4 * 0.005, 0.6 - 0.4 * 0.005), abs=1e-4)
    stretched = levels.apply(pixels)
    assert (stretched.min(), stretched.max()) == (0.0, 1.0)
    assert float(stretched[50, 50]) == pytest.approx(0.5, abs=0.01)


def test_a_marker_does_not_set_the_levels() -> None:
    pixels = np.full((200, 200), 0.3, np.float32)
    pixels[:, 100:] = 0.5
    pixels[:10, :10] = 1.0  # a quarter of a percent
    levels = auto_levels(pixels)
    assert (levels.low, levels.high) == pytest.approx((0.3, 0.5))


def test_a_film_of_few_greys_is_stretched_between_its_ends() -> None:
    pixels = np.full((100, 100), 0.4, np.float32)
    assert auto_levels(pixels) == Levels(0.0, 1.0)
    pixels[0, 0] = 0.9
    levels = auto_levels(pixels)
    assert (levels.low, levels.high) == pytest.approx((0.4, 0.9))


def test_the_letterbox_is_black_and_does_not_darken_the_film() -> None:
    framed = frame(chest_pixels(120, 60), 64)
    assert framed.pixels.shape == (64, 64)
    assert framed.pixels[:, :15].max() == framed.pixels[:, -15:].max() == 0.0
    assert framed.pixels[:, 16:48].mean() > 0.3
    assert framed.levels == frame(chest_pixels(120, 60), 128).levels
    assert framed.history()[-1].startswith("levels 0.")


def test_a_film_and_its_masks_are_framed_alike(tmp_path: Path) -> None:
    record = open_dataset("jsrt", made_datasets.jsrt(tmp_path)).records[0]
    planes = framed_planes(record, 48, lung_sides)
    assert {name: (values.shape, values.dtype.name) for name, values in planes.items()} == {
        "film": ((1, 48, 48), "float32"),
        "mask": ((2, 48, 48), "uint8"),
    }
    assert set(np.unique(planes["mask"])) == {0, 1}
    np.testing.assert_array_equal(planes["film"][0], frame(load_film(record.frontal), 48).pixels)


def test_the_patients_right_lung_is_on_the_pictures_left(tmp_path: Path) -> None:
    record = open_dataset("jsrt", made_datasets.jsrt(tmp_path)).records[0]
    right, left = (np.nonzero(plane)[1].mean() for plane in np.moveaxis(lung_sides(record), -1, 0))
    assert right < left


def test_an_outline_on_a_finer_matrix_is_brought_to_the_film(tmp_path: Path) -> None:
    folder = made_datasets.jsrt(tmp_path)
    record = open_dataset("jsrt", folder).records[0]
    plain = framed_planes(record, 48, lung_sides)["mask"]
    fine = made_datasets.organs().repeat(2, axis=0).repeat(2, axis=1)
    write_png(folder / "organs" / "JPCLN000.png", fine)
    np.testing.assert_array_equal(framed_planes(record, 48, lung_sides)["mask"], plain)


@pytest.mark.parametrize("shape", [(56, 64), (64, 64), (30, 56)])
def test_a_mask_of_another_film_is_refused(shape: tuple[int, int], tmp_path: Path) -> None:
    folder = made_datasets.jsrt(tmp_path)
    write_png(folder / "organs" / "JPCLN001.png", np.ones(shape, np.uint8))
    with pytest.raises(
        DatasetError, match=r"^JPCLN001: its mask of .* another aspect ratio than the film of"
    ) as caught:
        framed_planes(open_dataset("jsrt", folder).records[1], 48, lung_sides)
    assert "\n" not in str(caught.value)


def test_a_mask_that_is_no_label_picture_is_refused(tmp_path: Path) -> None:
    colour = write_png(tmp_path / "colour.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "text.png").write_text("not a picture")
    for path in (colour, tmp_path / "text.png", tmp_path / "none.png"):
        with pytest.raises(DatasetError, match="is not a label picture with one channel"):
            read_mask(path)


# the commands


@pytest.fixture(scope="module")
def jsrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_datasets.jsrt(tmp_path_factory.mktemp("jsrt"), count=14)


@pytest.fixture(scope="module")
def run(jsrt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one short training of the lung network."""
    out = tmp_path_factory.mktemp("run")
    command.train("lungs", {"jsrt": jsrt}, SMALL, out, device="cpu")
    return out


def test_training_leaves_weights_card_and_figures(run: Path, jsrt: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"lungs.safetensors", "lungs.json", "metrics.json", "table.md", "films.csv"} <= names
    card = read_card(run / "lungs.json").content
    parts = open_dataset("jsrt", jsrt).split(0).parts
    assert card["metrics"]["dice"]["n"] == len(parts["test"]) > 0
    assert card["metrics"] == json.loads((run / "metrics.json").read_text())
    assert card["data"] == {"jsrt": 14}
    assert card["input"] == {"size": 64, "channels": 1}
    assert card["recipe"]["width"] == 0.0625
    assert card["parameters"] == sum(
        value.numel() for name, value in load_file(run / "lungs.safetensors").items() if "running" not in name
    )
    assert str(jsrt) not in json.dumps(card)
    assert card["train_command"].startswith("radsuite train lungs --data jsrt=JSRT --set size=64 ")


def test_evaluation_of_the_shipped_weights_gives_the_cards_figures(
    run: Path, jsrt: Path, tmp_path: Path
) -> None:
    command.evaluate("lungs", run / "lungs.safetensors", {"jsrt": jsrt}, (), tmp_path)
    for name in ("metrics.json", "films.csv", "table.md"):
        assert (tmp_path / name).read_text() == (run / name).read_text()


def test_a_second_data_set_is_measured_beside_the_first(run: Path, jsrt: Path, tmp_path: Path) -> None:
    outside = made_datasets.covid_lungs(tmp_path / "covid")
    sources = {"jsrt": jsrt, "covid-lungs": outside}
    figures = command.evaluate("lungs", run / "lungs.safetensors", sources, (), tmp_path / "out").figures
    assert figures["covid_lungs_right"].n == 2
    assert figures["dice"].n == json.loads((run / "metrics.json").read_text())["dice"]["n"]


def test_a_network_is_rebuilt_without_the_file_it_started_from(run: Path, jsrt: Path, tmp_path: Path) -> None:
    content = json.loads((run / "lungs.json").read_text())
    content["recipe"]["encoder_weights"] = "gone.safetensors"
    (tmp_path / "lungs.json").write_text(json.dumps(content))
    (tmp_path / "lungs.safetensors").write_bytes((run / "lungs.safetensors").read_bytes())
    command.evaluate("lungs", tmp_path / "lungs.safetensors", {"jsrt": jsrt}, (), tmp_path / "out")
    assert (tmp_path / "out" / "metrics.json").read_text() == (run / "metrics.json").read_text()


def test_a_card_does_not_name_folders_of_one_machine(jsrt: Path) -> None:
    setting = "encoder_weights=/home/someone/vgg16.safetensors"
    task = command.prepare("lungs", {"jsrt": jsrt}, [setting])
    content = command.card_content(task, command.Evaluation({}), [setting])
    assert "/home/someone" not in json.dumps(content)
    assert "--set encoder_weights=vgg16.safetensors" in content["train_command"]
    assert content["recipe"]["encoder_weights"] == "vgg16.safetensors"


def test_a_card_tells_which_weights_a_run_began_with(jsrt: Path, tmp_path: Path) -> None:
    """A name alone does not: two runs may have begun with files of one name."""
    file = tmp_path / "vgg16.safetensors"
    file.write_bytes(b"weights")
    task = command.prepare("lungs", {"jsrt": jsrt}, [f"encoder_weights={file}"])
    begun = command.card_content(task, command.Evaluation({}), [])["begun_with"]
    assert begun == {"encoder_weights": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"}


def test_shipped_weights_are_measured_as_rounded() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    command.as_shipped(torch.nn.Sequential(layer, torch.nn.BatchNorm1d(3)))
    assert torch.equal(layer.weight.detach(), before.half().float())
    assert not torch.equal(layer.weight.detach(), before)


@pytest.mark.parametrize(
    ("recipe", "names", "settings", "kind", "words"),
    [
        ("heart", ("jsrt",), (), RecipeError, "recipe 'heart' is not installed; use one of bone, diagnosis"),
        (
            "lungs",
            (),
            (),
            RecipeError,
            "recipe lungs needs data; give --data NAME=DIR with jsrt, scr, montgomery",
        ),
        (
            "lungs",
            ("frontal-lateral",),
            (),
            DatasetError,
            "recipe lungs cannot learn from 'frontal-lateral'; use jsrt, scr, montgomery",
        ),
        ("triage", (), (), RecipeError, "recipe triage needs data"),
        ("lungs", ("jsrt",), ("depth=3",), RecipeError, "recipe key 'depth' is unknown"),
        (
            "organs",
            ("covid-lungs",),
            (),
            DatasetError,
            "recipe organs cannot learn from 'covid-lungs'; use jsrt",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_starts(
    recipe: str,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    kind: type[SuiteError],
    words: str,
    tmp_path: Path,
) -> None:
    sources = {name: made_datasets.MAKERS[name](tmp_path / name) for name in names}
    with pytest.raises(kind, match=words):
        command.prepare(recipe, sources, settings)


@pytest.mark.parametrize("recipe", ["lungs", "bone"])
def test_the_set_that_is_learned_from_must_be_given(recipe: str, jsrt: Path, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="learns from phantom, which is not given; add --data phantom=DIR"):
        command.train(recipe, {"jsrt": jsrt}, ("learn_from=phantom", "size=256"), tmp_path, device="cpu")


def test_weights_of_another_width_are_refused(run: Path, jsrt: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds another architecture"):
        command.evaluate("lungs", run / "lungs.safetensors", {"jsrt": jsrt}, ["width=0.125"], tmp_path)


def test_weights_without_a_card_are_refused(run: Path, jsrt: Path, tmp_path: Path) -> None:
    (tmp_path / "lungs.safetensors").write_bytes((run / "lungs.safetensors").read_bytes())
    with pytest.raises(WeightsError, match=r"lungs\.json: is no readable model card .* beside its"):
        command.evaluate("lungs", tmp_path / "lungs.safetensors", {"jsrt": jsrt}, (), tmp_path)


def test_limit_shortens_the_training_part_alone(jsrt: Path) -> None:
    whole = command.prepare("lungs", {"jsrt": jsrt}, ("learn_from=jsrt",))
    limited = command.prepare("lungs", {"jsrt": jsrt}, ("learn_from=jsrt", "limit=2"))
    assert isinstance(whole, LungsTask)
    assert isinstance(limited, LungsTask)
    assert len(limited._learned("train")) == 2 < len(whole._learned("train"))
    assert limited._learned("test") == whole._learned("test")


def test_validation_on_an_empty_part_is_unknown_and_a_test_on_one_is_refused(tmp_path: Path) -> None:
    """One patient alone is in the training part."""
    task = command.prepare("lungs", {"jsrt": made_datasets.jsrt(tmp_path, count=1)}, SMALL)
    task.build()
    model = task.modules["model"].eval()
    values = [task.evaluate(model, part).figures["dice"].value for part in ("train", "validation")]
    assert list(map(math.isnan, values)) == [False, True]
    with pytest.raises(DatasetError, match="the test part of jsrt has no film; give more patients"):
        task.evaluate(model, "test")
