"""The organs stage, the cardiothoracic ratio, and the training that both come from, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Adadelta

from segmentation.organs.augmentation import AUGMENTATIONS, Augmentation
from segmentation.organs.evaluation import agreement, film_row, overlap_figures
from segmentation.organs.network import OrganNetwork
from segmentation.organs.ratio import HeartSize, cautions, heart_size, spacing_cautions
from segmentation.organs.stage import OrgansStage
from segmentation.organs.training import OrgansTask
from suite.analysis import Analyzer
from suite.datasets.manifest import Record
from suite.datasets.outlines import ORGANS
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, RecipeError, WeightsError
from suite.phantom.study import render_study
from suite.report.building import build
from suite.report.schema import validate
from suite.report.unfinished import Draft
from suite.stages.contract import Artifact
from suite.stages.weights import ModelCard, load_state, read_card, shipped_card
from suite.study import Projection, Radiograph, Study
from suite.training import command
from suite.training.batch_augment import warp
from tests import fake_stages, made_datasets, made_lung_sets
from tests.made_films import chest
from tests.stage_contract import FILMS, StageContract, study_of
from tests.untrained_weights import release
from web.research.figure_words import known_words

SMALL = (
    "size=32",
    "width=0.0625",
    "epochs=1",
    "films_per_epoch=8",
    "batch_size=2",
    "validate_every=1",
    "precision=32-true",
)


def untrained(folder: Path, outputs: str = "multilabel") -> ModelCard:
    """InvertedNet at a sixteenth of its widths; no film gives it an empty plane."""
    torch.manual_seed(0)
    planes = 5 if outputs == "multilabel" else 6
    network = OrganNetwork("report", planes, 0.0625)
    if network.head.bias is not None:
        nn.init.constant_(network.head.bias, 0.1)
    architecture = {"network": "report", "outputs": planes, "width": 0.0625}
    return release(folder, "organs", network, architecture=architecture, outputs=outputs)


def built(card: ModelCard) -> OrgansStage:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segmentation.organs.stage.shipped_card", lambda _package, _name: card)
        return OrgansStage("cpu")


class TestOrgans(StageContract):
    name, needs = "organs", {"frontal"}
    makes = frozenset({"organ_mask", "heart_mask", "organ_measurements"})

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained(tmp_path_factory.mktemp("organs"))

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> OrgansStage:
        return built(card)

    def test_the_bits_are_five_and_the_heart_is_one_of_them(self, stage: OrgansStage) -> None:
        for film in FILMS:
            made = self.run(stage, film)[0]
            organs, heart = made["organ_mask"].value, made["heart_mask"].value
            assert organs.dtype == heart.dtype == np.uint8
            assert organs.max() < 32
            assert not ((organs & 3) == 3).any()
            assert not ((organs & 24) == 24).any()
            np.testing.assert_array_equal(heart, np.where(organs & 4, 255, 0))

    def test_the_measurements_are_those_of_the_mask(self, stage: OrgansStage) -> None:
        made = self.run(stage, "tall")[0]
        measured, organs = made["organ_measurements"].value.values, made["organ_mask"].value
        heart = np.flatnonzero((organs & 4).any(axis=0))
        assert measured["heart_area_px"] == int(((organs & 4) > 0).sum())
        assert measured["heart_width_px"] == (heart[-1] - heart[0] + 1 if heart.size else 0)
        assert not any("mm" in name or "cm" in name for name in measured)

    def test_millimetres_follow_the_spacing(self, stage: OrgansStage) -> None:
        film = chest(120, 100, spacing=(0.3, 0.2))
        study = study_of(film, {"frontal"})
        measured = stage.run([study])[0]["organ_measurements"].value.values
        assert measured["heart_width_mm_at_detector"] == round(measured["heart_width_px"] * 0.2, 1)
        assert measured["heart_area_cm2_at_detector"] == round(measured["heart_area_px"] * 0.06 / 100, 2)

    @pytest.mark.parametrize("column_mm", [0.2, None])
    def test_a_film_as_wide_as_a_hand_is_told_that_its_spacing_is_wrong(
        self, stage: OrgansStage, column_mm: float | None
    ) -> None:
        film = chest(120, 100, spacing=None if column_mm is None else (0.3, column_mm))
        made = stage.run([study_of(film, {"frontal"})])[0]["organ_measurements"]
        told = column_mm is not None and made.value.values["thorax_width_px"] > 0
        assert any("do not rely on millimetres" in line for line in made.warnings) == told


class TestExclusiveOrgans(TestOrgans):
    """The same with one organ a pixel."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained(tmp_path_factory.mktemp("organs"), "exclusive")


class TestShippedOrgans(TestOrgans):
    """The same with the weights that ship, where they do."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls) -> ModelCard:
        try:
            return shipped_card("segmentation", "organs")
        except WeightsError as error:
            pytest.skip(str(error))

    def test_a_computed_chest_has_its_lungs_on_their_sides(self, stage: OrgansStage) -> None:
        computed = render_study(3, 256, lateral=False)
        film = Radiograph(computed.frontal, Projection.PA, "computed")
        organs = stage.run([study_of(film, {"frontal"})])[0]["organ_mask"].value
        for bit, name in ((1, "lung_right"), (2, "lung_left")):
            found, truth = (organs & bit) > 0, computed.masks[name] > 0
            assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85


def test_without_weights_the_stage_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_package: str, _name: str) -> ModelCard:
        raise WeightsError("segmentation ships no weights 'organs'; train them with `radsuite train organs`.")

    monkeypatch.setattr("segmentation.organs.stage.shipped_card", none)
    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.lungs(), OrgansStage])
    analyzer = Analyzer(device="cpu")
    assert analyzer.stage_names == ("gate", "lungs")
    (told,) = analyzer.unavailable
    assert told.startswith("organs: segmentation ships no weights 'organs'; train them with")


def test_the_ratio_enters_the_report_with_its_mask(tmp_path: Path) -> None:
    film = chest(120, 100)
    draft = Draft(Study("s", film))
    draft.artifacts |= built(untrained(tmp_path)).run([study_of(film, {"frontal"})])[0]
    report, pictures = build(draft)
    validate(report)
    assert "cardiothoracic_ratio" in report["measurements"]
    assert report["images"]["organ_mask"] == "organ_mask.png"
    assert pictures["heart_mask"].shape == (120, 100)


# the ratio


def drawn(**boxes: tuple[int, int]) -> np.ndarray:
    """Planes with each organ a band of columns."""
    planes = np.zeros((5, 10, 100), np.uint8)
    for organ, (first, last) in boxes.items():
        planes[ORGANS.index(organ), :, first:last] = 1
    return planes


STRAIGHT = {
    "right_lung": (10, 45),
    "left_lung": (55, 90),
    "heart": (35, 75),
    "right_clavicle": (20, 44),
    "left_clavicle": (56, 80),
}


def test_the_ratio_is_the_hearts_width_over_the_thoraxs() -> None:
    size = heart_size(drawn(**STRAIGHT))
    assert (size.heart_width, size.thorax_width, size.ratio, size.rotation) == (40, 80, 0.5, 0.0)
    assert cautions(size, Projection.PA) == ()


@pytest.mark.parametrize("missing", ["heart", "right_lung", "left_lung"])
def test_no_ratio_without_heart_or_a_lung(missing: str) -> None:
    size = heart_size(drawn(**{organ: box for organ, box in STRAIGHT.items() if organ != missing}))
    assert size.ratio is None
    (line,) = cautions(size, Projection.PA)
    assert line.endswith("so there is no cardiothoracic ratio.")
    assert ("heart was not found" in line) == (missing == "heart")


def test_an_empty_film_measures_nothing() -> None:
    assert heart_size(np.zeros((5, 8, 8), np.uint8)) == HeartSize(0, 0, None, None, None)


def test_clavicles_to_one_side_mean_a_turned_patient() -> None:
    turned = heart_size(drawn(**{**STRAIGHT, "right_clavicle": (20, 52), "left_clavicle": (64, 80)}))
    assert turned.rotation == pytest.approx(8 / 80)
    assert "seems turned" in cautions(turned, Projection.PA)[0]
    without = heart_size(drawn(**{organ: box for organ, box in STRAIGHT.items() if "right_c" not in organ}))
    assert without.rotation is None
    assert cautions(without, Projection.PA) == ()


def test_a_lung_cut_short_is_cautioned_about() -> None:
    short = drawn(**STRAIGHT)
    short[ORGANS.index("right_lung"), 5:] = 0
    size = heart_size(short)
    assert size.balance == pytest.approx(0.5)
    assert "much smaller" in cautions(size, Projection.PA)[0]
    assert heart_size(drawn(**STRAIGHT)).balance == 1.0


def test_a_ratio_that_is_not_of_a_pa_film_is_cautioned_about() -> None:
    size = heart_size(drawn(**STRAIGHT))
    assert "AP film" in cautions(size, Projection.AP)[0]
    for unknown in (Projection.FRONTAL, Projection.UNKNOWN):
        assert "does not say that it is one" in cautions(size, unknown)[0]


@pytest.mark.parametrize(("column_mm", "said"), [(None, 0), (1.0, 1), (1.9, 0), (3.5, 0), (5.0, 0), (5.7, 1)])
def test_a_spacing_that_makes_the_thorax_no_adults_is_cautioned_about(
    column_mm: float | None, said: int
) -> None:
    """The thorax is 80 columns wide; the rows' spacing says nothing of its width."""
    size = heart_size(drawn(**STRAIGHT))
    lines = spacing_cautions(size, None if column_mm is None else (0.1, column_mm))
    assert len(lines) == said
    assert all("do not rely on millimetres" in line for line in lines)
    assert spacing_cautions(HeartSize(0, 0, None, None, None), (0.1, 0.1)) == ()


# how it is measured


def test_a_row_counts_both_lungs_as_one_mask_and_both_clavicles() -> None:
    truth = drawn(**STRAIGHT)
    predicted = drawn(**{**STRAIGHT, "right_lung": (10, 28), "left_clavicle": (68, 92), "heart": (35, 65)})
    row = film_row(Record("f", "p", Path("f.png")), predicted, truth)
    assert row["jaccard_lungs"] == pytest.approx((18 + 35) / 70)
    assert row["jaccard_heart"] == pytest.approx(30 / 40)
    assert row["jaccard_clavicles"] == pytest.approx((24 + 12) / (48 + 12))
    assert row["dice_right_lung"] == pytest.approx(2 * 18 / (18 + 35))
    assert row["dice_left_clavicle"] == pytest.approx(0.5)
    assert (row["ratio"], row["true_ratio"]) == pytest.approx((30 / 80, 0.5))


def test_agreement_is_bland_and_altmans() -> None:
    errors = np.array([0.02, -0.01, 0.03, 0.0])
    rows = [{"patient": str(k), "ratio": 0.5 + e, "true_ratio": 0.5} for k, e in enumerate(errors)]
    rows.append({"patient": "lost", "ratio": float("nan"), "true_ratio": 0.5})
    figures = agreement(rows, "", np.random.default_rng(0))
    assert figures["ratio_error"].value == pytest.approx(0.015)
    assert figures["ratio_bias"].value == pytest.approx(0.01)
    deviation = float(np.sqrt(((errors - 0.01) ** 2).sum() / 3))
    assert figures["ratio_limits_low"].value == pytest.approx(0.01 - 1.96 * deviation)
    assert figures["ratio_limits_high"].value == pytest.approx(0.01 + 1.96 * deviation)
    assert figures["ratio_bias"].n == 4


def test_overlap_figures_are_means_over_films() -> None:
    keys = [f"{score}_{group}" for score in ("jaccard", "dice") for group in ("lungs", "heart", "clavicles")]
    rows = [{"patient": str(k), "jaccard": k / 4, **dict.fromkeys(keys, k / 2)} for k in range(3)]
    figures = overlap_figures(rows, "x_", np.random.default_rng(0))
    assert figures["x_jaccard"].value == pytest.approx(0.25)
    assert figures["x_dice_heart"].value == pytest.approx(0.5)


# training


@pytest.fixture(scope="module")
def scr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = tuple(f"JPCLN{number:03}" for number in range(1, 13))
    return made_lung_sets.scr(tmp_path_factory.mktemp("scr"), names)


@pytest.mark.parametrize("extra", [("outputs=exclusive", "network=report", "optimizer=adadelta"), ()])
def test_training_leaves_a_card_that_the_stage_can_read(
    scr: Path, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    settings = (*SMALL, "learn_from=scr", *extra)
    card = command.train("organs", {"scr": scr}, settings, tmp_path, device="cpu")
    test = open_dataset("scr", scr).split(0)["test"]
    assert card.content["metrics"]["jaccard_heart"]["n"] == len(test) > 0
    assert card.content["outputs"] == ("exclusive" if extra else "multilabel")
    assert (tmp_path / "films.csv").read_text().startswith("film,patient,dice_lungs,jaccard_lungs,")
    assert (tmp_path / "worst.png").stat().st_size > 0
    assert set(json.loads((tmp_path / "datasets.json").read_text())["measured_on"]) == {"scr"}
    made = built(read_card(tmp_path / "organs.json")).run([study_of(chest(64, 64), {"frontal"})])[0]
    assert isinstance(made["organ_mask"], Artifact)


def test_training_goes_on_from_weights_at_another_size(scr: Path, tmp_path: Path) -> None:
    settings = (*SMALL, "learn_from=scr", "ema_decay=0")
    first = command.train("organs", {"scr": scr}, settings, tmp_path / "first", device="cpu")
    start = f"start_from={first.weights_path}"
    still = ("size=64", "learning_rate=1e-30", "weight_decay=0", start)
    second = command.train("organs", {"scr": scr}, (*settings, *still), tmp_path / "second", device="cpu")
    begun, gone_on = (load_state(card) for card in (first, second))
    learned = [name for name in begun if "running" not in name]
    assert all(torch.equal(begun[name], gone_on[name]) for name in learned)
    assert second.content["recipe"]["start_from"] == "organs.safetensors"
    command.evaluate("organs", second.weights_path, {"scr": scr}, (), tmp_path / "again")
    with pytest.raises(WeightsError, match="holds another architecture"):
        task(scr, "network=report", start)


def task(scr: Path, *settings: str) -> OrgansTask:
    made: Any = command.prepare("organs", {"scr": scr}, [*SMALL, "learn_from=scr", *settings])
    made.build()
    return made  # type: ignore[no-any-return]


def test_what_test_time_augmentation_changes_is_measured_film_by_film(scr: Path) -> None:
    once, often = (task(scr, f"tta={way}") for way in (False, True))
    assert once.trained_by() == often.trained_by()  # a resumed run may be measured otherwise
    torch.manual_seed(1)
    model = once.modules["model"].eval()
    plain, averaged = (each.evaluate(model, "test") for each in (once, often))
    for key in ("jaccard", "jaccard_lungs", "dice_heart"):
        change = averaged.figures[f"tta_change_{key}"].value
        assert change == pytest.approx(averaged.figures[key].value - plain.figures[key].value)
    assert {"tta_change_ratio_error", "tta_change_dice_left_clavicle"} <= averaged.figures.keys()
    assert [known_words(key) for key in averaged.figures if "change" in key and not known_words(key)] == []
    assert not any("tta" in key for key in plain.figures)
    assert "read in 9 ways" in averaged.notes[-1]


def test_adadelta_is_keras_own(scr: Path) -> None:
    adadelta = task(scr, "optimizer=adadelta")
    optimizer = adadelta.optimizers()["model"]
    assert isinstance(optimizer, Adadelta)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["rho"], group["eps"]) == (1.0, 0.95, 1e-7)
    assert [adadelta.learning_rate_factor("model", step, 9) for step in (0, 4, 8)] == [1.0, 1.0, 1.0]
    cosine = task(scr)
    assert cosine.learning_rate_factor("model", 8, 9) < 0.1
    assert cosine.optimizers()["model"].param_groups[0]["lr"] == 3e-3
    assert task(scr, "learning_rate=0.5").optimizers()["model"].param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("changes", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_films_are_never_mirrored(changes: Augmentation) -> None:
    torch.manual_seed(0)
    lungs = torch.zeros(16, 2, 64, 64)
    lungs[:, 0, 12:50, 8:26] = lungs[:, 1, 12:50, 38:56] = 1.0
    moved = warp(lungs, changes.geometry.grid(lungs), nearest=True)
    columns = torch.arange(64.0)
    right, left = ((moved[:, side].sum(1) * columns).sum(1) / moved[:, side].sum((1, 2)) for side in (0, 1))
    assert bool((right < left).all())


def test_what_cannot_be_learned_from_is_refused(scr: Path, tmp_path: Path) -> None:
    jsrt = made_datasets.jsrt(tmp_path / "jsrt")
    covid = made_datasets.covid_lungs(tmp_path / "covid")
    with pytest.raises(RecipeError, match="jsrt and scr hold the same films"):
        command.prepare("organs", {"scr": scr, "jsrt": jsrt}, SMALL)
    with pytest.raises(DatasetError, match="cannot learn from 'covid-lungs'"):
        command.prepare("organs", {"covid-lungs": covid}, SMALL)
    with pytest.raises(RecipeError, match="learns from phantom, which is not given; add --data phantom=DIR"):
        command.train("organs", {"jsrt": jsrt}, (*SMALL, "learn_from=phantom"), tmp_path, device="cpu")
    with pytest.raises(RecipeError, match=r"learns from jsrt, .* --data jsrt=DIR or --set learn_from=scr"):
        command.train("organs", {"scr": scr}, SMALL, tmp_path, device="cpu")
    with pytest.raises(RecipeError, match="recipe key 'network' has the value 'vnet'"):
        command.prepare("organs", {"jsrt": jsrt}, ("network=vnet",))
