"""Findings in the computed patient: they are where their masks are, in both views, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from functools import lru_cache

import numpy as np
import pytest

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom import Patient, build_scene, render_study
from suite.phantom.anatomy import with_arms
from suite.phantom.camera import Camera
from suite.phantom.cloud import puffs
from suite.phantom.detector import primary
from suite.phantom.materials import LUNG, SOFT
from suite.phantom.mesh import box
from suite.phantom.pathology import (
    CLASSES,
    PREVALENCE,
    Atelectasis,
    Break,
    Cardiomegaly,
    Collapse,
    Consolidation,
    Device,
    Edema,
    Effusion,
    EnlargedCardiomediastinum,
    Focus,
    Fracture,
    Lesion,
    LungLesion,
    LungOpacity,
    Pathology,
    Plaque,
    Plate,
    PleuralEffusion,
    PleuralOther,
    Pneumonia,
    Pneumothorax,
    Rind,
    SupportDevices,
    apply,
    draw_findings,
    labels_of,
    noisy_labels,
)
from suite.phantom.pathology.devices import KINDS
from suite.phantom.pathology.fracture import rings_of
from suite.phantom.pathology.site import Site
from suite.phantom.projection import Paths, trace
from suite.phantom.scene import Scene
from suite.phantom.spectra import beam
from suite.phantom.truth import finding_masks, frontal_masks
from suite.phantom.views import frontal_view, lateral_view

PATIENT = replace(Patient(seed=11), tilt=3.0, roll=-1.5, rotation=4.0, scoliosis=6.0, kyphosis=5.0)
SIZE = 128


def _films(findings: Sequence[Pathology]) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Noise- and scatter-free -ln(primary) and finding masks of both views."""
    patient = PATIENT
    for finding in findings:
        patient = finding.change_patient(patient, np.random.default_rng(1))
    healthy = build_scene(patient)
    scenes = {"lateral": with_arms(healthy, patient, "raised"), "frontal": healthy}
    out = {}
    for view, camera in _cameras().items():
        scene = scenes[view]
        apply(findings, scene, patient, np.random.default_rng(5))
        paths = trace(scene, camera)
        out[view] = (-np.log(primary(paths.lengths, paths.materials, beam(120.0))), finding_masks(paths))
    return out


@lru_cache(maxsize=1)
def _cameras() -> dict[str, Camera]:
    scene = build_scene(PATIENT)
    return {"frontal": frontal_view(PATIENT, scene, SIZE), "lateral": lateral_view(PATIENT, scene, SIZE)}


@lru_cache(maxsize=1)
def _healthy() -> dict[str, np.ndarray]:
    return {view: film for view, (film, _) in _films(()).items()}


# Finding, change of -ln(signal) that counts, least share of the mask that changes, most of the rest that may.
# Masks of heart and mediastinum are their whole shadows, most of which was there before.
CASES = [
    (LungLesion((Lesion(24.0, -1),)), 0.05, 0.85, 0.001),
    (LungLesion((Lesion(30.0, 1, "part_solid"),)), 0.03, 0.7, 0.004),
    (LungLesion((Lesion(34.0, 1, "solid", "behind_heart"),)), 0.05, 0.85, 0.001),
    (Consolidation((Focus("right_upper", 130.0, 0.85, 0.3),)), 0.08, 0.85, 0.02),
    (Pneumonia((Focus("left_lower", 45.0, 0.5, 0.8),)), 0.08, 0.8, 0.02),
    (LungOpacity((Focus("right_lower", 50.0, 0.3, 0.3),)), 0.08, 0.7, 0.02),
    (Edema(0.7, 6), 0.10, 0.85, 0.06),
    (Atelectasis((Plate(-1, 60.0, 40.0, 3.0, 22.0),)), 0.03, 0.75, 0.003),
    (Atelectasis((), (Collapse("right_upper", 0.8),)), 0.10, 0.75, 0.18),
    (Pneumothorax(-1, 40.0, 18.0), 0.05, 0.7, 0.15),
    (PleuralEffusion((Effusion(1, 0.4),)), 0.05, 0.9, 0.03),
    (PleuralEffusion((Effusion(-1, 0.5, layering=True),)), 0.08, 0.9, 0.03),
    (PleuralOther((Rind(-1, -0.05, 0.5, 9.0),)), 0.04, 0.7, 0.02),
    (PleuralOther((), (Plaque(1, 0.4, 1.8, 40.0, 5.0, 0.8),)), 0.03, 0.8, 0.002),
    (Fracture((Break("rib_left_05", 0.4, 5.0),)), 0.006, 0.5, 0.01),
    (Fracture((Break("clavicle_right", 0.5, 9.0),)), 0.02, 0.5, 0.02),
    (SupportDevices((Device("pacemaker", 1), Device("sternal_wires"))), 0.05, 0.8, 0.004),
    (Cardiomegaly(0.62), 0.05, 0.5, 0.02),
    (EnlargedCardiomediastinum(2.0), 0.05, 0.6, 0.002),
]


@pytest.mark.parametrize(
    ("finding", "threshold", "inside", "outside"), CASES, ids=lambda one: getattr(one, "code", "")
)
def test_a_finding_changes_the_film_where_its_mask_is_and_nowhere_else(
    finding: Pathology, threshold: float, inside: float, outside: float
) -> None:
    for view, (film, masks) in _films((finding,)).items():
        mask = masks[f"finding_{finding.code}"] > 0
        changed = np.abs(film - _healthy()[view]) > threshold
        share = inside if view == "frontal" else 0.7 * inside
        assert mask.any(), view
        assert changed[mask].mean() > share, (view, changed[mask].mean())
        assert changed[~mask].mean() < outside, (view, changed[~mask].mean())


def test_the_same_patient_without_the_finding_has_the_same_noise_and_anatomy() -> None:
    patient = Patient.draw(np.random.default_rng(8))
    well = render_study(patient, 128, None, oversample=1)
    sick = render_study(patient, 128, [LungLesion((Lesion(20.0, -1),))], oversample=1)
    mask = sick.masks["finding_lung_lesion"] > 0
    ratio = sick.raw / well.raw
    # Scatter reaches a little beyond the nodule; noise (several percent) would show if it were drawn anew.
    assert np.abs(ratio[~mask] - 1.0).mean() < 0.002
    assert ratio[mask].mean() < 0.97
    assert np.array_equal(well.masks["rib_left_04"], sick.masks["rib_left_04"])


def test_each_finding_keeps_its_own_draw_whatever_else_the_patient_has() -> None:
    patient = Patient(seed=21)
    alone = render_study(patient, 96, ["lung_lesion"], lateral=False, oversample=1)
    among = render_study(patient, 96, ["fracture", "lung_lesion"], lateral=False, oversample=1)
    assert alone.boxes["frontal", "lung_lesion"] == among.boxes["frontal", "lung_lesion"]
    assert alone.measurements["lung_lesion_1_mm"] == among.measurements["lung_lesion_1_mm"]


@pytest.mark.parametrize("code", CODES)
def test_every_code_can_be_asked_for_and_gives_label_mask_and_box(code: str) -> None:
    study = render_study(Patient(seed=3), 96, [code], lateral=False, oversample=1)
    assert study.labels[code] == 1
    assert study.masks[f"finding_{code}"].any()
    x0, y0, x1, y1 = study.boxes["frontal", code]
    assert 0 <= x0 < x1 <= 96
    assert 0 <= y0 < y1 <= 96
    assert CLASSES[code]().code == code


def test_lesions_have_the_size_they_say() -> None:
    patient = replace(PATIENT, rotation=0.0, tilt=0.0)
    study = render_study(
        patient, 512, [LungLesion((Lesion(40.0, -1, lobulation=0.0),))], lateral=False, oversample=1
    )
    assert study.measurements["lung_lesion_1_mm"] == 40.0
    x0, y0, x1, y1 = study.boxes["frontal", "lung_lesion"]
    widest = max(x1 - x0, y1 - y0) * study.spacing[0]
    # At the detector it is up to a fifth larger; its other axes are up to three tenths shorter.
    assert 0.7 * 40.0 < widest < 1.2 * 40.0


def test_larger_hearts_have_larger_ratios_and_wider_masks() -> None:
    mild, severe = (
        render_study(PATIENT, 128, [Cardiomegaly(r)], lateral=False, oversample=1) for r in (0.56, 0.68)
    )
    assert severe.cardiothoracic_ratio > mild.cardiothoracic_ratio + 0.08
    assert mild.cardiothoracic_ratio > 0.52
    assert np.array_equal(mild.masks["finding_cardiomegaly"], mild.masks["heart"])
    assert (mild.labels["cardiomegaly"], mild.labels["enlarged_cardiomediastinum"]) == (1, 1)


def test_a_trace_of_fluid_shows_in_the_lateral_first() -> None:
    films = _films((PleuralEffusion((Effusion(1, 0.04),)),))
    shift = {view: film - _healthy()[view] for view, (film, _) in films.items()}
    masks = {view: masks["finding_pleural_effusion"] > 0 for view, (_, masks) in films.items()}
    # In the frontal film it hides behind the diaphragm's dome: none of it in the visible lung field.
    visible = render_study(PATIENT, SIZE, None, lateral=False, oversample=1).masks["lung_left"] > 0
    assert masks["lateral"].any()
    assert (masks["frontal"] & visible).sum() < 0.1 * masks["frontal"].sum()
    assert shift["lateral"][masks["lateral"]].max() > 0.2


def test_no_vessels_beyond_the_pleural_line() -> None:
    scene = build_scene(PATIENT)
    apply([Pneumothorax(-1, 70.0, 35.0)], scene, PATIENT, np.random.default_rng(0))
    paths = trace(scene, frontal_view(PATIENT, scene, SIZE))
    beyond = (finding_masks(paths)["finding_pneumothorax"] > 0) & (paths.length("lung") == 0.0)
    assert beyond.sum() > 200
    vessels = paths.mask("vessels") > 0
    # A ray that only grazes the lung may meet nothing of it but a vessel.
    assert (vessels & beyond).sum() < 0.002 * beyond.sum()
    assert vessels[paths.mask("lung_left") > 0].mean() > 0.2


def test_gas_is_outlined_in_the_visible_lung_field_as_readers_do() -> None:
    paths = _paths_with([Pneumothorax(-1, 70.0, 35.0)])
    there = finding_masks(paths)["finding_pneumothorax"] > 0
    masks = frontal_masks(paths)
    field = (masks["lung_right"] | masks["lung_left"]) > 0
    assert (there & ~field).sum() > 0.1 * there.sum()  # beside the spine it lies behind the mediastinum
    np.testing.assert_array_equal(masks["finding_pneumothorax"] > 0, there & field)


def test_a_dense_lung_beside_gas_is_not_taken_for_gas() -> None:
    gas = Pneumothorax(-1, 40.0, 20.0)
    clear, dense = (
        finding_masks(_paths_with(findings))["finding_pneumothorax"] > 0
        for findings in ([gas], [gas, Consolidation((Focus("right_upper", 140.0, 0.9, 0.9),))])
    )
    assert (dense & ~clear).sum() <= 0.02 * clear.sum()
    assert (dense & clear).sum() > 0.9 * clear.sum()


def test_tension_pushes_the_heart_away() -> None:
    calm, tense = (render_study(PATIENT, 128, [Pneumothorax(-1, 80.0, 50.0, t)], lateral=False, oversample=1)
                   for t in (0.0, 25.0))  # fmt: skip
    centre = [np.nonzero(one.masks["heart"])[1].mean() * one.spacing[1] for one in (calm, tense)]
    assert 10.0 < centre[1] - centre[0] < 40.0


def test_a_lobe_that_collapses_draws_the_diaphragm_up() -> None:
    site = Site(build_scene(PATIENT), PATIENT)
    before = site.scene.find("abdomen_left")[0].mesh.vertices[:, 2].max()
    apply([Atelectasis((), (Collapse("left_lower", 1.0),))], site.scene, PATIENT, np.random.default_rng(0))
    after = site.scene.find("abdomen_left")[0].mesh.vertices[:, 2].max()
    assert 8.0 < after - before < 30.0


@pytest.mark.parametrize("step", [2.0, 6.0])
def test_a_broken_rib_steps_by_what_it_says_in_the_bone_image(step: float) -> None:
    one = Break("rib_left_06", 0.35, step, 0.0, gap_mm=0.5, oblique_mm=0.0)
    scene = build_scene(PATIENT)
    whole = next(solid for solid in scene.solids if solid.name == "rib_left_06").mesh
    apply([Fracture((one,))], scene, PATIENT, np.random.default_rng(0))
    pieces = [solid for solid in scene.find("rib_left_06_fracture_0") if "finding:fracture" in solid.labels]
    assert len(pieces) == 2
    # The faces of the break: last contour of the first piece, first contour of the second.
    first, second = (solid.mesh.vertices[:-2].reshape(8, -1, 3) for solid in pieces)
    offset = second[0].mean(axis=0) - first[-1].mean(axis=0)
    line = rings_of(whole).mean(axis=1)
    k = int(np.argmin(np.linalg.norm(line - first[-1].mean(axis=0), axis=1)))
    along = line[k + 1] - line[k - 1]
    along /= np.linalg.norm(along)
    assert offset @ along == pytest.approx(0.5, abs=0.3)
    assert np.linalg.norm(offset - (offset @ along) * along) == pytest.approx(step, abs=0.5)
    volume = sum(s.mesh.volume for s in scene.find("rib_left_06_fracture_0"))
    assert volume == pytest.approx(whole.volume, rel=0.03)


def test_fractures_show_in_the_true_bone_image() -> None:
    study = render_study(
        PATIENT, 256, [Fracture((Break("rib_left_05", 0.4, 5.0),))], lateral=False, oversample=1
    )
    well = render_study(PATIENT, 256, None, lateral=False, oversample=1)
    mask = study.masks["finding_fracture"] > 0
    change = np.abs(study.bone - well.bone)
    assert change[mask].mean() > 10.0 * change[~mask].mean()
    assert change[mask].max() > 0.02


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_device_is_opaque_and_on_the_film(kind: str) -> None:
    patient = replace(PATIENT, rotation=0.0)
    scene = build_scene(patient)
    apply([SupportDevices((Device(kind, 1, 30.0),))], scene, patient, np.random.default_rng(2))
    paths = trace(scene, frontal_view(patient, scene, 192))
    film = -np.log(primary(paths.lengths, paths.materials, beam(120.0)))
    clean = trace(build_scene(patient), frontal_view(patient, scene, 192))
    mask = paths.mask("finding:support_devices") > 0
    assert mask.sum() > 20
    assert np.median((film + np.log(primary(clean.lengths, clean.materials, beam(120.0))))[mask]) > 0.01


def test_a_tracheal_tube_ends_above_the_carina() -> None:
    scene = build_scene(PATIENT)
    apply([SupportDevices((Device("tracheal_tube", 1, 42.0),))], scene, PATIENT, np.random.default_rng(0))
    tip = scene.find("et_tube")[0].mesh.vertices[:, 2].min()
    assert tip - scene.landmarks["carina"][2] == pytest.approx(42.0, abs=12.0)


def test_site_unposes_what_the_posture_posed() -> None:
    site = Site(build_scene(PATIENT), PATIENT)
    points = np.random.default_rng(0).uniform(-120.0, 250.0, (200, 3))
    assert np.allclose(site.unpose(site.pose(points)), points, atol=1e-6)


def test_clouds_never_replace_more_than_there_is() -> None:
    scene = Scene()
    scene.add("lung_left", box((-50, -10, -50), (50, 10, 50)), LUNG, 1.0)
    centres = np.random.default_rng(0).uniform(-30.0, 30.0, (900, 3))
    scene.capsules.append(puffs("cloud", centres, 6.0, 0.5, SOFT, LUNG))
    camera = lateral_view(PATIENT, build_scene(PATIENT), 96)
    paths = trace(
        scene, replace(camera, centre=np.asarray([500.0, 0, 0]), source=np.asarray([-1300.0, 0, 0]))
    )
    assert paths.length("lung").min() >= 0.0
    assert paths.length("soft").max() > 0.9 * paths.lengths.sum(axis=2).max()


def test_one_puff_holds_the_volume_it_says() -> None:
    scene = Scene()
    scene.add("lung_left", box((-60, -60, -60), (60, 60, 60)), LUNG, 1.0)
    scene.capsules.append(puffs("cloud", np.zeros((1, 3)), 8.0, 0.3, SOFT, LUNG))
    axis = {"centre": np.asarray([1.0, 0.0, 0.0]), "source": np.asarray([-1e6, 0.0, 0.0])}
    camera = replace(lateral_view(PATIENT, build_scene(PATIENT), 128), sid=1e6, spacing=1.0, **axis)
    paths = trace(scene, camera)
    assert paths.length("soft").sum() == pytest.approx(0.3 * (2.0 * np.pi) ** 1.5 * 8.0**3, rel=0.03)


@lru_cache(maxsize=1)
def _many_labels() -> np.ndarray:
    patient = Patient()
    rng = np.random.default_rng(4)
    rows = [labels_of(draw_findings(rng, patient)) for _ in range(2500)]
    return np.asarray([[row[code] for code in CODES] for row in rows])


def test_prevalences_are_what_was_asked_for() -> None:
    labels = _many_labels()
    for code in ("cardiomegaly", "edema", "fracture", "pneumothorax", "pleural_effusion", "support_devices"):
        share = float(labels[:, CODES.index(code)].mean())
        assert share == pytest.approx(PREVALENCE[code], abs=4.0 * np.sqrt(PREVALENCE[code] / 2500)), code
    assert 0.40 < float((labels.sum(axis=1) == 0).mean()) < 0.65
    wanted = dict.fromkeys(CODES, 0.0) | {"fracture": 1.0}
    found = draw_findings(np.random.default_rng(0), Patient(), wanted)
    assert [one.code for one in found] == ["fracture"]


def test_labels_follow_the_hierarchy_and_go_together() -> None:
    labels = _many_labels()
    column = {code: labels[:, k] for k, code in enumerate(CODES)}
    for child in ("lung_lesion", "edema", "consolidation", "pneumonia", "atelectasis"):
        assert (column["lung_opacity"] >= column[child]).all()
    assert (column["enlarged_cardiomediastinum"] >= column["cardiomegaly"]).all()
    ill = labels[labels.sum(axis=1) > 0]
    edema, fluid = ill[:, CODES.index("edema")], ill[:, CODES.index("pleural_effusion")]
    assert fluid[edema == 1].mean() > 1.5 * fluid[edema == 0].mean()


def test_label_noise_misses_and_invents_but_keeps_the_hierarchy() -> None:
    clean = labels_of([CLASSES["fracture"](), CLASSES["edema"]()])
    rng = np.random.default_rng(0)
    noisy = [noisy_labels(clean, rng, missed=0.3, invented=0.05) for _ in range(800)]
    assert np.mean([row["fracture"] for row in noisy]) == pytest.approx(0.7, abs=0.07)
    assert np.mean([row["pleural_other"] for row in noisy]) == pytest.approx(0.05, abs=0.03)
    assert all(row["lung_opacity"] >= row["edema"] for row in noisy)
    assert noisy_labels(clean, rng, 0.0, 0.0) == clean


def test_one_seed_draws_one_case_and_findings_are_frozen() -> None:
    patient = Patient.draw(np.random.default_rng(3))
    one, two = (draw_findings(np.random.default_rng(6), patient, {"edema": 1.0}) for _ in range(2))
    assert one == two
    assert "edema" in [finding.code for finding in one]
    with pytest.raises((FrozenInstanceError, TypeError)):
        LungLesion().lesions = ()  # type: ignore[misc]


def test_draw_is_reproducible_down_to_the_film() -> None:
    one, two = (render_study(17, 96, "draw", oversample=1) for _ in range(2))
    assert np.array_equal(one.frontal, two.frontal)
    assert one.labels == two.labels
    assert all(np.array_equal(mask, two.lateral_masks[name]) for name, mask in one.lateral_masks.items())


def test_absurd_wishes_are_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match="broken_leg"):
        render_study(Patient(), 64, ["broken_leg"])
    with pytest.raises(InputError, match="'draw'"):
        render_study(Patient(), 64, "everything")
    with pytest.raises(InputError, match="prevalence"):
        draw_findings(np.random.default_rng(0), Patient(), {"edema": 1.5})
    with pytest.raises(InputError, match="jetpack"):
        Device("jetpack")


def test_dense_pneumonia_is_consolidation_as_well() -> None:
    thin, dense = (Pneumonia((Focus("left_lower", 45.0, filling, 0.5),)) for filling in (0.5, 0.8))
    assert thin.codes == ("pneumonia",)
    masks = finding_masks(_paths_with([dense]))
    assert labels_of([dense])["consolidation"] == 1
    assert masks["finding_consolidation"].sum() > 0.8 * masks["finding_pneumonia"].sum()


def test_masks_of_parents_hold_their_children() -> None:
    paths: Paths = _paths_with([Consolidation((Focus("left_lower", 60.0),)), Cardiomegaly(0.6)])
    masks = finding_masks(paths)
    assert (masks["finding_lung_opacity"] >= masks["finding_consolidation"]).all()
    assert (masks["finding_enlarged_cardiomediastinum"] >= masks["finding_cardiomegaly"]).all()


def _paths_with(findings: Sequence[Pathology]) -> Paths:
    patient = PATIENT
    for finding in findings:
        patient = finding.change_patient(patient, np.random.default_rng(1))
    scene = apply(findings, build_scene(patient), patient, np.random.default_rng(5))
    return trace(scene, frontal_view(patient, scene, 96))
