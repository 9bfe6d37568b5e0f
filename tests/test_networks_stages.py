"""The stages: each through the contract every stage keeps, and what only it promises."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.diagnosis.head_calibration import COMPUTED_ONLY
from classifiers.diagnosis.stage import DiagnosisStage
from classifiers.triage.stage import TriageStage
from gan.stage import BoneStage
from segmentation.lungs.stage import LungsStage
from segmentation.lungs.whole_stage import WholeLungsStage
from suite.errors import WeightsError
from suite.findings import CODES
from suite.stages import weights
from suite.stages.contract import Artifact
from suite.stages.weights import (
    ModelCard,
    in_place_of_shipped,
    load_into,
    load_state,
    read_card,
    shipped_card,
    shipped_cards,
    weights_in_use,
)
from tests import untrained_weights
from tests.made_films import artifact, chest
from tests.stage_contract import FILMS, StageContract, study_of


def built(stage: type, card: ModelCard) -> Any:
    """The stage with ``card`` in place of the shipped one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{stage.__module__}.shipped_card", lambda _package, _name: card)
        return stage("cpu")


class TestLungs(StageContract):
    name, needs = "lungs", {"frontal"}
    makes = frozenset({"lung_mask"})

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.lungs(tmp_path_factory.mktemp("lungs"))

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> LungsStage:
        return built(LungsStage, card)

    def test_a_mask_has_three_values(self, stage: LungsStage) -> None:
        for film in FILMS:
            mask = self.run(stage, film)[0]["lung_mask"].value
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) <= {0, 128, 255}


class TestShippedLungs(TestLungs):
    """The same with the weights that ship."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls) -> ModelCard:
        return shipped_card("segmentation", "lungs")

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> LungsStage:
        return LungsStage("cpu")

    def test_it_finds_the_dark_ovals_of_a_drawn_chest_on_their_sides(self, stage: LungsStage) -> None:
        film = chest(400, 360)
        mask = stage.run([study_of(film, self.needs)])[0]["lung_mask"].value
        assert mask[200, int(0.3 * 360)] == 128
        assert mask[150, int(0.72 * 360)] == 255
        assert mask[200, 180] == 0


class TestWholeLungs(StageContract):
    name, needs = "whole-lungs", {"frontal", "lung_mask"}
    makes = frozenset({"lung_whole", "lung_measurements"})

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls) -> ModelCard:
        return shipped_card("segmentation", "whole-lungs")

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> WholeLungsStage:
        return WholeLungsStage("cpu")

    def test_what_the_heart_hides_of_a_drawn_chest_is_found(self, stage: WholeLungsStage) -> None:
        film = chest(400, 360)
        visible = LungsStage("cpu").run([study_of(film, {"frontal"})])[0]["lung_mask"].value
        given = {**study_of(film, {"frontal"}), "lung_mask": artifact(visible)}
        (made,) = stage.run([given])
        whole, numbers = made["lung_whole"].value, made["lung_measurements"].value.values
        np.testing.assert_array_equal(whole[visible > 0], visible[visible > 0])
        assert 0.03 < numbers["left_lung_hidden_share"] < 0.6


class TestBone(StageContract):
    name, needs, uses = "bone", {"frontal", "lung_mask"}, {"gate"}
    makes = frozenset({"bone_subtracted", "bone_suppressed", "bone_residual"})

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.bone(tmp_path_factory.mktemp("bone"))

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> BoneStage:
        return built(BoneStage, card)

    @pytest.mark.parametrize("film", ["tall", "tiny", "mostly border"])
    def test_bone_and_soft_tissue_add_up_to_the_film(self, stage: BoneStage, film: str) -> None:
        made = self.run(stage, film)[0]
        bone, soft = made["bone_subtracted"].value, made["bone_suppressed"].value
        assert bone.dtype == soft.dtype == np.float32
        assert min(bone.min(), soft.min()) >= 0.0
        assert max(bone.max(), soft.max()) <= 1.0
        np.testing.assert_allclose(bone + soft, FILMS[film].pixels, atol=1e-6)

    def test_nothing_is_taken_away_far_from_the_lungs(self, stage: BoneStage) -> None:
        study = self.inputs(FILMS["tall"])
        bone = stage.run([study])[0]["bone_subtracted"].value
        outside = study["lung_mask"].value == 0
        assert not bone[:5].any()
        assert not bone[-5:].any()
        assert bone[~outside].any()

    def test_a_film_without_lungs_keeps_its_bones_and_that_is_said(self, stage: BoneStage) -> None:
        study = self.inputs(FILMS["tall"])
        study["lung_mask"] = Artifact(np.zeros(FILMS["tall"].shape, np.uint8), study["lung_mask"].grid)
        made = stage.run([study])[0]
        assert not made["bone_subtracted"].value.any()
        assert "No lungs were found" in made["bone_subtracted"].warnings[0]
        assert self.run(stage, "tall")[0]["bone_subtracted"].warnings == ()


class TestTriage(StageContract):
    name, needs, makes = "triage", {"frontal"}, {"triage"}

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.triage(tmp_path_factory.mktemp("triage"))

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> TriageStage:
        return built(TriageStage, card)

    def test_the_probability_is_the_calibrated_score(self, stage: TriageStage) -> None:
        for film in FILMS:
            result = self.run(stage, film)[0]["triage"].value
            expected = 1 / (1 + np.exp(-(1.2 * result.score - 0.1)))
            assert result.probability == pytest.approx(expected)
            assert result.interval[0] < result.probability < result.interval[1]
            assert result.operating_point == 0.4
            assert result.state in {"normal", "abnormal", "uncertain"}


class DiagnosisContract(StageContract):
    name, needs, uses = "diagnosis", {"frontal", "lung_mask", "bone_subtracted"}, {"lateral"}
    makes = frozenset({"findings"})

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> DiagnosisStage:
        return built(DiagnosisStage, card)

    def findings(self, stage: DiagnosisStage, film: str = "tall", *, lateral: bool) -> Any:
        return self.run(stage, film, only=self.needs | ({"lateral"} if lateral else set()))[0]["findings"]

    def test_thirteen_findings_in_their_order(self, stage: DiagnosisStage) -> None:
        assert tuple(result.code for result in self.findings(stage, lateral=True).value) == CODES

    def test_what_was_not_taught_says_nothing(self, stage: DiagnosisStage) -> None:
        results = {result.code: result for result in self.findings(stage, lateral=False).value}
        for code in untrained_weights.NOT_TRAINED:
            result = results[code]
            assert result.state == "not_trained"
            assert (result.score, result.probability, result.interval, result.operating_point) == (None,) * 4
            assert not result.heatmaps
        for code in untrained_weights.NOT_CALIBRATED:
            result = results[code]
            assert result.state == "uncertain"
            assert isinstance(result.score, float)
            assert (result.probability, result.interval, result.operating_point) == (None,) * 3
            assert result.heatmaps

    @pytest.mark.parametrize("film", ["tall", "wide", "tiny"])
    def test_heatmaps_are_shares_that_lead_back_to_the_film(self, stage: DiagnosisStage, film: str) -> None:
        for result in self.findings(stage, film, lateral=False).value:
            for view, heatmap in result.heatmaps.items():
                assert view == heatmap.view == "frontal"
                assert 0.0 <= heatmap.values.min() <= heatmap.values.max() <= 1.0
                assert heatmap.grid.shape == heatmap.values.shape == (4, 4)
                assert heatmap.grid.invert(heatmap.values).shape == FILMS[film].shape


class TestDiagnosis(DiagnosisContract):
    """Weights that have learned frontal films only."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.diagnosis(tmp_path_factory.mktemp("diagnosis"))

    def test_a_lateral_film_is_left_out_and_that_is_said(self, stage: DiagnosisStage) -> None:
        with_lateral, without = self.findings(stage, lateral=True), self.findings(stage, lateral=False)
        assert [result.score for result in with_lateral.value] == [result.score for result in without.value]
        assert all(set(result.heatmaps) <= {"frontal"} for result in with_lateral.value)
        assert "did not enter the findings" in with_lateral.warnings[0]
        assert without.warnings == ()


def test_a_head_that_learned_from_computed_films_says_so_in_place_of_a_probability(tmp_path: Path) -> None:
    card = untrained_weights.diagnosis(tmp_path)
    computed = {"trained": True, "calibration": None, "no_probability": COMPUTED_ONLY}
    stage = built(DiagnosisStage, changed(card, heads={**card.content["heads"], "pneumonia": computed}))
    inputs = study_of(FILMS["tall"], {"frontal", "lung_mask", "bone_subtracted"})
    results = {result.code: result for result in stage.run([inputs])[0]["findings"].value}
    pneumonia = results["pneumonia"]
    assert pneumonia.no_probability == "learned from computed films only"
    assert (pneumonia.state, pneumonia.probability, pneumonia.interval) == ("uncertain", None, None)
    assert isinstance(pneumonia.score, float)
    assert pneumonia.heatmaps["frontal"].values.shape == (4, 4)
    assert results["edema"].no_probability == "too few held-out films to calibrate it"  # cards of before
    assert results["cardiomegaly"].no_probability is None
    assert results["fracture"].no_probability is None  # not trained: nothing is shown that needs a reason


LUNGS, BONE, OTHER = "1" * 64, "2" * 64, "3" * 64


def fitted_with(folder: Path, **weights: str | None) -> DiagnosisStage:
    """The diagnosis stage with a card that says with which lungs and bones it was calibrated."""
    card = untrained_weights.diagnosis(folder)
    return built(DiagnosisStage, changed(card, input_weights=weights))


def read_once(stage: DiagnosisStage) -> tuple[dict[str, Any], tuple[str, ...]]:
    inputs = study_of(FILMS["tall"], {"frontal", "lung_mask", "bone_subtracted"})
    made = stage.run([inputs])[0]["findings"]
    return {result.code: result for result in made.value}, made.warnings


def test_a_calibration_holds_for_the_lungs_and_bones_it_was_fitted_with(tmp_path: Path) -> None:
    stage = fitted_with(tmp_path, lungs=LUNGS, bone=BONE)
    assert stage.made_with({"lungs": LUNGS, "bone": BONE}) is True
    results, warnings = read_once(stage)
    assert results["cardiomegaly"].probability is not None
    assert warnings == ()


def test_with_other_lungs_the_calibration_is_withdrawn_and_that_is_said(tmp_path: Path) -> None:
    stage = fitted_with(tmp_path, lungs=LUNGS, bone=BONE)
    assert stage.made_with({"lungs": OTHER, "bone": BONE}) is False
    results, (warning,) = read_once(stage)
    cardiomegaly = results["cardiomegaly"]
    assert (cardiomegaly.state, cardiomegaly.probability) == ("uncertain", None)
    assert cardiomegaly.no_probability == "calibrated with other weights of lungs"
    assert isinstance(cardiomegaly.score, float)
    assert cardiomegaly.heatmaps
    assert results["edema"].no_probability == "too few held-out films to calibrate it"
    assert results["fracture"].state == "not_trained"
    assert "lungs 111111111111 (333333333333 here)" in warning
    assert "bone" not in warning
    assert "calibrate again with radsuite calibrate" in warning


def test_what_a_card_does_not_say_is_not_held_against_it(tmp_path: Path) -> None:
    stage = fitted_with(tmp_path)
    assert stage.made_with({"lungs": LUNGS, "bone": BONE}) is True
    assert read_once(stage)[0]["cardiomegaly"].probability is not None


def test_a_sites_calibration_holds_for_the_sites_lungs_and_kept_heads_for_the_cards(tmp_path: Path) -> None:
    stage = fitted_with(tmp_path, lungs=LUNGS, bone=BONE)
    heads = {code: {"calibration": untrained_weights.CALIBRATION.as_json()} for code in CODES}
    account = {"input_weights": {"lungs": OTHER, "bone": BONE}, "kept": {"pneumonia": "too few films"}}
    stage.recalibrate({"heads": heads, "recalibration": account})
    assert stage.made_with({"lungs": OTHER, "bone": BONE}) is True  # the site's is in force for the others
    results, (warning,) = read_once(stage)
    assert results["cardiomegaly"].probability is not None
    assert results["pneumonia"].no_probability == "calibrated with other weights of lungs"
    assert warning.startswith("No probability for Pneumonia: calibrated with the weights lungs 11111111")
    assert "Cardiomegaly" in warning.split("the probabilities of ")[1].split(" hold")[0]
    assert "Pneumonia" not in warning.split("the probabilities of ")[1]


def test_heads_withdrawn_for_different_weights_are_each_told(tmp_path: Path) -> None:
    """The site's lungs and the card's may both have gone."""
    stage = fitted_with(tmp_path, lungs=LUNGS, bone=BONE)
    heads = {code: {"calibration": untrained_weights.CALIBRATION.as_json()} for code in CODES}
    account = {"input_weights": {"lungs": OTHER, "bone": BONE}, "kept": {"pneumonia": "too few films"}}
    stage.recalibrate({"heads": heads, "recalibration": account})
    assert stage.made_with({"lungs": "4" * 64, "bone": BONE}) is False
    _, (warning,) = read_once(stage)
    assert "The findings have no probabilities" in warning
    assert "lungs 111111111111 (444444444444 here)" in warning
    assert "lungs 333333333333 (444444444444 here)" in warning


def test_the_shipped_calibration_holds_for_the_shipped_lungs_and_bones() -> None:
    card = shipped_card("classifiers", "diagnosis").content
    assert {"lung-segmented", "bone-subtracted"} <= set(card["planes"])  # so that it reads both
    assert weights_in_use("lungs") is not None
    assert card["input_weights"] == {name: weights_in_use(name) for name in ("lungs", "bone")}


class TestDiagnosisWithLateral(DiagnosisContract):
    """Weights that have learned laterals too."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.diagnosis(tmp_path_factory.mktemp("diagnosis"), lateral=True)

    def test_a_lateral_film_enters_the_scores_and_has_its_own_maps(self, stage: DiagnosisStage) -> None:
        with_lateral, without = self.findings(stage, lateral=True), self.findings(stage, lateral=False)
        assert with_lateral.value[0].score != without.value[0].score
        assert set(with_lateral.value[0].heatmaps) == {"frontal", "lateral"}
        lateral = with_lateral.value[0].heatmaps["lateral"]
        assert lateral.grid.source_shape == (90, 70)
        for with_it, alone in zip(with_lateral.value, without.value, strict=True):
            assert alone.lateral_effect is None
            if with_it.state == "not_trained":
                assert with_it.lateral_effect is None
            else:
                assert with_it.lateral_effect == pytest.approx(with_it.score - alone.score, abs=1e-5)
                assert abs(with_it.lateral_effect) > 1e-4
        assert with_lateral.warnings == without.warnings == ()


# weights and cards


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return untrained_weights.lungs(tmp_path)


def changed(card: ModelCard, **content: Any) -> ModelCard:
    """The card with other content; ``None`` takes an entry away."""
    kept = {key: value for key, value in {**card.content, **content}.items() if value is not None}
    card.path.write_text(json.dumps(kept))
    return read_card(card.path)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_altered_byte_is_noticed(card: ModelCard, place: int) -> None:
    content = bytearray(card.weights_path.read_bytes())
    content[place] ^= 1
    card.weights_path.write_bytes(content)
    with pytest.raises(WeightsError, match="does not have the sha256 its model card states"):
        built(LungsStage, card)


def test_a_file_altered_after_it_was_checked_is_noticed(card: ModelCard) -> None:
    load_state(card)
    content = bytearray(card.weights_path.read_bytes())
    content[-1] ^= 1
    card.weights_path.write_bytes(content)
    os.utime(card.weights_path, ns=(1, 1))
    with pytest.raises(WeightsError, match="sha256"):
        load_state(card)


def test_missing_weights_are_named(card: ModelCard) -> None:
    card.weights_path.unlink()
    with pytest.raises(WeightsError, match=r"lungs\.safetensors: the weights of lungs are missing"):
        built(LungsStage, card)


def test_a_card_that_describes_another_architecture_is_refused(card: ModelCard) -> None:
    for architecture in ({"planes": 2, "width": 0.125}, {"planes": 3, "width": 0.0625}, {"depth": 7}):
        other = changed(card, architecture=architecture)
        with pytest.raises(
            WeightsError, match="holds another architecture than this version builds"
        ) as caught:
            built(LungsStage, other)
        assert "\n" not in str(caught.value)


def test_tensors_missing_or_too_many_are_counted(card: ModelCard) -> None:
    from torch import nn

    with pytest.raises(WeightsError, match=r"\(2 tensors missing, \d+ too many\)"):
        load_into(nn.Linear(1, 1), card)


@pytest.mark.parametrize("key", weights.REQUIRED)
def test_an_incomplete_card_is_refused(card: ModelCard, key: str) -> None:
    with pytest.raises(WeightsError, match=f"the model card lacks {key}; install the package again"):
        changed(card, **{key: None})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "radsuite.model_card/0"}', "\x00"])
def test_what_is_no_card_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(WeightsError, match=r"x\.json: is no"):
        read_card(tmp_path / "x.json")


def test_an_unknown_name_says_how_to_train_it() -> None:
    with pytest.raises(
        WeightsError, match="segmentation ships no weights 'heart'; train them with `radsuite train"
    ):
        shipped_card("segmentation", "heart")


def test_a_release_is_half_precision_without_training_counters(card: ModelCard) -> None:
    from safetensors.torch import load_file

    stored = load_file(card.weights_path)
    assert {str(value.dtype) for value in stored.values()} == {"torch.float16"}
    assert not [name for name in stored if "num_batches" in name]
    loaded = load_state(card)
    assert {str(value.dtype) for value in loaded.values()} == {"torch.float32"}


def test_every_shipped_card_is_complete_and_its_weights_load() -> None:
    for card in shipped_cards():
        state, content = load_state(card), card.content
        assert all(bool(value.isfinite().all()) for value in state.values())
        for key in ("title", "intended_use", "limits", "licence", "sources", "split", "train_command"):
            assert content[key], (card.name, key)
        assert content["metrics"]
        assert not any(word in json.dumps(content) for word in ("/work", "/tmp", "/home", "/root"))
        trained = sum(value.numel() for name, value in state.items() if "running" not in name)
        # spectral normalisation keeps its two vectors beside each weight
        assert content["parameters"] <= trained < 1.02 * content["parameters"]


def test_other_weights_stand_in_for_shipped_ones_while_a_stage_is_built(tmp_path: Path) -> None:
    shipped, other = shipped_card("gan", "bone").sha256, untrained_weights.bone(tmp_path)
    with in_place_of_shipped("bone", other.path):
        assert BoneStage("cpu").weights_sha256 == other.sha256
        assert shipped_card("classifiers", "triage").name == "triage"
    assert shipped_card("gan", "bone").sha256 == shipped
