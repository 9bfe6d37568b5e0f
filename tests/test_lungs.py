"""The lungs: what is known of them, what is learned from it, how films look meanwhile, and the figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segmentation.lungs.doubts import doubts_about
from segmentation.lungs.evaluation import measured_on, validated
from segmentation.lungs.loss import lung_loss, together
from segmentation.lungs.network import PLANES, VGG16UNet
from segmentation.lungs.stage import SIDES, LungsStage, read_lungs
from segmentation.lungs.training import LungsTask
from segmentation.lungs.truth import lung_bank, lung_planes
from segmentation.lungs.whole_stage import WholeLungsStage, measured
from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError, WeightsError
from suite.findings import CODES
from suite.phantom.cohort import CohortSettings, write_cohort
from suite.training import command
from tests import made_datasets, made_lung_sets, untrained_weights
from tests.made_films import artifact, chest, write_16_bit, write_png
from web.research.figure_words import known_words

SIDE = 64
TINY = ("size=64", "width=0.0625", "epochs=2", "batch_size=2", "films_per_epoch=8", "precision=32-true")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(CohortSettings(seed=5, size=SIDE, lateral=False), 9, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def jsrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_datasets.jsrt(tmp_path_factory.mktemp("jsrt"), count=12)


def computed(folder: Path) -> Record:
    """A film of 64 x 64 whose right lung has 20 visible rows of 30, the lowest five of them white."""
    visible, whole, effusion = (np.zeros((SIDE, SIDE), np.uint8) for _ in range(3))
    visible[10:30, 5:25], visible[10:30, 40:60] = 128, 255
    whole[10:40, 5:25], whole[10:40, 40:60] = 128, 255
    effusion[25:35, 5:25] = 255
    names = ("lung_mask", "lung_whole", "finding_pleural_effusion")
    for name, picture in zip(names, (visible, whole, effusion), strict=True):
        write_png(folder / f"{name}.png", picture)
    film = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    write_16_bit(folder / "frontal.png", film)
    labels = [float(code == "pleural_effusion") for code in CODES]
    return Record(
        "p0",
        "p0",
        folder / "frontal.png",
        labels=tuple(labels),
        targets={name: folder / f"{name}.png" for name in names},
        attributes={"spacing_mm": "2.0"},
    )


class Told(nn.Module):
    """A network that gives one answer (4, H, W) in {0, 1} to every film."""

    def __init__(self, planes: np.ndarray) -> None:
        super().__init__()
        self.logits = nn.Parameter(20.0 * torch.from_numpy(planes).float() - 10.0)

    def forward(self, film: Tensor) -> Tensor:
        return self.logits[None].expand(len(film), *self.logits.shape)


# truth


def test_whole_lungs_are_known_of_computed_films_only(tmp_path: Path, jsrt: Path) -> None:
    record = computed(tmp_path)
    planes = lung_planes(record)
    assert planes.sum((0, 1)).tolist() == [400, 400, 600, 600]
    assert lung_bank((record,), SIDE).gather(torch.tensor([0]))["known"].tolist() == [[1, 1, 1, 1]]
    real = open_dataset("jsrt", jsrt).records[0]
    np.testing.assert_array_equal(lung_planes(real)[..., :2], lung_planes(real)[..., 2:])
    assert lung_bank((real,), SIDE).gather(torch.tensor([0]))["known"].tolist() == [[1, 1, 0, 0]]


# loss


def slopes(known: list[float]) -> Tensor:
    """How the loss falls with each logit; a visible right lung in the upper left quarter of 8 x 8."""
    planes = torch.zeros(1, 4, 8, 8)
    planes[:, (0, 2), :4, :4] = 1.0
    logits = torch.zeros(1, 4, 8, 8, requires_grad=True)
    lung_loss(logits, planes, torch.tensor([known])).backward()
    assert logits.grad is not None
    return -logits.grad[0]


def test_a_visible_lung_is_part_of_the_whole_one_of_its_side_and_no_more_is_said() -> None:
    told = slopes([1, 1, 0, 0])
    assert bool((told[2, :4, :4] > 0).all())  # belongs to the right lung
    assert bool((told[3, :4, :4] < 0).all())  # and not to the left one
    assert float(told[2:, 4:].abs().max()) == float(told[2:, :, 4:].abs().max()) == 0.0
    assert bool((told[:2, 4:] < 0).all())  # of the visible fields every pixel is known


def test_a_known_whole_lung_is_learned_everywhere() -> None:
    told = slopes([1, 1, 1, 1])
    assert bool((told[2, 4:] < 0).all())


def test_either_lungs_probability_is_that_of_not_neither_and_holds_at_any_logit() -> None:
    logits = torch.tensor([[0.3, -1.2], [2.0, 2.0], [-90.0, -95.0], [90.0, -90.0]], dtype=torch.float64)
    both = together(logits[:, :, None, None])[:, 0, 0, 0]
    expected = 1 - (1 - logits[:2].sigmoid()).prod(1)
    torch.testing.assert_close(both[:2].sigmoid(), expected)
    # far out: the sum of two tiny probabilities, and the certainty of one of the lungs
    assert float(both[2]) == pytest.approx(-90 + np.log1p(np.exp(-5)))
    assert float(both[3]) == pytest.approx(90.0)


@pytest.mark.parametrize("count", [2, 4])
def test_an_outline_of_both_lungs_teaches_no_side(count: int) -> None:
    """Exchanging what is said of right and left exchanges how it is taught, and costs the same."""
    planes = torch.zeros(1, count, 8, 8)
    planes[..., 2:6, 1:7] = 1.0
    spoken = torch.randn(1, count, 8, 8, generator=torch.Generator().manual_seed(3))
    exchanged = [1, 0, 3, 2][:count]
    found = []
    for said in (spoken, spoken[:, exchanged]):
        logits = said.clone().requires_grad_()
        loss = lung_loss(logits, planes, torch.zeros(1, count))
        (slope,) = torch.autograd.grad(loss, logits)
        found.append((float(loss.detach()), slope))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1][:, exchanged])
    inside, outside = found[0][1][..., 2:6, 1:7], found[0][1][:, :2, :2]
    assert bool((inside < 0).all())  # either lung may have it
    assert bool((outside > 0).all())  # neither has it
    if count == 4:
        assert float(found[0][1][:, 2:, :2].abs().max()) == 0.0  # of whole lungs nothing is known there


def test_an_outline_of_both_lungs_is_content_with_any_parting_of_it() -> None:
    planes, logits = torch.zeros(1, 2, 16, 16), torch.full((1, 2, 16, 16), -30.0)
    planes[..., 4:12, 2:14] = 1.0
    logits[:, 0, 4:12, 2:5] = logits[:, 1, 4:12, 5:14] = 30.0
    assert float(lung_loss(logits, planes, torch.zeros(1, 2))) < 1e-6
    assert float(lung_loss(logits, planes, torch.ones(1, 2))) > 1.0  # as outlines of each side it is wrong


def test_films_with_and_without_sides_share_a_batch() -> None:
    generator = torch.Generator().manual_seed(4)
    planes = (torch.rand(2, 4, 8, 8, generator=generator) > 0.5).float()
    planes[1] = planes[1, :1]
    logits = torch.randn(2, 4, 8, 8, generator=generator)
    known = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    first = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(lung_loss(first, planes, known), first)
    assert bool((slope[0, :2] != 0).all())
    assert bool((slope[1, :2] != 0).all())


def test_the_loss_vanishes_where_everything_is_right() -> None:
    planes = (torch.rand(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    assert float(lung_loss(60 * planes - 30, planes, torch.ones(2, 4))) < 1e-6


# the stage


def test_the_visible_field_is_part_of_the_whole_lung() -> None:
    planes = np.zeros((len(PLANES), SIDE, SIDE))
    planes[0, 10:30, 5:25] = planes[1, 10:30, 40:60] = 1  # visible
    planes[2, 15:45, 5:25] = planes[3, 10:40, 35:60] = 1  # whole, which lacks the right lung's top
    lungs = read_lungs(Told(planes), np.eye(SIDE, dtype=np.float32), SIDE, torch.device("cpu"))
    assert lungs.whole is not None
    assert np.count_nonzero(lungs.visible == 128) == 400
    np.testing.assert_array_equal(lungs.whole[lungs.visible > 0], lungs.visible[lungs.visible > 0])
    assert np.count_nonzero(lungs.whole == 128) == 35 * 20
    assert np.count_nonzero(lungs.whole == 255) == 30 * 25


def test_measurements_by_hand() -> None:
    visible, whole = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    visible[:3, :4] = whole[:4, :4] = 128  # 12 of 16 pixels
    assert measured(visible, whole, (0.5, 2.0)) == {
        "lung_whole_area_px": 16,
        "lung_whole_area_cm2_at_detector": 0.16,
        "right_lung_hidden_share": 0.25,
        "left_lung_hidden_share": None,
    }
    assert "lung_whole_area_cm2_at_detector" not in measured(visible, whole, None)


def whole_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, planes: np.ndarray | None = None
) -> WholeLungsStage:
    """The stage by a network of four planes, or by one that gives ``planes`` to every film."""
    torch.manual_seed(0)
    count = len(PLANES) if planes is None else len(planes)
    network, shape = VGG16UNet(planes=count, width=0.0625), {"planes": count, "width": 0.0625}
    card = untrained_weights.release(folder, "whole-lungs", network, architecture=shape)
    monkeypatch.setattr("segmentation.lungs.whole_stage.shipped_card", lambda _package, _name: card)
    stage = WholeLungsStage("cpu")
    if planes is not None:
        monkeypatch.setattr(stage, "_network", Told(planes))
        monkeypatch.setattr(stage, "_size", SIDE)
    return stage


def test_whole_lungs_are_put_around_the_fields_of_the_lungs_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage's own answer about visible fields is not used: another network knows those better."""
    planes = np.zeros((len(PLANES), SIDE, SIDE))
    planes[0, :5, :5] = 1
    planes[2, 15:45, 5:25] = planes[3, 10:40, 35:60] = 1
    visible = np.zeros((SIDE, SIDE), np.uint8)
    visible[10:30, 5:25], visible[10:30, 40:60] = 128, 255
    stage = whole_stage(tmp_path, monkeypatch, planes)
    (made,) = stage.run([{"frontal": artifact(chest(SIDE, SIDE, 1)), "lung_mask": artifact(visible)}])
    assert set(made) == set(stage.makes)
    whole = made["lung_whole"].value
    np.testing.assert_array_equal(whole[visible > 0], visible[visible > 0])
    assert (np.count_nonzero(whole == 128), np.count_nonzero(whole == 255)) == (35 * 20, 30 * 25)
    numbers = made["lung_measurements"].value.values
    assert numbers["lung_whole_area_px"] == 35 * 20 + 30 * 25
    assert numbers["right_lung_hidden_share"] == pytest.approx(1 - 400 / 700, abs=1e-4)


def test_whole_lungs_are_not_read_by_weights_of_visible_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        WeightsError, match="knows visible lung fields alone; install weights of recipe whole"
    ):
        whole_stage(tmp_path, monkeypatch, np.zeros((2, SIDE, SIDE)))


def two_lungs(left: tuple[int, int], top: int = 10, tongue: int = 0) -> np.ndarray:
    """A mask (100, 100): the right lung in columns 10 to 39, the left one in those given.

    ``tongue``: rows of the left one that reach to the film's edge.
    """
    mask = np.zeros((100, 100), np.uint8)
    mask[top:60, 10:40], mask[top:60, left[0] : left[1]] = 128, 255
    mask[60 - tongue : 60, left[0] :] = 255
    return mask


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (two_lungs((50, 80)), []),
        (two_lungs((65, 95)), ["lie further apart than lungs do"]),
        (two_lungs((50, 80), tongue=10), ["outline of the left lung runs along the film's edge"]),
        (two_lungs((50, 100)), ["left lung runs along much of one side of the film: this looks like a part"]),
        (
            two_lungs((50, 80), top=0),
            ["outline of the right lung runs along much", "outline of the left lung runs along much"],
        ),
        (two_lungs((50, 50)), ["Only one lung or none was found"]),
        (np.zeros((100, 100), np.uint8), ["Only one lung or none was found"]),
    ],
    ids=["as lungs lie", "far apart", "touching", "cut through on the left", "above", "one lung", "none"],
)
def test_what_speaks_against_an_outline_is_said(mask: np.ndarray, said: list[str]) -> None:
    lines = doubts_about(mask, SIDES)
    assert len(lines) == len(said)
    assert all(words in line for words, line in zip(said, lines, strict=True))


def test_a_lung_that_touches_the_edge_in_a_point_is_not_cut_off() -> None:
    mask = two_lungs((50, 80))
    mask[55:60, 80:] = 255  # five rows of a hundred
    assert doubts_about(mask, SIDES) == ()


def test_the_stage_warns_of_its_own_outline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network, shape = VGG16UNet(planes=2, width=0.0625), {"planes": 2, "width": 0.0625}
    card = untrained_weights.release(tmp_path, "lungs", network, architecture=shape)
    monkeypatch.setattr("segmentation.lungs.stage.shipped_card", lambda _package, _name: card)
    stage = LungsStage("cpu")
    planes = np.zeros((2, SIDE, SIDE))
    planes[0, 10:30, 5:15] = planes[1, 10:30, 40:60] = 1
    monkeypatch.setattr(stage, "_network", Told(planes))
    monkeypatch.setattr(stage, "_size", SIDE)
    (made,) = stage.run([{"frontal": artifact(chest(SIDE, SIDE, 1))}])
    assert [line[:37] for line in made["lung_mask"].warnings] == ["The outlines of the lungs lie further"]


# figures


def test_what_a_film_hides_is_counted_by_hand(tmp_path: Path) -> None:
    record = computed(tmp_path)
    planes = np.moveaxis(lung_planes(record), -1, 0).astype(float)
    planes[0, 25:] = 0  # the visible field is cut short where it is white
    planes[2, 35:] = 0  # and half of the right lung's hidden part is missing
    found = measured_on(Told(planes), SIDE, {"phantom": (record,)}, 0)
    values = {name: figure.value for name, figure in found.figures.items()}
    assert values["phantom_right"] == pytest.approx(2 * 300 / 700)
    assert values["phantom_left"] == 1.0
    # the effusion lies on 5 visible rows, none of which was found
    assert values["phantom_found_pleural_effusion"] == 0.0
    assert values["phantom_whole_pleural_effusion"] == 1.0  # its ten rows are in the whole outline
    assert "phantom_found_consolidation" not in values
    assert values["phantom_found_hidden"] == pytest.approx(300 / 400)
    assert values["phantom_whole"] == pytest.approx(2 * 1100 / 2300)
    assert values["phantom_hd95_right_mm"] == pytest.approx(10.0)  # five rows of 2 mm
    assert values["phantom_hd95_left_mm"] == 0.0
    assert values["phantom_share_below_0.80_right"] == 0.0


class Bright(nn.Module):
    """A network that takes what is bright on either half of the film for the lung of that side."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(40.0))

    def forward(self, film: Tensor) -> Tensor:
        half = torch.arange(film.shape[-1]) < film.shape[-1] // 2
        sides = torch.cat((film * half, film * ~half), 1)
        return self.sharpness * (sides - 0.5)


def test_a_lung_is_found_at_its_place_however_often_the_film_is_looked_at(tmp_path: Path) -> None:
    record = computed(tmp_path)
    write_16_bit(tmp_path / "frontal.png", lung_planes(record)[..., :2].max(-1).astype(np.float32))
    figures = measured_on(Bright(), SIDE, {"phantom": (record,)}, 0, tta=True).figures
    assert figures["phantom_right"].value == figures["phantom_left"].value == 1.0
    assert figures["phantom_tta_change_dice"].value == 0.0


def test_the_change_by_test_time_augmentation_is_that_of_each_film(tmp_path: Path) -> None:
    """An answer that ignores the film moves with every look, so that the average differs from it."""
    record = computed(tmp_path)
    planes = np.moveaxis(lung_planes(record), -1, 0).astype(float)
    planes[0, 12:14] = 0  # a gap that shifts of one pixel and zooms do not close
    planes[1, 20] = 0  # and one that the average of the looks does
    once = measured_on(Told(planes), SIDE, {"phantom": (record,)}, 0)
    often = measured_on(Told(planes), SIDE, {"phantom": (record,)}, 0, tta=True)
    assert once.figures.keys() == {key for key in often.figures if "tta_change" not in key}
    for key in ("right", "left", "dice", "hd95_right_mm", "found_hidden"):
        change = often.figures[f"phantom_tta_change_{key}"].value
        without, averaged = (each.figures[f"phantom_{key}"].value for each in (once, often))
        assert change == pytest.approx(averaged - without)
        assert known_words(f"phantom_tta_change_{key}") is not None
    assert often.figures["phantom_tta_change_dice"].value != 0.0
    assert often.notes[:-1] == once.notes
    assert "read in 9 ways (as it is, gamma 0.8" in often.notes[-1]


def test_distances_on_jsrt_are_in_millimetres_of_its_detector(jsrt: Path) -> None:
    record = open_dataset("jsrt", jsrt).records[0]
    planes = np.zeros((4, SIDE, SIDE))
    found = measured_on(Told(planes), SIDE, {"jsrt": (record,)}, 0).figures
    # nothing was found: the diagonal of the film, whose sides are 2048 pixels of 0.175 mm
    assert found["hd95_right_mm"].value == pytest.approx(np.hypot(358.4, 358.4))


def test_films_without_sides_are_parted_between_their_lungs(tmp_path: Path) -> None:
    films = open_dataset("covid-lungs", made_datasets.covid_lungs(tmp_path)).records
    truth = made_datasets.organs()
    padded = np.zeros((4, SIDE, SIDE))  # the letterbox adds four columns on either side of 56
    padded[0, :, 4:60], padded[1, :, 4:60] = (truth & 1) > 0, (truth & 2) > 0
    padded[1, 40:] = 0
    padded[2, :, 4:60], padded[3, :, 4:60] = (truth & 1) > 0, (truth & 2) > 0
    padded[0, :20] = 0
    found = {
        name: figure.value
        for name, figure in measured_on(Told(padded), SIDE, {"covid-lungs": films}, 0).figures.items()
    }
    assert found["covid_lungs_right"] < 0.95
    assert found["covid_lungs_left"] < 0.9
    assert found["covid_lungs_right_whole"] == found["covid_lungs_left_whole"] == 1.0
    assert found["covid_lungs_right_missed_medially"] == 0.0  # whole rows are missing alone


def test_what_is_missed_beside_the_spine_is_counted_by_hand(tmp_path: Path) -> None:
    films = open_dataset("covid-lungs", made_datasets.covid_lungs(tmp_path)).records
    truth = (made_datasets.organs() & 1) > 0
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    claimed = truth.copy()
    claimed[:, columns[-3] :] = 0  # three columns towards the spine,
    claimed[:, columns[0]] = 0  # one at the wall
    claimed[rows[0]] = 0  # and a whole row
    padded = np.zeros((2, SIDE, SIDE))
    padded[0, :, 4:60] = claimed
    figures = measured_on(Told(padded), SIDE, {"covid-lungs": films}, 0).figures
    medial, lateral, row = 3 * (len(rows) - 1), len(rows) - 1, len(columns)
    expected = medial / (medial + lateral + row)
    assert figures["covid_lungs_right_missed_medially"].value == pytest.approx(expected)


def test_films_whose_sides_nobody_told_apart_have_the_dice_of_both_lungs_alone(tmp_path: Path) -> None:
    films = open_dataset("shenzhen", made_lung_sets.shenzhen(tmp_path)).records[:2]
    drawn = made_lung_sets.outlines(SIDE, SIDE)
    planes = np.zeros((2, SIDE, SIDE))
    planes[0], planes[1] = drawn["right_lung"] > 0, drawn["left_lung"] > 0
    found = measured_on(Told(planes), SIDE, {"shenzhen": films}, 0, tta=True)
    assert found.figures.keys() == {"shenzhen_dice", "shenzhen_tta_change_dice"}
    assert found.by_dataset["shenzhen"].keys() == {"dice"}
    bank = lung_bank(films, SIDE)
    assert bank.stored["known"].sum() == 0
    # the sides exchanged: as one mask they are as right as they were
    scores = [validated(Told(each), bank).figures["dice"].value for each in (planes, planes[::-1].copy())]
    assert scores[0] == scores[1] > 0.5


# training


def test_real_and_computed_films_are_learned_from_together(jsrt: Path, cohort: Path, tmp_path: Path) -> None:
    covid = made_datasets.covid_lungs(tmp_path / "covid")
    nih = made_datasets.nih(tmp_path / "nih")
    sources = {"covid-lungs": covid, "phantom": cohort, "jsrt": jsrt, "nih": nih}
    card = command.train("whole-lungs", sources, TINY, tmp_path / "out", device="cpu").content
    assert card["architecture"] == {"planes": 4, "width": 0.0625}
    assert card["title"] == "Whole lungs on frontal chest radiographs"
    assert card["learned_from"] == ["jsrt", "phantom"]
    expected = {"dice", "right", "left", "hd95_right_mm", "phantom_whole", "covid_lungs_right"}
    assert expected <= card["metrics"].keys()
    measured_by_set = json.loads((tmp_path / "out" / "datasets.json").read_text())["measured_on"]
    assert list(measured_by_set) == ["jsrt", "phantom", "covid-lungs"]
    weights = tmp_path / "out" / "whole-lungs.safetensors"
    again = command.evaluate("whole-lungs", weights, sources, (), tmp_path / "again")
    assert again.as_json() == card["metrics"]
    assert len(again.notes) == 3
    alone = command.evaluate("whole-lungs", weights, {"jsrt": jsrt}, (), tmp_path / "alone")
    assert not any("covid" in note or "computed films" in note for note in alone.notes)
    with pytest.raises(DatasetError, match="the test part of nih has no film; give more patients"):
        command.evaluate("whole-lungs", weights, {"nih": nih}, (), tmp_path / "none")


def test_a_film_that_nobody_outlined_a_lung_on_is_parted_in_the_middle(tmp_path: Path) -> None:
    write_png(tmp_path / "lungs.png", np.zeros((SIDE, SIDE), np.uint8))
    write_16_bit(tmp_path / "film.png", np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    record = Record("p", "p", tmp_path / "film.png", targets={"lungs": tmp_path / "lungs.png"})
    nothing = Told(np.zeros((2, SIDE, SIDE)))
    [row] = measured_on(nothing, SIDE, {"covid-lungs": (record,)}, 0).rows
    assert (row["dice"], row["right"], row["left"]) == (1.0, 1.0, 1.0)


def test_visible_fields_alone_are_a_network_of_two_planes_and_a_start_for_four(
    jsrt: Path, tmp_path: Path
) -> None:
    settings = (*TINY, "learn_from=jsrt", "epochs=1")
    first = command.train("lungs", {"jsrt": jsrt}, settings, tmp_path / "a", device="cpu")
    assert first.architecture["planes"] == 2
    command.evaluate("lungs", first.weights_path, {"jsrt": jsrt}, (), tmp_path / "again")
    task = command.prepare("whole-lungs", {"jsrt": jsrt}, (*settings, f"start_from={first.weights_path}"))
    task.build()
    head = task.modules["model"].head.weight  # type: ignore[union-attr]
    assert head.shape[0] == 4
    assert torch.equal(head[:2], head[2:])  # type: ignore[index]
    wider = command.prepare("lungs", {"jsrt": jsrt}, (*settings, f"start_from={first.path}", "width=0.125"))
    with pytest.raises(WeightsError, match="holds another lung network; give its width"):
        wider.build()


@pytest.mark.parametrize(("share", "expected"), [(0.25, 2), (0.5, 4), (1.0, 8)])
def test_computed_films_have_their_share_of_an_epoch(
    share: float, expected: int, jsrt: Path, cohort: Path
) -> None:
    task = command.prepare("lungs", {"jsrt": jsrt, "phantom": cohort}, (*TINY, f"computed_share={share}"))
    assert isinstance(task, LungsTask)
    dealt = task.training_set()
    known = task._banks["train"].stored["known"][:, -1]
    items = [int(dealt[row]["index"]) for row in range(len(dealt))]  # type: ignore[arg-type]
    assert sum(float(known[item]) for item in items) == expected


def test_outlines_of_both_lungs_are_learned_from_beside_those_of_each(jsrt: Path, tmp_path: Path) -> None:
    shenzhen = made_lung_sets.shenzhen(tmp_path / "shenzhen", more=12)
    sources = {"jsrt": jsrt, "shenzhen": shenzhen}
    settings = (*TINY, "learn_from=jsrt,shenzhen", "epochs=1")
    card = command.train("whole-lungs", sources, settings, tmp_path / "out", device="cpu").content
    assert card["learned_from"] == ["jsrt", "shenzhen"]
    assert "shenzhen_dice" in card["metrics"]
    assert not [key for key in card["metrics"] if key.startswith("shenzhen_") and key != "shenzhen_dice"]
    assert "of few children" in card["limits"]
    assert [source.split(":")[0] for source in card["sources"][1:]] == ["jsrt", "shenzhen"]
    assert any("Stirenko" in source for source in card["sources"])
    with pytest.raises(RecipeError, match="do not tell right from left; learn from a set that does, too"):
        command.prepare("lungs", {"shenzhen": shenzhen}, TINY).training_set()


@pytest.mark.parametrize("recipe", ["lungs", "whole-lungs"])
def test_no_weight_depends_on_how_it_is_measured(recipe: str, jsrt: Path) -> None:
    """So that a run may be resumed with another way of measuring, and old runs with a new one."""
    first, second = (command.prepare(recipe, {"jsrt": jsrt}, (*TINY, f"tta={way}")) for way in (False, True))
    assert first.trained_by() == second.trained_by()
    assert first.recipe != second.recipe


def test_what_is_learned_from_must_be_given_once(jsrt: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="learns from phantom, which is not given; add --data phantom=DIR"):
        command.train("lungs", {"jsrt": jsrt}, (*TINY, "learn_from=phantom"), tmp_path, device="cpu")
    covid = made_datasets.covid_lungs(tmp_path / "covid")
    with pytest.raises(RecipeError, match=r"recipe lungs learns from jsrt, scr, .* with one of them"):
        command.prepare("lungs", {"covid-lungs": covid}, TINY).training_set()
    with pytest.raises(RecipeError, match="recipe key 'learn_from' has the value 'covid-lungs'"):
        command.prepare("lungs", {"jsrt": jsrt}, (*TINY, "learn_from=covid-lungs"))
    with pytest.raises(RecipeError, match="recipe whole-lungs outlines whole lungs; leave out whole"):
        command.prepare("whole-lungs", {"jsrt": jsrt}, (*TINY, "whole=false"))
    with pytest.raises(RecipeError, match="jsrt and scr hold the same films"):
        command.prepare("lungs", {"jsrt": jsrt, "scr": made_lung_sets.scr(tmp_path / "scr")}, TINY)
