"""Computed limbs: one seed one film, tissue maps that agree with the film, implants, every part."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from suite.datasets import phantom as dataset
from suite.errors import InputError
from suite.phantom.cohort import CohortSettings, parse_parts, write_cohort
from suite.phantom.encoding import read_png
from suite.phantom.limbs import PARTS, LimbStudy, render_limb
from suite.phantom.limbs.parts import BUILDERS
from suite.phantom.limbs.workshop import Physique, Workshop, along, mirror_scene, rotation, rounded
from suite.phantom.mesh import ellipsoid
from suite.study import Projection


@lru_cache(maxsize=32)
def _limb(part: str, seed: int = 1, size: int = 128) -> LimbStudy:
    return render_limb(part, seed, size)


def test_the_parts_are_those_that_are_built() -> None:
    assert set(PARTS) == set(BUILDERS)
    assert len(PARTS) >= 7


@pytest.mark.parametrize("part", PARTS)
def test_bone_is_brighter_than_flesh_and_flesh_than_open_beam(part: str) -> None:
    study = _limb(part)
    assert study.image.shape == study.tissue.shape == (128, 128)
    assert study.image.dtype == np.float32
    assert study.tissue.dtype == np.uint8
    assert 0.0 <= study.image.min() < study.image.max() <= 1.0
    values = [study.image[study.tissue == kind] for kind in range(3)]
    assert all(one.size > 0.02 * study.image.size for one in values[1:])
    assert np.median(values[2]) > np.median(values[1]) + 0.05
    if values[0].size:
        assert np.median(values[1]) > np.median(values[0]) + 0.05
    assert study.laterality in (("U",) if part == "pelvis" else ("R", "L"))
    assert 0.5 < study.spacing[0] * 128 / 235.0 < 2.2


@pytest.mark.parametrize("part", ["hand", "knee", "foot"])
def test_bones_lie_within_flesh(part: str) -> None:
    study = _limb(part, 3)
    body = ndimage.binary_fill_holes(study.tissue > 0)
    inside = ndimage.binary_erosion(body, iterations=1, border_value=1)
    bone = study.tissue == 2
    assert (bone & inside).sum() > 0.985 * bone.sum()


def test_one_seed_is_one_film_and_another_seed_another() -> None:
    again = render_limb("wrist", 1, 128)
    assert np.array_equal(_limb("wrist").image, again.image)
    assert np.array_equal(_limb("wrist").tissue, again.tissue)
    assert not np.array_equal(_limb("wrist").image, _limb("wrist", 2).image)
    assert not np.array_equal(_limb("wrist").image, _limb("hand").image)


def test_both_views_sides_and_metal_occur() -> None:
    knees = [_limb("knee", seed, 64) for seed in range(24)]
    assert {study.view for study in knees} == {"AP", "LL"}
    assert {study.laterality for study in knees} == {"R", "L"}
    metal = [study for study in knees if (study.tissue == 3).any()]
    assert 1 <= len(metal) <= 14
    for study in metal:
        assert study.implants
        bone = study.image[study.tissue == 2]
        assert np.median(study.image[study.tissue == 3]) > np.median(bone)
    assert all(study.implants or not (study.tissue == 3).any() for study in knees)


def test_a_left_limb_is_the_mirror_of_a_right_one() -> None:
    def build() -> Workshop:
        rng = np.random.default_rng(5)
        workshop = Workshop(rng, Physique.draw(rng))
        BUILDERS["elbow"](workshop)
        return workshop

    right, left = build().scene, build().scene
    mirror_scene(left)
    for one, other in zip(right.solids, left.solids, strict=True):
        assert np.allclose(one.mesh.vertices * [-1, 1, 1], other.mesh.vertices)
        assert one.mesh.volume == pytest.approx(other.mesh.volume)
        assert other.mesh.volume > 0.0


@pytest.mark.parametrize("part", [part for part in PARTS if part != "shoulder"])
def test_every_surface_is_closed_and_faces_outwards(part: str) -> None:
    rng = np.random.default_rng(2)
    workshop = Workshop(rng, Physique.draw(rng))
    BUILDERS[part](workshop)
    assert len(workshop.scene.solids) > 8
    for solid in workshop.scene.solids:
        faces = solid.mesh.faces
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        directed = edges[:, 0].astype(np.int64) * (faces.max() + 1) + edges[:, 1]
        reverse = edges[:, 1].astype(np.int64) * (faces.max() + 1) + edges[:, 0]
        assert np.array_equal(np.sort(directed), np.sort(reverse)), solid.name
        assert solid.mesh.volume > 0.0, solid.name


def test_a_film_is_a_radiograph() -> None:
    film = _limb("foot").radiograph()
    assert film.projection is Projection.AP
    assert film.spacing == _limb("foot").spacing
    assert film.pixels.shape == (128, 128)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="'tail' is not known"):
        render_limb("tail", 1)
    with pytest.raises(InputError, match="64 to 4096"):
        render_limb("hand", 1, 10)
    with pytest.raises(InputError, match="negative"):
        render_limb("hand", -1)


def test_domes_and_profiles_have_their_values() -> None:
    at = np.linspace(0.0, 20.0, 201)
    dome = rounded(at, 20.0, 5.0, 5.0)
    # A quarter circle of radius 5: half-way in, sqrt(1 - 1/4).
    assert dome[25] == pytest.approx(np.sqrt(0.75), abs=1e-6)
    assert dome[100] == 1.0
    assert dome[0] == dome[-1] == 0.05
    profile = [(0.0, 2.0, 1.0), (0.5, 4.0, 1.0), (1.0, 4.0, 3.0)]
    assert along(profile, np.asarray([0.0, 0.5, 0.75, 1.0]), 1) == pytest.approx([2.0, 4.0, 4.0, 4.0])


def test_a_rotation_turns_about_its_centre() -> None:
    turned = rotation("z", 90.0, (1.0, 1.0, 0.0))(np.asarray([[2.0, 1.0, 5.0]]))
    assert turned == pytest.approx(np.asarray([[1.0, 2.0, 5.0]]))
    ball = ellipsoid((3.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    assert ball.moved(rotation("x", 33.0)).volume == pytest.approx(ball.volume)


def test_a_cohort_of_limbs_is_read_as_a_data_set(tmp_path: Path) -> None:
    settings = CohortSettings(seed=4, size=64, parts=parse_parts("hand,pelvis"), dicom=True)
    write_cohort(settings, 3, tmp_path)
    records = dataset.read(tmp_path).records
    assert [record.attributes["part"] for record in records] == ["hand", "pelvis", "hand"]
    for record in records:
        assert set(record.targets) == {"tissue", "truth"}
        assert np.isnan(record.labels).all()
        assert np.isnan(record.abnormal)
        tissue = read_png(record.targets["tissue"])
        assert set(np.unique(tissue)) <= {0, 1, 2, 3}
        truth = json.loads(record.targets["truth"].read_text())
        assert truth["implants"] or 3 not in tissue
        assert (tmp_path / record.id / "dicom" / f"{record.id}.dcm").is_file()
