"""The tissues stage: the contract of every stage, three values, shares and areas."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentation.tissues.network import tissue_network
from segmentation.tissues.stage import VALUES, TissuesStage, measured, tissue_probabilities
from segmentation.tissues.thresholds import called, threshold_for
from suite.analysis import Analyzer
from suite.errors import NotShippedError, WeightsError
from suite.phantom.limbs import render_limb
from suite.stages.artifacts import Measured
from suite.stages.weights import ModelCard, read_card, rebuild, shipped_card
from suite.study import Projection, Radiograph, Study
from tests import fake_stages, untrained_weights
from tests.made_films import artifact, chest
from tests.stage_contract import FILMS, StageContract


class TestTissues(StageContract):
    name, needs = "tissues", {"frontal"}
    makes = frozenset({"tissue_mask", "tissue_measurements"})

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
        return untrained_weights.tissues(tmp_path_factory.mktemp("tissues"))

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, card: ModelCard) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("segmentation.tissues.stage.shipped_card", lambda _package, _name: card)
            return TissuesStage("cpu")

    def test_a_mask_has_three_values_to_look_at(self, stage: TissuesStage) -> None:
        for film in FILMS:
            mask = self.run(stage, film)[0]["tissue_mask"].value
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) <= {0, 128, 255}

    def test_shares_and_areas_are_those_of_the_mask(self, stage: TissuesStage) -> None:
        made = self.run(stage, "tall")[0]
        mask, figures = made["tissue_mask"].value, made["tissue_measurements"].value
        assert isinstance(figures, Measured)
        assert figures.values["bone_area_px"] == (mask == 255).sum()
        for name, value in (("open_beam_share", 0), ("soft_tissue_share", 128), ("bone_share", 255)):
            assert figures.values[name] == pytest.approx((mask == value).mean(), abs=1e-5)

    def test_probabilities_of_a_pixel_add_up_to_one(self, card: ModelCard) -> None:
        network = rebuild(tissue_network, card)
        for film in ("wide", "strip"):
            probabilities, framed = tissue_probabilities(network, FILMS[film].pixels, 64)
            assert probabilities.shape == (3, *FILMS[film].shape)
            assert framed.pixels.shape == (64, 64)
            np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=1e-5)


class TestShippedTissues(TestTissues):
    """The same with the weights that ship, where they do."""

    @pytest.fixture(scope="class")
    @classmethod
    def card(cls) -> ModelCard:
        try:
            return shipped_card("segmentation", "tissues")
        except NotShippedError as error:
            pytest.skip(str(error))

    @pytest.mark.parametrize("part", ["hand", "knee"])
    def test_the_tissues_of_a_computed_limb_are_found(self, stage: TissuesStage, part: str) -> None:
        limb = render_limb(part, seed=1007, size=256)
        film = Radiograph(limb.image, Projection.UNKNOWN, f"{part}.png")
        (made,) = stage.run([{"frontal": artifact(film)}])
        found = np.searchsorted((0, 128, 255), made["tissue_mask"].value)
        assert (found == np.minimum(limb.tissue, 2)).mean() > 0.85


THRESHOLDS = {"chest": 0.9, "hand": 0.6, "foot": 0.0}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("CHEST", ("chest", 0.9)),
        ("chest ", ("chest", 0.9)),
        ("HAND", ("hand", 0.6)),
        ("THUMB", ("hand", 0.6)),  # a piece of a part
        ("TOE", ("foot", 0.0)),
        ("KNEE", None),  # the card has no threshold for it
        ("PATELLA", None),
        ("CHESTABDOMEN", None),  # only whole terms count
        ("", None),
    ],
)
def test_the_threshold_is_that_of_the_part_a_header_names(
    header: str, expected: tuple[str, float] | None
) -> None:
    assert threshold_for(header, THRESHOLDS) == expected


def test_a_film_is_read_by_the_threshold_of_its_body_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = untrained_weights.tissues(tmp_path)
    content = {**card.content, "soft_tissue": {"thresholds": THRESHOLDS}}
    card.path.write_text(json.dumps(content))
    changed = read_card(card.path)
    monkeypatch.setattr("segmentation.tissues.stage.shipped_card", lambda _package, _name: changed)
    stage = TissuesStage("cpu")

    def read(**headers: str) -> Any:
        film = replace(chest(150, 120), headers=headers)
        return stage.run([{"frontal": artifact(film)}])[0]

    plain, unknown = read(), read(body_part_examined="KNEE")
    film = chest(150, 120)
    probabilities, framed = tissue_probabilities(rebuild(tissue_network, changed), film.pixels, 64)
    np.testing.assert_array_equal(plain["tissue_mask"].value, VALUES[probabilities.argmax(axis=0)])
    for made in (plain, unknown):
        assert made["tissue_mask"].history == framed.history()
        np.testing.assert_array_equal(made["tissue_mask"].value, plain["tissue_mask"].value)

    strict = read(body_part_examined="CHEST")
    mask = strict["tissue_mask"].value
    np.testing.assert_array_equal(mask, VALUES[called(probabilities, 0.9)])
    assert (mask != plain["tissue_mask"].value).any()
    assert strict["tissue_mask"].history[-1] == "soft tissue from 0.9 on, the threshold of body part chest"
    share = strict["tissue_measurements"].value.values["soft_tissue_share"]
    assert share == pytest.approx((mask == 128).mean(), abs=1e-5)


def test_areas_on_the_detector_need_the_spacing() -> None:
    tissue = np.zeros((10, 20), np.uint8)
    tissue[:5] = 1
    tissue[:2, :10] = 2
    figures = measured(tissue, (0.2, 0.5))
    assert figures == {
        "open_beam_share": 0.5,
        "soft_tissue_share": 0.4,
        "bone_share": 0.1,
        "bone_area_px": 20,
        "bone_area_cm2_at_detector": 0.02,
    }
    assert "bone_area_cm2_at_detector" not in measured(tissue, None)


def test_a_card_of_another_network_is_refused(tmp_path: Path) -> None:
    card = untrained_weights.tissues(tmp_path)
    content = {**card.content, "architecture": {**card.architecture, "network": "segnet"}}
    card.path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="holds another architecture than this version builds"):
        rebuild(tissue_network, read_card(card.path))


# in a reading


def test_the_report_has_the_mask_and_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = untrained_weights.tissues(tmp_path)
    monkeypatch.setattr("segmentation.tissues.stage.shipped_card", lambda _package, _name: card)
    fake_stages.install(monkeypatch, [fake_stages.gate(), TissuesStage])
    film = chest(150, 120, spacing=(0.2, 0.2))
    reading = Analyzer(["tissues"], device="cpu").run(Study("s1", film))
    report = reading.report
    assert report["images"]["tissue_mask"] == "tissue_mask.png"
    mask = reading.images["tissue_mask"]
    assert mask.shape == film.shape
    assert report["measurements"]["bone_area_px"] == (mask == 255).sum()
    assert report["measurements"]["bone_area_cm2_at_detector"] == pytest.approx(
        (mask == 255).sum() * 0.0004, abs=0.01
    )
    assert card.sha256 in {stage["weights_sha256"] for stage in report["provenance"]["stages"]}


def test_it_runs_on_request_and_says_so_where_it_has_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_shipped(package: str, _name: str) -> ModelCard:
        return shipped_card(package, "tissues of another day")

    monkeypatch.setattr("segmentation.tissues.stage.shipped_card", nothing_shipped)
    fake_stages.install(monkeypatch, [fake_stages.gate(), fake_stages.lungs(), TissuesStage])
    assert Analyzer(device="cpu").stage_names == ("gate", "lungs")
    with pytest.raises(NotShippedError, match="segmentation ships no weights"):
        Analyzer(["tissues"], "cpu")
