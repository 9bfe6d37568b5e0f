"""What the bone stage says of films unlike those it learned from, and how dual-energy studies are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan import usable
from gan.doubts import clipped_share, doubts_about, measured
from gan.motion import LIMIT
from gan.pairs import AS_TRUE, bony_part, dual_energy_pair, fitted, pair_of
from gan.parts import Parts
from gan.recipe import BoneRecipe
from gan.residual import Limits, ResidualEnergy
from gan.stage import BoneStage
from gan.suppression import bone_layer
from gan.usable import UsableStudies
from suite.datasets.dual_energy import read_triple, shift_between
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.stages.artifacts import Check, GateResult
from suite.stages.weights import shipped_card
from suite.study import Projection
from tests.dicom_zoo import make_dataset, save
from tests.made_datasets import triple
from tests.made_films import chest, chest_pixels, write_16_bit, write_png

LIMITS = Limits(most_structure=0.5, most_again=0.6)
USUAL = ResidualEnergy(energy=0.03, structure=0.3, again=0.4)


def lungs_of(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape
    lungs = np.zeros(shape, np.uint8)
    lungs[rows // 5 : rows * 4 // 5, columns // 6 : columns * 5 // 12] = 128
    lungs[rows // 5 : rows * 4 // 5, columns * 7 // 12 : columns * 5 // 6] = 255
    return lungs


def doubts(film: Any = None, taken: ResidualEnergy = USUAL, **options: Any) -> tuple[str, ...]:
    film = film or chest(120, 100)
    return doubts_about(film, options.pop("lungs", lungs_of(film.shape)), taken, LIMITS, **options)


def test_an_ordinary_film_gives_no_doubt() -> None:
    passed = GateResult((Check("view", True, 0.01, "It looks like a frontal view."),))
    assert doubts() == doubts(gate=passed) == ()


def test_the_shipped_weights_have_limits_to_doubt_by() -> None:
    """A card without them leaves the stage silent about films with too much taken, or suppressed already."""
    card = shipped_card("gan", "bone")
    assert np.isfinite(card.content["residual"]["most_again"])
    limits = BoneStage()._limits
    assert np.isfinite(limits.most_structure)
    assert np.isfinite(limits.most_again)
    assert 0.0 < limits.most_again < 1.0


def test_a_lateral_by_its_headers_is_said_to_be_one() -> None:
    (sentence,) = doubts(chest(120, 100, projection=Projection.LATERAL))
    assert "lateral" in sentence


@pytest.mark.parametrize("name", ["view", "chest", "whole_chest"])
def test_a_film_that_the_gate_takes_for_something_else_is_doubted(name: str) -> None:
    (sentence,) = doubts(gate=GateResult((Check(name, False, 0.99, "no"),)))
    assert "frontal chest" in sentence


@pytest.mark.parametrize("name", ["polarity", "rotation", "header_orientation"])
def test_a_turned_or_negative_film_is_doubted_and_not_called_suppressed(name: str) -> None:
    little = ResidualEnergy(energy=0.01, structure=0.1, again=0.9)
    (sentence,) = doubts(taken=little, gate=GateResult((Check(name, False, 0.99, "no"),)))
    assert "turned or negative" in sentence
    assert doubts(gate=GateResult((Check("mirrored", False, 0.99, "mirrored"),))) == ()


def test_a_film_that_cuts_the_lungs_off_is_not_called_suppressed() -> None:
    """What a narrow part of a chest shows of the lungs holds little bone, suppressed or not."""
    little = ResidualEnergy(energy=0.01, structure=0.1, again=0.9)
    film = chest(120, 100)
    grazed, cut = lungs_of(film.shape), lungs_of(film.shape)
    grazed[40:52, :20] = 128  # a tenth of the side
    cut[40:53, :20] = 128
    (sentence,) = doubts(film, little, lungs=grazed)
    assert "bone-suppressed already" in sentence
    assert doubts(film, little, lungs=cut) == ()


def test_lungs_that_are_shown_small_are_not_called_suppressed() -> None:
    """A chest within a film twice as high: its ribs are half as large to the network."""
    little = ResidualEnergy(energy=0.01, structure=0.1, again=0.9)
    tall, taller = (np.pad(lungs_of((120, 100)), ((0, more), (0, 0))) for more in (24, 25))
    (sentence,) = doubts(chest(144, 100), little, lungs=tall)  # lungs are 72 rows of 144
    assert "bone-suppressed already" in sentence
    assert doubts(chest(145, 100), little, lungs=taller) == ()


def test_plain_white_in_the_chest_is_lost_and_that_is_said() -> None:
    film = chest(120, 100)
    lungs = lungs_of(film.shape)
    clipped = film.pixels.copy()
    clipped[40:70, 20:80] = 1.0
    outside = film.pixels.copy()
    outside[:10] = 1.0
    # 30 of 72 rows and 60 of 67 columns of the box
    assert clipped_share(clipped, lungs) == pytest.approx(30 * 60 / (72 * 67), rel=0.01)
    (sentence,) = doubts(replace(film, pixels=clipped))
    assert "plain white" in sentence
    assert doubts(replace(film, pixels=outside)) == ()


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (ResidualEnergy(0.03, 0.7, 0.4), "More was taken"),
        (ResidualEnergy(0.03, 0.3, 0.65), "bone-suppressed already"),
    ],
)
def test_what_no_validation_film_showed_is_said(taken: ResidualEnergy, words: str) -> None:
    (sentence,) = doubts(taken=taken)
    assert words in sentence


def test_without_lungs_nothing_is_measured() -> None:
    nothing = np.zeros((120, 100), np.uint8)
    unknown = ResidualEnergy(float("nan"), float("nan"), float("nan"))
    assert doubts(taken=unknown, lungs=nothing) == (
        "No lungs were found, so no bone was taken from the film.",
    )
    assert set(measured(unknown).values.values()) == {None}
    assert measured(USUAL).values == {
        "bone_residual_energy": 0.03,
        "bone_residual_structure": 0.3,
        "bone_residual_again": 0.4,
    }


class FirstOfTwo(nn.Module):
    """Draws 0.1 in its first convention, 0.2 in its second."""

    def forward(self, x: Tensor, convention: Tensor) -> Tensor:
        return (0.1 + 0.1 * convention.float()).view(-1, 1, 1, 1).expand_as(x)


def test_a_network_is_asked_for_one_convention_and_the_whole_film_where_no_lungs_are_given() -> None:
    film = chest_pixels(90, 70)
    layers = [
        bone_layer(FirstOfTwo(), film, 256, torch.device("cpu"), None, convention)[0] for convention in (0, 1)
    ]
    bright = film > 0.5
    np.testing.assert_allclose(layers[1][bright], 2 * layers[0][bright], rtol=1e-3)
    assert (layers[0][bright] > 0).all()


class Quadrants(nn.Module):
    """The same everywhere but where tiles could meet: shows any seam."""

    def forward(self, x: Tensor, convention: Tensor) -> Tensor:
        return 0.1 * torch.ones_like(x)


def test_a_large_film_has_no_seam() -> None:
    film = np.full((1500, 1100), 0.6, np.float32)
    film[0, 0], film[-1, -1] = 0.0, 1.0
    layer, _ = bone_layer(Quadrants(), film, 256, torch.device("cpu"), None)
    inner = layer[8:-8, 8:-8]
    assert float(np.abs(np.diff(inner, axis=0)).max()) < 1e-6
    assert float(np.abs(np.diff(inner, axis=1)).max()) < 1e-6


# dual-energy triples


def test_a_folder_of_triples_is_a_data_set(tmp_path: Path) -> None:
    triple(tmp_path, 0), triple(tmp_path, 1)
    (tmp_path / "index.csv").write_text("study,patient_id\nstudy0,A\nstudy1,A\n")
    first, second = open_dataset("dual-energy", tmp_path).records
    assert (first.id, second.id) == ("study0", "study1")
    assert first.patient_id == second.patient_id == "dual-energy-A"
    assert read_triple(first).bone.shape == (192, 160)


def test_a_triples_layer_is_what_bone_adds_on_the_films_scale(tmp_path: Path) -> None:
    triple(tmp_path)
    (record,) = open_dataset("dual-energy", tmp_path).records
    pair = pair_of(record)
    assert pair.convention == AS_TRUE
    bars = pair.bone[46:52, 30:-30]
    between = pair.bone[55:64, 30:-30]
    assert float(bars.mean() - between.mean()) == pytest.approx(0.08, abs=0.015)
    assert bony_part(read_triple(record).bone)[48, 40:120].mean() > 0.9


def test_a_fit_brings_another_window_back() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((64, 64)).astype(np.float32)
    wanted = (0.2 + 0.5 * values).astype(np.float32)
    np.testing.assert_allclose(fitted(values, wanted, np.ones((64, 64), bool)), wanted, atol=1e-4)


@pytest.mark.parametrize("names", ["STANDARD.DCM Soft.Dcm BONE.DCM", "standard soft bone"])
def test_pictures_as_a_hospital_exports_them_are_found_and_read(names: str, tmp_path: Path) -> None:
    """DICOM under names in capitals or without a suffix, MONOCHROME1 or 2, beside the viewer's own files."""
    home = triple(tmp_path)
    expected = pair_of(open_dataset("dual-energy", tmp_path).records[0])
    for name, kind in zip(names.split(), ("MONOCHROME1", "MONOCHROME2", "MONOCHROME1"), strict=True):
        picture = home / f"{Path(name).stem.lower()}.png"
        stored = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED) // 16
        if kind == "MONOCHROME1":
            stored = 4095 - stored
        whole = {"WindowCenter": 2048, "WindowWidth": 4096}  # of 12 bits: nothing is stretched
        save(make_dataset(stored, PhotometricInterpretation=kind, **whole), home / name)
        picture.unlink()
    (home / "DICOMDIR").write_bytes(b"no film")
    (home / "bone.txt").write_text("no film")
    pair = pair_of(open_dataset("dual-energy", tmp_path).records[0])
    np.testing.assert_allclose(pair.bone, expected.bone, atol=4e-3)


@pytest.mark.parametrize("missing", ["soft", "bone"])
def test_an_incomplete_study_is_named(tmp_path: Path, missing: str) -> None:
    (triple(tmp_path) / f"{missing}.png").unlink()
    with pytest.raises(DatasetError, match=f"study0: lacks picture '{missing}'"):
        open_dataset("dual-energy", tmp_path)


def test_a_study_with_two_standard_films_is_named(tmp_path: Path) -> None:
    home = triple(tmp_path)
    (home / "standard.tif").write_bytes((home / "standard.png").read_bytes())
    with pytest.raises(DatasetError, match="has more than one picture 'standard'"):
        open_dataset("dual-energy", tmp_path)


def test_pictures_that_do_not_lie_on_each_other_are_refused(tmp_path: Path) -> None:
    triple(tmp_path, shift=6)
    (record,) = open_dataset("dual-energy", tmp_path).records
    with pytest.raises(DatasetError, match="beside the standard film"):
        read_triple(record)
    assert UsableStudies(LIMIT).of([record]) == ()


def test_pictures_that_are_turned_by_a_degree_are_refused(tmp_path: Path) -> None:
    """On the whole they lie where the film does: only their quarters tell."""
    home = triple(tmp_path, shape=(384, 320))
    turn = cv2.getRotationMatrix2D((160, 192), 1.5, 1.0)
    for name in ("soft", "bone"):
        picture = cv2.imread(str(home / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        write_png(
            home / f"{name}.png",
            cv2.warpAffine(picture, turn, (320, 384), borderMode=cv2.BORDER_REPLICATE),
        )
    (record,) = open_dataset("dual-energy", tmp_path).records
    with pytest.raises(DatasetError, match="beside the standard film; register"):
        read_triple(record)


def test_a_bone_image_with_dark_bone_is_refused(tmp_path: Path) -> None:
    home = triple(tmp_path)
    bone = cv2.imread(str(home / "bone.png"), cv2.IMREAD_UNCHANGED)
    write_png(home / "bone.png", 65535 - bone)
    (record,) = open_dataset("dual-energy", tmp_path).records
    with pytest.raises(DatasetError, match=r"bone\.png: bone is dark in it"):
        read_triple(record)


@pytest.mark.parametrize(("moved", "kept"), [("no", True), ("Yes", False), ("", False)])
def test_what_somebody_saw_of_motion_counts_more_than_the_filter(
    moved: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "motion_of", lambda soft, bone: 0.5)
    triple(tmp_path)
    (tmp_path / "index.csv").write_text(f"study,patient_id,moved\nstudy0,A,{moved}\n")
    records = open_dataset("dual-energy", tmp_path).records
    assert bool(UsableStudies(LIMIT).of(records)) == kept


@pytest.mark.parametrize(("limit", "kept"), [(0.4, False), (0.6, True), (0.0, True)])
def test_the_limit_of_motion_can_be_set_and_left_out(
    limit: float,
    kept: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(usable, "motion_of", lambda soft, bone: 0.5)
    triple(tmp_path)
    recipe = BoneRecipe.from_settings([f"motion_limit={limit}", "held_out=dual-energy"])
    data = open_dataset("dual-energy", tmp_path)
    assert bool(Parts(recipe, {"dual-energy": data}).measured("dual-energy")) == kept
    assert ("another motion_limit" in caplog.text) != kept


def test_a_word_that_says_nothing_of_motion_is_named(tmp_path: Path) -> None:
    triple(tmp_path)
    (tmp_path / "index.csv").write_text("study,patient_id,moved\nstudy0,A,perhaps\n")
    with pytest.raises(DatasetError, match="study0 has 'perhaps' under moved; write yes or no"):
        open_dataset("dual-energy", tmp_path)


def test_pictures_of_other_matrices_are_refused(tmp_path: Path) -> None:
    home = triple(tmp_path)
    write_16_bit(home / "bone.png", chest_pixels(100, 90))
    (record,) = open_dataset("dual-energy", tmp_path).records
    with pytest.raises(DatasetError, match="one matrix"):
        dual_energy_pair(record)


def test_a_shift_is_measured_in_pixels_of_512() -> None:
    film = chest_pixels(256, 256)
    assert shift_between(film, film) == pytest.approx(0.0, abs=0.05)
    assert shift_between(film, np.roll(film, 5, axis=1)) == pytest.approx(10.0, abs=1.5)
