"""Physics of the digital thorax against closed forms and published values."""

from __future__ import annotations

import numpy as np
import pytest

from suite.phantom.camera import Camera, frontal_camera, lateral_camera
from suite.phantom.detector import Exposure, add_noise, expose, primary, quanta_per_pixel
from suite.phantom.materials import CORTEX, LUNG, MUSCLE, SOFT, WATER, Material, mass_attenuation
from suite.phantom.mesh import box, ellipsoid
from suite.phantom.projection import Paths, trace
from suite.phantom.scene import Scene
from suite.phantom.spectra import Beam, beam, fluence, half_value_layer


def _slab(material: Material, thickness: float, size: int = 32) -> Paths:
    lengths = np.full((size, size, 1), thickness, dtype=np.float32)
    return Paths((material,), lengths, (), np.zeros((size, size, 2), dtype=np.uint64))


@pytest.mark.parametrize(
    ("table", "energy", "expected"),
    [("water", 60.0, 0.2059), ("bone", 40.0, 0.6655), ("adipose", 80.0, 0.1800), ("lead", 100.0, 5.549)],
)
def test_table_gives_the_published_coefficients(table: str, energy: float, expected: float) -> None:
    assert mass_attenuation(table, energy) == pytest.approx(expected, rel=1e-9)


def test_interpolation_follows_a_power_law_between_entries() -> None:
    middle = float(mass_attenuation("water", np.sqrt(60.0 * 70.0)))
    assert middle == pytest.approx(np.sqrt(0.2059 * 0.1929), rel=1e-6)


@pytest.mark.parametrize(("kvp", "expected"), [(60.0, 2.31), (70.0, 2.66), (110.0, 4.22), (120.0, 4.62)])
def test_half_value_layers_are_those_of_spekpy(kvp: float, expected: float) -> None:
    assert half_value_layer(kvp, 3.0) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("kvp", "expected"), [(60.0, 45.0), (120.0, 65.5)])
def test_mean_energy_behind_the_patient(kvp: float, expected: float) -> None:
    b = beam(kvp, bins=40)
    behind = b.weights * np.exp(-mass_attenuation("soft", b.energies) * 12.7)
    assert (behind * b.energies).sum() / behind.sum() == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("kvp", [60.0, 120.0])
@pytest.mark.parametrize("thickness", [50.0, 100.0, 200.0])
def test_water_slab_transmits_as_the_full_spectrum_says(kvp: float, thickness: float) -> None:
    # Closed form: the integral over the 1 keV spectrum with the CsI absorption, straight from the tables.
    energies, photons = fluence(kvp, 3.0)
    csi = 1.0 - np.exp(-mass_attenuation("caesium_iodide", energies) * 0.06 * 4.51 * 0.75)
    signal = photons * energies * csi
    expected = (signal * np.exp(-mass_attenuation("water", energies) * thickness / 10.0)).sum() / signal.sum()
    lengths = np.full((1, 1, 1), thickness, dtype=np.float32)
    assert float(primary(lengths, (WATER,), beam(kvp))[0, 0]) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("kvp", "published"), [(60.0, 0.0619), (120.0, 0.1104)])
def test_signal_behind_ten_grams_of_soft_tissue(kvp: float, published: float) -> None:
    lengths = np.full((1, 1, 1), 100.0 / SOFT.density, dtype=np.float32)
    assert float(primary(lengths, (SOFT,), beam(kvp))[0, 0]) == pytest.approx(published, rel=0.06)


def _log_signal(grams_soft: float, grams_bone: float, kvp: float) -> float:
    lengths = np.asarray(
        [[[10.0 * grams_soft / SOFT.density, 10.0 * grams_bone / CORTEX.density]]], np.float32
    )
    return float(-np.log(primary(lengths, (SOFT, CORTEX), beam(kvp))[0, 0]))


@pytest.mark.parametrize("grams", [6.0, 10.0, 20.0])
def test_log_subtraction_cancels_to_the_published_residual(grams: float) -> None:
    w_soft = {6.0: 0.576, 10.0: 0.583, 20.0: 0.587}[grams]
    w_bone = {6.0: 0.801, 10.0: 0.812, 20.0: 0.822}[grams]
    soft_left = {6.0: 0.061, 10.0: 0.059, 20.0: 0.057}[grams]
    bone_left = {6.0: 0.152, 10.0: 0.140, 20.0: 0.124}[grams]

    def change(ds: float, db: float, kvp: float) -> float:
        return (_log_signal(grams + ds, db, kvp) - _log_signal(grams, 0.0, kvp)) / 0.1

    bone_low, bone_high = change(0.0, 0.1, 60.0), change(0.0, 0.1, 120.0)
    soft_low, soft_high = change(0.1, 0.0, 60.0), change(0.1, 0.0, 120.0)
    # With the published weights bone leaves the soft image and soft tissue leaves the bone image ...
    assert abs(bone_high - w_soft * bone_low) < 0.04 * bone_high
    assert abs(w_bone * soft_low - soft_high) < 0.03 * soft_high
    # ... and what remains of the other has the published contrast per g/cm2.
    assert soft_high - w_soft * soft_low == pytest.approx(soft_left, rel=0.15)
    assert w_bone * bone_low - bone_high == pytest.approx(bone_left, rel=0.10)


def _behind(b: Beam, grams: float) -> np.ndarray:
    return b.weights * np.exp(-mass_attenuation("soft", b.energies) * grams)


def test_noise_variance_is_inverse_to_the_dose() -> None:
    expected = np.full((256, 256), 0.05, dtype=np.float32)
    doses = (20.0, 80.0, 320.0)
    b = beam(120.0)
    # The tissue that leaves 5 % of the signal hardens the beam: fewer, larger portions for the same signal.
    tissue = min(np.linspace(5.0, 25.0, 401), key=lambda g: abs(_behind(b, g).sum() - 0.05))
    energy = _behind(b, tissue) @ b.energies / _behind(b, tissue).sum() / (b.weights @ b.energies)
    assert 1.05 < energy < 1.3
    relative = []
    for dose in doses:
        exposure = Exposure(beam(120.0), dose)
        noisy = add_noise(expected, exposure, 0.7, np.random.default_rng(3))
        relative.append(float(noisy.var()) * dose)
        assert float(noisy.mean()) == pytest.approx(0.05, rel=0.01)
        assert noisy.var() == pytest.approx(0.05 * energy / quanta_per_pixel(exposure, 0.7), rel=0.03)
    assert max(relative) / min(relative) < 1.05


@pytest.mark.parametrize(
    ("grid", "lung_range", "mediastinum_range"),
    [(False, (0.35, 0.65), (0.7, 0.93)), (True, (0.12, 0.38), (0.4, 0.7))],
)
def test_scatter_fraction_lies_in_the_published_range(
    grid: bool, lung_range: tuple[float, float], mediastinum_range: tuple[float, float]
) -> None:
    # A schematic chest: 30 cm of chest with two lungs of 17 cm depth and a 22 cm mediastinum between them.
    scene = Scene()
    scene.add("body", box((-150, -110, -160), (150, 110, 160)), MUSCLE, 1.0)
    for side in (-1.0, 1.0):
        scene.add(f"lung{side}", ellipsoid((side * 75.0, 0, 0), (55, 85, 120)), LUNG, 2.0)
    camera = frontal_camera("PA", 96, 380.0, 0.0, 1800.0, -140.0)
    exposure = Exposure(beam(120.0), grid=grid, noise=False)
    fraction = expose(
        trace(scene, camera), exposure, camera.spacing, np.random.default_rng(0)
    ).scatter_fraction
    middle = 48
    lung = round(middle + 75.0 * 1.08 / camera.spacing)
    assert lung_range[0] < fraction[middle, lung] < lung_range[1]
    assert mediastinum_range[0] < fraction[middle, middle] < mediastinum_range[1]


def test_no_scatter_and_no_noise_leave_the_primary() -> None:
    exposure = Exposure(beam(120.0), scatter=False, noise=False)
    signal = expose(_slab(WATER, 100.0), exposure, 0.7, np.random.default_rng(0))
    assert np.allclose(signal.noisy, primary(_slab(WATER, 100.0).lengths, (WATER,), beam(120.0)), rtol=1e-5)


def _width_mm(camera: Camera, scene: Scene) -> float:
    mask = trace(scene, camera).mask("ball")
    return float(mask.any(axis=0).sum()) * camera.spacing


@pytest.mark.parametrize(("projection", "factor"), [("PA", 1800.0 / 1600.0), ("AP", 1000.0 / 800.0)])
def test_magnification_is_that_of_the_cone(projection: str, factor: float) -> None:
    scene = Scene()
    scene.add("ball", ellipsoid((0, 0, 0), (30, 30, 30), 48, 72), WATER, 1.0, "ball")
    sid = 1800.0 if projection == "PA" else 1000.0
    camera = frontal_camera(projection, 512, 300.0, 0.0, sid, -200.0 if projection == "PA" else 200.0)
    assert camera.magnification(np.zeros(3)) == pytest.approx(factor)
    assert _width_mm(camera, scene) == pytest.approx(60.0 * factor, abs=1.3)


def test_patients_left_is_on_the_pictures_right_in_both_directions() -> None:
    scene = Scene()
    scene.add("ball", ellipsoid((60, 0, 40), (10, 10, 10)), WATER, 1.0, "ball")
    for projection, y in (("PA", -200.0), ("AP", 200.0)):
        rows, columns = np.nonzero(
            trace(scene, frontal_camera(projection, 128, 300.0, 0.0, 1800.0, y)).mask("ball")
        )
        assert columns.mean() > 80
        assert rows.mean() < 60
    lateral = lateral_camera(128, 300.0, 0.0, 0.0, 1800.0, 200.0)
    front = Scene()
    front.add("ball", ellipsoid((0, -60, 0), (10, 10, 10)), WATER, 1.0, "ball")
    assert np.nonzero(trace(front, lateral).mask("ball"))[1].mean() < 48
