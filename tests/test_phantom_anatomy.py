"""The projector against solids with known ray sums, and the computed patient against anatomy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom import Patient, PhantomStudy, Scene, build_scene, render_study
from suite.phantom.camera import frontal_camera
from suite.phantom.materials import BLOOD, CORTEX, LUNG, MUSCLE, STEEL, WATER
from suite.phantom.mesh import box, ellipsoid, merge, resample, tube
from suite.phantom.projection import trace
from suite.phantom.scene import Capsules, Priority
from suite.phantom.study import dual_energy
from suite.study import Projection

FAR = 1.0e6
"""A source so far away that rays are parallel."""


def _camera(size: int = 129, field: float = 129.0):  # type: ignore[no-untyped-def]
    return frontal_camera("PA", size, field, 0.0, FAR, -100.0)


def test_sphere_has_its_chord_at_every_ray() -> None:
    scene = Scene()
    scene.add("ball", ellipsoid((0, 0, 0), (40, 40, 40), 160, 240), WATER, 1.0)
    length = trace(scene, _camera()).length("water")
    offset = np.arange(129) - 64.0
    distance = np.hypot(offset[None, :], offset[:, None])
    inside = distance < 38.0
    assert np.abs(length - 2.0 * np.sqrt(np.maximum(1600.0 - distance**2, 0.0)))[inside].max() < 0.15
    assert length[distance > 41.0].max() == 0.0


def test_cylinder_and_box_have_their_chords() -> None:
    scene = Scene()
    line = resample(np.asarray([(0.0, 0.0, -60.0), (0.0, 0.0, 60.0)]), 8)
    scene.add("rod", tube(line, 20.0, 20.0, points=180), WATER, 1.0)
    length = trace(scene, _camera()).length("water")
    x = np.arange(129) - 64.0
    inside = np.abs(x) < 19.0
    assert np.allclose(length[64][inside], 2.0 * np.sqrt(400.0 - x[inside] ** 2), atol=0.12)
    block = Scene()
    block.add("block", box((-30.5, -12.5, -20.5), (30.5, 12.5, 20.5)), WATER, 1.0)
    flat = trace(block, _camera()).length("water")
    assert np.allclose(flat[50:79, 40:89], 25.0, atol=1e-3)
    assert flat.sum() == pytest.approx(61.0 * 25.0 * 41.0, rel=1e-4)


def test_cone_beam_crosses_a_plate_obliquely() -> None:
    scene = Scene()
    scene.add("plate", box((-300, -5, -300), (300, 5, 300)), WATER, 1.0)
    camera = frontal_camera("PA", 101, 400.0, 0.0, 1000.0, -50.0)
    length = trace(scene, camera).length("water")
    corner = 50 * camera.spacing
    assert length[50, 50] == pytest.approx(10.0, abs=1e-3)
    assert length[0, 0] == pytest.approx(10.0 * np.sqrt(1.0 + 2.0 * (corner / 1000.0) ** 2), rel=1e-4)


def test_overlapping_solids_are_never_counted_twice() -> None:
    scene = Scene()
    scene.add("low", box((-30, -30, -30), (30, 30, 30)), MUSCLE, 1.0, "low")
    scene.add("high", ellipsoid((0, 10, 0), (20, 20, 20), 48, 72), CORTEX, 3.0, "high")
    scene.add("middle", box((-10, -40, -10), (10, 20, 10)), WATER, 2.0)
    paths = trace(scene, _camera())
    # Along the central ray: muscle from 20..30 behind the ball is covered by cortex up to y = 30.
    assert paths.length("cortex")[64, 64] == pytest.approx(40.0, abs=0.2)
    assert paths.length("water")[64, 64] == pytest.approx(30.0, abs=0.2)
    assert paths.length("muscle")[64, 64] == pytest.approx(0.0, abs=0.1)
    assert paths.lengths[64, 64].sum() == pytest.approx(70.0, abs=0.1)


def test_same_solid_twice_is_the_solid_once() -> None:
    once, twice = Scene(), Scene()
    ball = ellipsoid((0, 0, 0), (25, 25, 25))
    once.add("ball", ball, WATER, 1.0)
    twice.add("ball", merge([ball, ball.moved(lambda points: points * 0.8), ball]), WATER, 1.0)
    assert np.allclose(trace(once, _camera()).lengths, trace(twice, _camera()).lengths, atol=1e-4)


def test_capsules_keep_their_volume_when_thinner_than_a_pixel() -> None:
    scene = Scene()
    scene.add("lung", box((-50, -50, -50), (50, 50, 50)), LUNG, 1.0)
    ends = np.asarray([[-30.3, 0.0, 4.2]]), np.asarray([[30.1, 0.0, 18.7]])
    length = float(np.linalg.norm(ends[1] - ends[0]))
    for radius in (0.25, 0.6, 2.0):
        scene.capsules = [Capsules("v", *ends, np.full((1, 2), radius), BLOOD, LUNG, ("vessels",))]
        paths = trace(scene, _camera())
        assert paths.length("blood").sum() == pytest.approx(np.pi * radius**2 * length, rel=0.06)
        assert np.allclose(paths.lengths.sum(axis=2)[40:90, 40:90], 100.0, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["lung_left", "heart", "rib_left_05", "abdomen_right", "body_fat", "scapula_right"]
)
def test_anatomical_meshes_are_closed_and_face_outwards(name: str) -> None:
    mesh = next(solid for solid in build_scene(Patient()).solids if solid.name == name).mesh
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in edges}
    assert len(forward) == len(edges)
    assert all((b, a) in forward for a, b in forward)
    assert mesh.volume > 0.0


@lru_cache(maxsize=4)
def _study(seed: int = 3, size: int = 192) -> PhantomStudy:
    return render_study(seed, size=size, oversample=1)


def test_one_seed_is_one_study_and_another_seed_another() -> None:
    first, second = _study(), render_study(3, size=192, oversample=1)
    for name in ("frontal", "lateral", "raw", "low", "high", "bone", "soft"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert all(np.array_equal(mask, second.masks[name]) for name, mask in first.masks.items())
    assert not np.array_equal(first.frontal, _study(4).frontal)


def test_film_is_bone_plus_soft() -> None:
    study = _study()
    assert np.abs(study.frontal - (study.bone + study.soft)).max() < 1e-6
    assert study.frontal.dtype == np.float32
    assert 0.0 <= study.frontal.min() < study.frontal.max() <= 1.0
    # The bone film is clean of noise: it is flat where the masks show no bone.
    empty = study.masks["bone"] == 0
    inside = study.masks["bone"] > 0
    assert study.bone[inside].mean() > 5.0 * abs(study.bone[empty].mean())


def test_masks_agree_with_one_another() -> None:
    masks = _study().masks
    left, right = masks["lung_left"] > 0, masks["lung_right"] > 0
    assert not (left & right).any()
    for side, lung in (("left", left), ("right", right)):
        assert (lung <= (masks[f"lung_whole_{side}"] > 0)).mean() > 0.999
        assert not (lung & (masks["heart"] > 0)).mean() > 0.001
        assert masks[f"lung_whole_{side}"].sum() > 1.05 * lung.sum()
        assert (masks[f"clavicle_scr_{side}"] <= masks[f"clavicle_{side}"]).all()
    columns = np.arange(left.shape[1])
    assert (right.sum(axis=0) @ columns) / right.sum() < (left.sum(axis=0) @ columns) / left.sum()
    ribs = np.stack([masks[f"rib_{side}_{k:02d}"] for side in ("left", "right") for k in range(1, 13)])
    assert np.array_equal(ribs.any(axis=0), masks["ribs"] > 0)
    assert (masks["tissue"][masks["bone"] > 0] == 2).all()


def test_ribs_descend_from_first_to_twelfth() -> None:
    masks = _study().masks
    rows = [np.nonzero(masks[f"rib_left_{k:02d}"])[0].mean() for k in range(1, 10)]
    assert all(a < b for a, b in pairwise(rows))


def test_population_has_plausible_hearts_lungs_and_domes() -> None:
    ratios, areas = [], []
    for seed in range(12):
        patient = Patient.draw(np.random.default_rng(seed)).with_technique(projection="PA", sid=1800.0)
        study = render_study(replace(patient, inspiration=1.0), size=96, lateral=False, oversample=1)
        ratios.append(study.cardiothoracic_ratio)
        areas.append(float((study.masks["lung_left"] | study.masks["lung_right"]).mean()))
    # SCR outlines of 207 erect films: ratio 0.474 +- 0.055, both lungs 0.30 +- 0.05 of the film.
    assert 0.42 < np.mean(ratios) < 0.52
    assert min(ratios) > 0.34
    assert max(ratios) < 0.60
    assert 0.24 < np.mean(areas) < 0.36


def test_a_larger_heart_has_a_larger_ratio_on_the_film() -> None:
    small = render_study(replace(Patient(), cardiothoracic=0.40), size=128, lateral=False, oversample=1)
    large = render_study(replace(Patient(), cardiothoracic=0.55), size=128, lateral=False, oversample=1)
    assert large.cardiothoracic_ratio - small.cardiothoracic_ratio > 0.10


class _Ball:
    """A steel ball in the left lung: the smallest possible finding."""

    codes = ("lung_lesion", "lung_opacity")

    def change_patient(self, patient: Patient, rng: np.random.Generator) -> Patient:
        return patient

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        place = scene.landmarks["hilum_left"] + [35.0, -20.0, 40.0 + rng.normal()]
        scene.add("ball", ellipsoid(place, (9, 9, 9)), STEEL, Priority.METAL, "finding:lung_lesion")


def test_a_finding_shows_in_both_views_at_one_height_and_nowhere_else() -> None:
    patient = replace(Patient(), tilt=0.0, roll=0.0)
    healthy = render_study(patient, size=160, oversample=1)
    sick = render_study(patient, size=160, findings=[_Ball()], oversample=1)
    assert set(sick.labels) == set(CODES)
    assert [code for code, on in sick.labels.items() if on] == ["lung_opacity", "lung_lesion"]
    assert sum(healthy.labels.values()) == 0
    front, side = sick.boxes["frontal", "lung_lesion"], sick.boxes["lateral", "lung_lesion"]
    # Both films are centred at nearly one height, so the ball's row agrees to within the cone's slant.
    assert abs((front[1] + front[3]) / 2 - (side[1] + side[3]) / 2) < 12
    changed = np.abs(sick.raw - healthy.raw) > 0.2 * healthy.raw
    mask = sick.masks["finding_lung_lesion"] > 0
    assert changed[mask].mean() > 0.85
    assert changed[~mask].mean() < 0.01


def test_motion_between_the_exposures_changes_the_low_film_only() -> None:
    still = render_study(5, size=96, lateral=False, oversample=1)
    moved = render_study(5, size=96, lateral=False, motion=True, oversample=1)
    assert np.array_equal(still.high, moved.high)
    assert np.array_equal(still.frontal, moved.frontal)
    assert not np.array_equal(still.low, moved.low)


def test_dual_energy_bone_image_shows_bone() -> None:
    study = _study()
    bone = dual_energy(study)["bone"]
    lung = (study.masks["lung_left"] | study.masks["lung_right"]) > 0
    ribs = (study.masks["ribs"] > 0) & lung
    assert bone[ribs].mean() > bone[lung & ~ribs].mean()


def test_radiograph_carries_view_spacing_and_values() -> None:
    study = _study()
    film = study.radiograph("frontal")
    assert film.projection in (Projection.PA, Projection.AP)
    assert film.spacing == study.spacing
    assert study.radiograph("lateral").projection is Projection.LATERAL


def test_absurd_requests_are_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="64 to 4096"):
        render_study(0, size=8)
    with pytest.raises(InputError, match="vendor"):
        render_study(Patient().with_technique(vendor="unheard-of"), size=64, lateral=False)
    with pytest.raises(InputError, match="lateral"):
        render_study(0, size=64, lateral=False, oversample=1).radiograph("lateral")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, suite.phantom; print([m for m in ('numba', 'numpy', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
