"""The gate: its contract, each plain check, and the shipped network on films that are right and wrong."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from classifiers.gate.benchmark import CHANGED, EXPORTS, Picture, failed_grey_checks, plain_rows
from classifiers.gate.checks import (
    PLAIN_CHECKS,
    check_age,
    check_body_part,
    check_contrast,
    check_empty,
    check_grey_area,
    check_greys,
    check_header_sides,
    check_matrix,
    check_modality,
    check_projection,
    check_white,
)
from classifiers.gate.distortions import oriented
from classifiers.gate.judgement import NETWORK_CHECKS, judge, judge_lateral
from classifiers.gate.network import VIEWS, GateNetwork
from classifiers.gate.pictures import TEST_PHOTOGRAPHS, TRAINING_PHOTOGRAPHS, photograph
from classifiers.gate.radiographs import draw_radiograph
from classifiers.gate.samples import FilmStore, draw_sample, small
from classifiers.gate.scores import GateScores
from classifiers.gate.stage import GateStage
from classifiers.gate.training import choose_thresholds
from suite.film import read_film
from suite.intake import read_study
from suite.phantom import PhantomStudy, render_study
from suite.stages.artifacts import GateResult
from suite.stages.contract import Artifact, Inputs, Stage, check_outputs
from suite.stages.plugins import load_recipe, load_stage
from suite.stages.weights import shipped_card
from suite.study import FloatImage, Projection, Radiograph
from web.research.figure_words import known_words

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared films are not on this machine")


def film(pixels: Any, **changes: Any) -> Radiograph:
    return Radiograph(np.asarray(pixels, dtype=np.float32), Projection.UNKNOWN, "made.png", **changes)


def ramp(low: float = 0.0, high: float = 1.0, side: int = 256) -> FloatImage:
    row = np.linspace(low, high, side, dtype=np.float32)
    return np.tile(row, (side, 1))


def headers(**values: str) -> Radiograph:
    return film(ramp(), headers=values)


def inputs(frontal: Radiograph, lateral: Radiograph | None = None) -> Inputs:
    films = {"frontal": frontal, "lateral": lateral}
    return {name: Artifact(value) for name, value in films.items() if value is not None}


@pytest.fixture(scope="module")
def stage() -> GateStage:
    return GateStage()


@pytest.fixture(scope="module")
def phantom() -> PhantomStudy:
    return render_study(41, size=192, oversample=1)


def verdict(stage: GateStage, frontal: Radiograph, lateral: Radiograph | None = None) -> GateResult:
    result = stage.run([inputs(frontal, lateral)])[0]["gate"].value
    assert isinstance(result, GateResult)
    return result


def failed(result: GateResult) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


class TestPlainChecks:
    def test_a_full_ramp_without_headers_passes_all(self) -> None:
        assert all(check(film(ramp())).passed for check in PLAIN_CHECKS.values())

    def test_a_film_of_few_pixels_is_too_coarse(self) -> None:
        assert check_matrix(film(ramp(side=128))).passed
        found = check_matrix(film(ramp(side=127)))
        assert not found.passed
        assert found.value == 127
        assert "128 pixels" in found.message

    def test_a_sliver_of_the_grey_scale_is_under_ranged(self) -> None:
        assert check_contrast(film(ramp(0.2, 0.3))).passed
        found = check_contrast(film(ramp(0.20, 0.24)))
        assert not found.passed
        # The 1st to the 99th percentile of an even ramp is 98 % of its span.
        assert found.value == pytest.approx(0.98 * 0.04, abs=1e-3)

    def test_a_film_of_sixteen_greys_is_refused_and_one_of_sixty_four_is_not(self) -> None:
        few = np.floor(ramp() * 15.999) / 15
        many = np.floor(ramp() * 63.999) / 63
        assert not check_greys(film(few)).passed
        assert check_greys(film(many)).passed

    def test_a_film_burnt_to_white_is_refused_and_a_clipped_one_is_not(self) -> None:
        burnt, clipped = ramp(), ramp()
        burnt[:, 100:], clipped[:, 180:] = 1.0, 1.0
        assert check_white(film(burnt)).value == pytest.approx(156 / 256, abs=0.02)
        assert not check_white(film(burnt)).passed
        assert check_white(film(clipped)).passed

    def test_an_empty_field_is_refused_and_a_collimated_film_is_not(self) -> None:
        empty, collimated = np.zeros((256, 256), np.float32), np.zeros((256, 256), np.float32)
        empty[:64, :128] = 0.5
        collimated[64:224, 48:208] = 0.5
        assert not check_empty(film(empty)).passed
        assert check_empty(film(collimated)).passed

    def test_black_and_white_with_little_between_is_refused(self) -> None:
        silhouette = np.where(ramp() > 0.5, np.float32(1), np.float32(0))
        silhouette[:, 120:136] = 0.5
        assert not check_grey_area(film(silhouette)).passed

    @pytest.mark.parametrize("modality", ["MG", "CT", "US", "PX", "ct"])
    def test_other_machines_are_refused(self, modality: str) -> None:
        found = check_modality(headers(modality=modality))
        assert not found.passed
        assert modality.upper() in found.message

    @pytest.mark.parametrize("modality", ["CR", "DX", "", "OT"])
    def test_radiographs_of_any_machine_pass(self, modality: str) -> None:
        assert check_modality(headers(modality=modality)).passed

    @pytest.mark.parametrize(
        "part", ["LEG", "HIP", "KNEE", "EXTREMITY", "SKULL", "ABDOMEN", "L-SPINE", "Hand"]
    )
    def test_other_body_parts_are_refused(self, part: str) -> None:
        found = check_body_part(headers(body_part_examined=part))
        assert not found.passed
        assert part in found.message

    @pytest.mark.parametrize(
        "part", ["CHEST", "Thorax", "CHEST_TO_ABDOMEN", "LUNG", "", "PORT CHEST", "UNDEFINED"]
    )
    def test_chests_and_silent_headers_pass(self, part: str) -> None:
        assert check_body_part(headers(body_part_examined=part)).passed

    def test_a_lateral_by_its_headers_is_refused_with_the_option_to_use(self) -> None:
        found = check_projection(replace(film(ramp()), projection=Projection.LATERAL))
        assert not found.passed
        assert "--lateral" in found.message
        assert check_projection(replace(film(ramp()), projection=Projection.AP)).passed

    @pytest.mark.parametrize(
        ("orientation", "word"),
        [("R\\F", "mirror"), ("L\\H", "180 degrees"), ("F\\L", "upright"), ("H\\R", "upright")],
    )
    def test_an_orientation_that_is_not_the_readers_is_refused(self, orientation: str, word: str) -> None:
        found = check_header_sides(headers(patient_orientation=orientation))
        assert not found.passed
        assert word in found.message

    @pytest.mark.parametrize("orientation", ["L\\F", "", "LF\\FR"])
    def test_the_usual_orientation_passes(self, orientation: str) -> None:
        assert check_header_sides(headers(patient_orientation=orientation)).passed

    @pytest.mark.parametrize(
        ("value", "passes"), [("015Y", False), ("016Y", True), ("003M", False), ("", True)]
    )
    def test_a_child_is_refused_because_the_networks_learned_from_adults(
        self, value: str, passes: bool
    ) -> None:
        found = check_age(headers(patient_age=value))
        assert found.passed is passes
        assert passes or "learned from adults" in found.message


class TestPlainBenchmark:
    def films(self) -> list[FloatImage]:
        return [render_study(seed, size=128, oversample=1).frontal for seed in (41, 42)]

    def test_each_bad_export_fails_the_check_that_is_meant_for_it_and_good_ones_none(self) -> None:
        rows = plain_rows(self.films(), ("one", "other"), np.random.default_rng(0))
        meant = {
            "accept_plain": "",
            "accept_plain_windowed": "",
            "plain_clipped_white": "white",
            "plain_clipped_black": "empty",
            "plain_narrow_window": "grey_area",
            "plain_under_ranged": "contrast",
            "plain_few_greys": "greys",
        }
        assert list(meant) == list(EXPORTS)
        assert [(row["group"], row["patient"]) for row in rows[:3]] == [
            ("accept_plain", "one"),
            ("accept_plain", "other"),
            ("accept_plain_windowed", "one"),
        ]
        for row in rows:
            wanted = meant[row["group"]]
            assert row["refused"] == float(bool(wanted))
            assert wanted in row["reasons"].split() if wanted else row["reasons"] == ""

    def test_the_checks_that_fail_are_named_in_order(self) -> None:
        white = np.ones((200, 200), np.float32)
        white[0, 0] = 0.0
        assert failed_grey_checks(ramp()) == ()
        assert failed_grey_checks(white) == (
            "contrast",
            "greys",
            "white",
            "grey_area",
        )

    def test_their_figures_are_named_on_the_page_of_the_card(self) -> None:
        assert all(known_words(f"refused_{group}") for group in EXPORTS)


class TestJudgement:
    thresholds: ClassVar = {"not_frontal": 1.0, "turned": 1.0, "inverted": 1.0, "mirrored": 1.0}

    def scores(self, turn: int = 180, other: str = "other", **odds: float) -> GateScores:
        base = {"not_frontal": -9.0, "turned": -9.0, "inverted": -9.0, "mirrored": -9.0}
        view = {"frontal": 0.25, "lateral": 0.25, "part": 0.25, "other": 0.25}
        return GateScores(base | odds, view, other, turn)

    def failing(self, scores: GateScores) -> list[str]:
        return [check.name for check in judge(scores, self.thresholds) if not check.passed]

    def test_all_checks_are_shown_whether_passed_or_not(self) -> None:
        assert tuple(check.name for check in judge(self.scores(), self.thresholds)) == NETWORK_CHECKS
        assert self.failing(self.scores()) == []

    @pytest.mark.parametrize(
        ("other", "name"), [("other", "chest"), ("lateral", "view"), ("part", "whole_chest")]
    )
    def test_the_likeliest_other_view_names_the_failing_check(self, other: str, name: str) -> None:
        assert self.failing(self.scores(other=other, not_frontal=2.0)) == [name]

    def test_what_is_no_chest_is_not_asked_how_it_lies(self) -> None:
        checks = judge(self.scores(not_frontal=2.0, turned=9.0, inverted=9.0), self.thresholds)
        unasked = {check.name: check.value for check in checks if check.value is None}
        assert unasked == {"rotation": None, "polarity": None, "mirrored": None}

    def test_a_score_at_the_threshold_passes_and_above_it_fails(self) -> None:
        assert self.failing(self.scores(inverted=1.0)) == []
        assert self.failing(self.scores(inverted=1.01)) == ["polarity"]

    def test_a_negative_turned_film_gets_both_reasons(self) -> None:
        assert self.failing(self.scores(turned=5.0, inverted=5.0)) == ["rotation", "polarity"]

    def test_a_turned_film_is_not_asked_for_its_sides(self) -> None:
        assert self.failing(self.scores(turned=5.0, mirrored=5.0)) == ["rotation"]
        assert self.failing(self.scores(mirrored=5.0)) == ["mirrored"]

    def test_only_a_plain_frontal_is_refused_as_the_lateral(self) -> None:
        assert judge_lateral(self.scores(not_frontal=-0.5), self.thresholds).passed
        assert not judge_lateral(self.scores(not_frontal=-1.5), self.thresholds).passed


class TestTrainingData:
    def store(self) -> FilmStore:
        rng = np.random.default_rng(0)
        films = [small(rng.random((90, 80), dtype=np.float32)) for _ in range(4)]
        return FilmStore(films, films, [], [])

    def test_a_turn_is_counter_clockwise_as_the_messages_say(self) -> None:
        upright = np.zeros((8, 6), dtype=np.float32)
        upright[0] = 1.0  # the head
        assert oriented(upright, 1, mirrored=False, inverted=False)[:, 0].all()
        assert oriented(upright, 2, mirrored=False, inverted=False)[-1].all()
        assert oriented(upright, 3, mirrored=False, inverted=False)[:, -1].all()

    def test_a_seed_gives_one_picture_and_its_truth(self) -> None:
        store = self.store()
        one, same, other = (draw_sample(store, np.random.default_rng(seed)) for seed in (5, 5, 6))
        np.testing.assert_array_equal(one.picture, same.picture)
        assert (one.view, one.turn) == (same.view, same.turn)
        assert one.picture.shape != other.picture.shape or not np.array_equal(one.picture, other.picture)

    def test_questions_are_asked_only_where_they_arise(self) -> None:
        rng, store = np.random.default_rng(1), self.store()
        samples = [draw_sample(store, rng) for _ in range(200)]
        assert {sample.view for sample in samples} == set(range(len(VIEWS)))
        for sample in samples:
            assert sample.picture.dtype == np.float32
            assert sample.picture.min() >= 0.0
            assert sample.picture.max() <= 1.0
            view = VIEWS[sample.view]
            assert (sample.turn >= 0) == (view in ("frontal", "lateral"))
            asked = view == "frontal" and sample.turn == 0 and sample.inverted == 0.0
            assert np.isnan(sample.mirrored) != asked

    def test_thresholds_let_every_untouched_film_pass(self) -> None:
        def scored(group: str, odds: float, *faults: str) -> tuple[Picture, GateScores]:
            picture = Picture.of(group, "p", ramp(side=128), 128, faults)
            answers = {"not_frontal": odds, "turned": -5.0, "inverted": -5.0, "mirrored": -5.0}
            return picture, GateScores(answers, {}, "other", 90)

        pairs = [
            scored("accept_nih", 1.25),
            scored("accept_nih", -3.0),
            scored("lateral", 8.0, "not_frontal"),
        ]
        pairs += [scored(CHANGED, value / 100) for value in range(101)]
        pictures, scores = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        assert choose_thresholds(pictures, scores, 0.5, 0.0)["not_frontal"] == 1.75
        assert choose_thresholds(pictures, scores, 0.5, 0.0)["turned"] == 0.0


class TestStage:
    def test_it_is_the_installed_gate_and_keeps_the_contract(
        self, stage: GateStage, phantom: PhantomStudy
    ) -> None:
        assert load_stage("gate") is GateStage
        assert isinstance(stage, Stage)
        assert (stage.needs, stage.uses, stage.makes) == ({"frontal"}, {"lateral"}, {"gate"})
        study = inputs(phantom.radiograph())
        outputs = stage.run([study])
        check_outputs(stage, [study], outputs)
        assert outputs[0]["gate"].history

    def test_no_studies_give_no_results(self, stage: GateStage) -> None:
        assert stage.run([]) == []

    def test_a_batch_gives_what_each_alone_gives_and_again(
        self, stage: GateStage, phantom: PhantomStudy
    ) -> None:
        turned = film(np.rot90(phantom.frontal))
        studies = [inputs(phantom.radiograph()), inputs(turned), inputs(film(ramp(0.1, 0.9, 300)))]
        together = [output["gate"].value for output in stage.run(studies)]
        assert together == [stage.run([study])[0]["gate"].value for study in studies]
        assert together == [output["gate"].value for output in stage.run(studies)]

    def test_the_film_is_left_alone(self, stage: GateStage, phantom: PhantomStudy) -> None:
        frontal = phantom.radiograph()
        before = frontal.pixels.copy()
        stage.run([inputs(frontal)])
        np.testing.assert_array_equal(frontal.pixels, before)

    def test_a_lateral_is_checked_only_where_there_is_one(
        self, stage: GateStage, phantom: PhantomStudy
    ) -> None:
        alone = verdict(stage, phantom.radiograph())
        both = verdict(stage, phantom.radiograph(), phantom.radiograph("lateral"))
        assert "lateral" not in {check.name for check in alone.checks}
        assert {check.name for check in both.checks} - {check.name for check in alone.checks} == {"lateral"}

    def test_weights_and_card_belong_together(self, stage: GateStage) -> None:
        card = shipped_card("classifiers", "gate")
        assert (
            hashlib.sha256(card.weights_path.read_bytes()).hexdigest() == card.sha256 == stage.weights_sha256
        )
        parameters = sum(parameter.numel() for parameter in GateNetwork().parameters())
        assert card.content["parameters"] == parameters < 500_000

    def test_the_card_keeps_the_false_refusal_budget(self) -> None:
        metrics = shipped_card("classifiers", "gate").content["metrics"]
        assert metrics["refused_accept_nih"]["n"] > 150
        assert metrics["refused_accept_nih"]["value"] < 0.01

    def test_the_recipe_is_installed_and_keeps_test_photographs_apart(self) -> None:
        assert load_recipe("gate").name == "gate"
        assert not set(TRAINING_PHOTOGRAPHS) & set(TEST_PHOTOGRAPHS)


class TestShippedNetwork:
    def test_its_checks_bear_the_names_that_it_declares(
        self, stage: GateStage, phantom: PhantomStudy
    ) -> None:
        result = verdict(stage, phantom.radiograph(), phantom.radiograph("lateral"))
        assert tuple(check.name for check in result.checks) == GateStage.checks

    def test_a_computed_chest_is_accepted_with_and_without_its_lateral(
        self, stage: GateStage, phantom: PhantomStudy
    ) -> None:
        assert verdict(stage, phantom.radiograph()).reasons == ()
        assert verdict(stage, phantom.radiograph(), phantom.radiograph("lateral")).reasons == ()

    @pytest.mark.parametrize(
        ("turns", "word"), [(1, "clockwise"), (2, "upside down"), (3, "counter-clockwise")]
    )
    def test_a_turned_chest_is_refused(
        self, stage: GateStage, phantom: PhantomStudy, turns: int, word: str
    ) -> None:
        result = verdict(stage, film(np.rot90(phantom.frontal, turns)))
        assert "rotation" in failed(result)
        assert any(word in reason for reason in result.reasons)

    def test_a_negative_is_refused(self, stage: GateStage, phantom: PhantomStudy) -> None:
        assert "polarity" in failed(verdict(stage, film(1.0 - phantom.frontal)))

    def test_a_lateral_given_as_frontal_is_refused(self, stage: GateStage, phantom: PhantomStudy) -> None:
        result = verdict(stage, film(phantom.radiograph("lateral").pixels))
        assert failed(result) == {"view"}
        assert "--lateral" in result.reasons[0]

    def test_a_frontal_given_as_lateral_is_refused(self, stage: GateStage, phantom: PhantomStudy) -> None:
        assert "lateral" in failed(verdict(stage, phantom.radiograph(), phantom.radiograph()))

    @pytest.mark.parametrize("part", ["limb", "hand", "pelvis", "skull"])
    def test_drawn_limbs_and_bones_are_no_chest(self, stage: GateStage, part: str) -> None:
        rng = np.random.default_rng(2024)
        refused = [not verdict(stage, film(draw_radiograph(rng, part))).accepted for _ in range(5)]
        assert sum(refused) >= 4

    @pytest.mark.parametrize("name", TEST_PHOTOGRAPHS)
    def test_photographs_and_pages_are_no_chest(self, stage: GateStage, name: str) -> None:
        assert not verdict(stage, film(photograph(name))).accepted


@needs_data
class TestRealFilms:
    @pytest.mark.parametrize(
        "name",
        [
            "chest-ap-monochrome2-jpeg-baseline.dcm",
            "chest-pa-monochrome1-jpeg2000-lossy.dcm",
            "chest-pa-monochrome1.dcm",
        ],
    )
    def test_chest_films_from_devices_are_accepted(self, stage: GateStage, name: str) -> None:
        frontal = read_study(DATA / "dicom" / name).frontal
        assert frontal is not None
        assert verdict(stage, frontal).reasons == ()

    @pytest.mark.parametrize(
        "name",
        [
            "hip-monochrome2-jpeg-lossless.dcm",
            "leg-monochrome1-jpeg-lossless.dcm",
            "leg-monochrome1-jpeg2000-lossless.dcm",
        ],
    )
    def test_legs_and_hips_are_refused_by_their_pixels_alone(self, stage: GateStage, name: str) -> None:
        frontal = read_film(DATA / "dicom" / name)
        silent = replace(frontal, headers={}, projection=Projection.UNKNOWN)
        assert "body_part" in failed(verdict(stage, frontal))
        assert failed(verdict(stage, silent)) & {"chest", "view", "whole_chest"}
