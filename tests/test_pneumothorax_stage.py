"""The stage: the contract every stage keeps, and no mask where the gate says none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from segmentation.pneumothorax import stage as module
from segmentation.pneumothorax.cascade import outlined
from segmentation.pneumothorax.network import PneumothoraxGate, PneumothoraxUNet
from segmentation.pneumothorax.sides import measured, with_sides
from segmentation.pneumothorax.stage import PneumothoraxStage, warnings_of
from suite.errors import NotShippedError, WeightsError
from suite.stages.contract import Artifact
from suite.stages.weights import ModelCard, shipped_card
from tests.stage_contract import FILMS, StageContract
from tests.untrained_weights import release

SMALL_GATE = {"backbone": "resnet18", "width": 0.125}
SMALL_MASK = {"encoder": "resnet18", "width": 0.125, "decoder": [8] * 5}
POOR = {"nih_auc": {"value": 0.55, "interval": [0.45, 0.65], "n": 500}}


def cards(folder: Path, *, told: float, everywhere: bool = True, **gate: Any) -> dict[str, ModelCard]:
    """Untrained networks: the gate leans to ``told``, the mask network sees gas everywhere or nowhere."""
    torch.manual_seed(4)
    first, second = PneumothoraxGate(**SMALL_GATE), PneumothoraxUNet(**SMALL_MASK)
    first.backbone.fc.bias.data.fill_(told)
    second.unet.segmentation_head[0].bias.data.fill_(3.0 if everywhere else -30.0)
    content = {"operating_point": {"threshold": 0.5}, "metrics": POOR, "data": {"phantom": 9}, **gate}
    return {
        "pneumothorax-gate": release(
            folder, "pneumothorax-gate", first, architecture=SMALL_GATE, input={"size": 64}, **content
        ),
        "pneumothorax-mask": release(
            folder,
            "pneumothorax-mask",
            second,
            architecture=SMALL_MASK,
            input={"size": 96},
            operating_point={"tta_threshold": 0.6},
        ),
    }


def built(made: Mapping[str, ModelCard]) -> PneumothoraxStage:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "shipped_card", lambda _package, name: made[name])
        return PneumothoraxStage("cpu")


class PneumothoraxContract(StageContract):
    name, needs, uses = "pneumothorax", {"frontal"}, {"lung_mask"}
    makes = frozenset({"pneumothorax_mask", "pneumothorax"})
    told: ClassVar[float]

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelCard]:
        return cards(tmp_path_factory.mktemp("pneumothorax"), told=cls.told)

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: dict[str, ModelCard]) -> PneumothoraxStage:
        return built(card)

    def test_its_sha256_is_that_of_the_weights_file_and_the_card(self, stage: Any, card: Any) -> None:
        """Of two files: either one changes it."""
        digests = [
            hashlib.sha256(card[name].weights_path.read_bytes()).hexdigest()
            for name in ("pneumothorax-gate", "pneumothorax-mask")
        ]
        assert stage.weights_sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()

    def test_the_numbers_are_those_of_the_mask(self, stage: PneumothoraxStage) -> None:
        made = self.run(stage, "tall")[0]
        mask, numbers = made["pneumothorax_mask"].value, made["pneumothorax"].value.values
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 128, 255}
        assert numbers["pneumothorax_area_px"] == np.count_nonzero(mask)
        assert numbers["pneumothorax_right_area_px"] == np.count_nonzero(mask == 128)
        assert 0.0 <= numbers["pneumothorax_gate_score"] <= 1.0


class TestShippedPneumothorax(PneumothoraxContract):
    """The contract with the weights that ship, where they do."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls) -> dict[str, ModelCard]:
        names = ("pneumothorax-gate", "pneumothorax-mask")
        try:
            return {name: shipped_card("segmentation", name) for name in names}
        except NotShippedError as error:
            pytest.skip(str(error))


class TestGateSaysYes(PneumothoraxContract):
    told = 6.0

    def test_every_film_has_its_outline(self, stage: PneumothoraxStage) -> None:
        for film in FILMS:
            made = self.run(stage, film)[0]["pneumothorax_mask"]
            assert made.value.any()
            assert "learned from computed gas" in made.warnings[0]


class TestGateSaysNo(PneumothoraxContract):
    told = -6.0

    def test_no_film_has_an_outline_though_the_mask_network_sees_gas_everywhere(
        self, stage: PneumothoraxStage
    ) -> None:
        for film in FILMS:
            made = self.run(stage, film)[0]
            assert not made["pneumothorax_mask"].value.any()
            numbers = made["pneumothorax"].value.values
            assert numbers["pneumothorax_area_px"] == 0
            assert numbers["pneumothorax_gate_score"] < 0.5
            assert made["pneumothorax_mask"].warnings == ()


def test_gas_that_is_suggested_but_not_found_is_said(tmp_path: Path) -> None:
    stage = built(cards(tmp_path, told=6.0, everywhere=False))
    made = TestGateSaysYes().run(stage, "tall")[0]["pneumothorax_mask"]
    assert not made.value.any()
    assert made.warnings[-1] == "A pneumothorax is suggested, but could not be outlined."


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (POOR, "no better than chance (AUC 0.55, 95 % interval 0.45 to 0.65)"),
        ({"nih_auc": {"value": 0.62, "interval": [0.54, 0.7], "n": 500}}, "tells real films apart poorly"),
        ({"nih_auc": {"value": 0.85, "interval": [0.8, 0.9], "n": 500}}, "the outline was not"),
        ({}, "never measured on a patient's"),
        ({"nih_auc": {"value": None, "interval": None, "n": 3}}, "never measured on a patient's"),
    ],
)
def test_a_reader_is_told_what_it_was_learned_from(tmp_path: Path, metrics: Any, words: str) -> None:
    warnings = warnings_of(cards(tmp_path, told=0.0, metrics=metrics)["pneumothorax-gate"])
    assert len(warnings) == 1
    assert "learned from computed gas" in warnings[0]
    assert words in warnings[0]


def test_weights_of_real_films_need_no_such_warning(tmp_path: Path) -> None:
    assert warnings_of(cards(tmp_path, told=0.0, data={"siim": 10675})["pneumothorax-gate"]) == ()


def test_without_its_weights_there_is_no_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = cards(tmp_path, told=0.0)["pneumothorax-gate"]

    def shipped(_package: str, name: str) -> ModelCard:
        if name == "pneumothorax-gate":
            return gate
        raise WeightsError(f"segmentation ships no weights {name!r}")

    monkeypatch.setattr(module, "shipped_card", shipped)
    with pytest.raises(WeightsError, match="ships no weights 'pneumothorax-mask'"):
        PneumothoraxStage("cpu")


def test_specks_are_no_gas_and_the_rest_stays_as_it_was() -> None:
    probability = np.zeros((100, 100), np.float32)
    probability[10:30, 10:14] = 0.7
    probability[20, 11:13] = 0.1  # a pinhole
    probability[60, 60:64] = 0.9  # four pixels of 10,000: below 0.05 %
    probability[80, 80:85] = 0.9  # five are as much as that
    gas = outlined(probability, 0.6)
    assert gas.dtype == np.uint8
    assert gas.sum() == 80 + 5
    assert not gas[60].any()


def lungs(rows: int = 40, columns: int = 60) -> np.ndarray:
    """The right lung in columns 4 to 19, the left in 30 to 49: they meet at 26."""
    mask = np.zeros((rows, columns), np.uint8)
    mask[5:35, 4:20] = 128
    mask[5:35, 30:50] = 255
    return mask


def test_each_piece_lies_on_the_side_of_its_middle() -> None:
    gas = np.zeros((40, 60), np.uint8)
    gas[0:5, 4:20] = 1  # above the right lung
    gas[0:5, 24:32] = 1  # its middle, column 28, beyond where the sides meet
    sides = with_sides(gas, lungs())
    assert set(np.unique(sides[0:5, 4:20])) == {128}
    assert set(np.unique(sides[0:5, 24:32])) == {255}
    # without lungs the film's middle, column 30, parts the sides
    assert set(np.unique(with_sides(gas, None)[0:5, 24:32])) == {128}
    one_lung = np.where(lungs() == 128, 128, 0).astype(np.uint8)
    np.testing.assert_array_equal(with_sides(gas, one_lung), with_sides(gas, None))


def test_the_share_is_of_gas_and_lung_of_that_side() -> None:
    gas = np.zeros((40, 60), np.uint8)
    gas[0:10, 4:20] = 128  # 160 px, 80 of them on the lung's 480
    numbers = measured(gas, lungs())
    assert numbers["pneumothorax_right_share"] == pytest.approx(160 / (480 + 80))
    assert numbers["pneumothorax_left_share"] == 0.0
    assert numbers["pneumothorax_area_px"] == 160
    assert measured(gas, None)["pneumothorax_right_share"] is None


def test_a_batch_of_one_artifact_is_enough(tmp_path: Path) -> None:
    stage = built(cards(tmp_path, told=6.0))
    study = TestGateSaysYes().inputs(FILMS["tall"])
    empty = Artifact(np.zeros(FILMS["tall"].shape, np.uint8), study["lung_mask"].grid)
    numbers = stage.run([{**study, "lung_mask": empty}])[0]["pneumothorax"].value.values
    assert numbers["pneumothorax_area_px"] > 0
