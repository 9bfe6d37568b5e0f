"""The two views of a computed chest: where the camera stands, the films it exposes, the masks behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from suite.phantom import display, marks, truth
from suite.phantom.camera import Camera, frontal_camera, lateral_camera
from suite.phantom.detector import Exposure, expose
from suite.phantom.filters import fractal
from suite.phantom.materials import FAT, MUSCLE
from suite.phantom.motion import beat
from suite.phantom.patient import Patient
from suite.phantom.projection import Paths, trace
from suite.phantom.scene import Scene
from suite.phantom.spectra import beam
from suite.phantom.truth import Mask

Image = npt.NDArray[np.float32]


class FrontalFilms:
    """The frontal view's films and masks."""

    def __init__(
        self, patient: Patient, scene: Scene, size: int, rays: int, rng: np.random.Generator, motion: bool
    ) -> None:
        t = patient.technique
        self.camera = frontal_view(patient, scene, size)
        middle = self.camera.magnification(scene.landmarks["centre"])
        paths = trace(scene, self.camera, rays)
        self.masks = truth.frontal_masks(paths)
        texture = int(rng.integers(2**31))
        _add_texture(paths, self.camera.spacing, np.random.default_rng(texture))
        spacing = self.camera.spacing
        standard = Exposure(beam(t.kvp), t.exposure_ugy, t.grid, magnification=middle)
        signal = expose(paths, standard, spacing, rng)
        lead, text = marks.letter(t, size), marks.lettering(t, size)
        self.raw = marks.shaded(signal.noisy, lead)
        boneless = expose(paths.without_bone(), replace(standard, noise=False), spacing, rng)
        log_standard = display.log_film(self.raw)
        # The soft-tissue film carries the standard film's own noise, so the bone film is free of it.
        log_soft = display.log_film(boneless.expected) + (log_standard - display.log_film(signal.expected))
        how = display.choose(log_standard, t.vendor, t.gamma, t.level)
        self.film = marks.written(_shutter(how.apply(log_standard), t.collimation), text)
        self.soft = marks.written(_shutter(how.apply(log_soft), t.collimation), text)
        self.bone = self.film - self.soft
        high = expose(paths, replace(standard, beam=beam(120.0)), spacing, rng).noisy
        self.high = marks.shaded(high, lead)
        if motion:
            moved = beat(scene, rng)
            paths = trace(moved, self.camera, rays)
            _add_texture(paths, spacing, np.random.default_rng(texture))
        self.low = marks.shaded(expose(paths, replace(standard, beam=beam(60.0)), spacing, rng).noisy, lead)


def expose_lateral(
    patient: Patient, scene: Scene, size: int, rays: int, stream: np.random.SeedSequence
) -> tuple[Image, dict[str, Mask], float]:
    rng = np.random.default_rng(stream)
    camera = lateral_view(patient, scene, size)
    paths = trace(scene, camera, rays)
    masks = truth.lateral_masks(paths)
    _add_texture(paths, camera.spacing, rng)
    t = patient.technique
    exposure = Exposure(beam(max(t.kvp, 100.0)), 2.5 * t.exposure_ugy, True, magnification=1.15)
    side = replace(t, marker="L" if t.marker else "", marker_place=(t.marker_place[1], t.marker_place[1]))
    signal = marks.shaded(expose(paths, exposure, camera.spacing, rng).noisy, marks.letter(side, size))
    log_film = display.log_film(signal)
    # Lungs take less of a lateral than of a frontal film, and its greys are set darker.
    how = display.choose(log_film, t.vendor, 1.35 * t.gamma, t.level, anchors=(9.0, 88.0))
    return _shutter(how.apply(log_film), t.collimation), masks, camera.spacing


def frontal_view(patient: Patient, scene: Scene, size: int) -> Camera:
    """The frontal film's camera: as near as the patient's skin allows, centred on the chest."""
    t = patient.technique
    skin = scene.find("body_fat")[0].mesh.vertices[:, 1]
    front = [s.mesh.vertices[:, 1].min() for s in scene.find("breast_")]
    detector = (
        min(float(skin.min()), *front, 0.0) - t.gap if t.projection == "PA" else float(skin.max()) + t.gap
    )
    centre = scene.landmarks["centre"]
    # Technologists centre so that apices and sulci are on the film; tall chests get it lower.
    z = 0.5 * (scene.landmarks["apex_left"][2] + 0.0) - 11.0 + t.shift_z
    return frontal_camera(t.projection, size, t.field_mm, z, t.sid, detector, float(centre[0]) + t.shift_x)


def lateral_view(patient: Patient, scene: Scene, size: int) -> Camera:
    """The left lateral's camera, always erect at 180 cm."""
    skin = scene.find("body_fat")[0].mesh.vertices
    trunk = skin[(skin[:, 2] > 0.0) & (skin[:, 2] < 0.6 * patient.lung_height)]
    y = 0.5 * float(trunk[:, 1].min() + trunk[:, 1].max())
    field_mm = max(0.95 * patient.technique.field_mm, 1.16 * float(patient.lung_height) + 20.0)
    z = 0.46 * patient.lung_height + 0.5 * patient.technique.shift_z
    detector = float(trunk[:, 0].max()) + 25.0
    return lateral_camera(size, field_mm, y, z, 1800.0, detector)


def _add_texture(paths: Paths, spacing: float, rng: np.random.Generator) -> None:
    """Streaks of fat in muscle and uneven lung aeration, in place: the film's anatomical noise."""
    finest = max(0, round(np.log2(1.4 / spacing)))
    shape = paths.lengths.shape[:2]
    marbling = fractal(shape, rng, 0.62, levels=7, finest=finest)
    names = [material.name for material in paths.materials]
    if "muscle" in names and "fat" in names:
        swap = np.float32(0.045) * marbling * paths.lengths[..., names.index("muscle")]
        paths.lengths[..., paths.materials.index(MUSCLE)] -= swap
        paths.lengths[..., paths.materials.index(FAT)] += swap
    aeration = np.float32(1.0) + np.float32(0.035) * fractal(shape, rng, 0.78, levels=6, finest=finest)
    for k, name in enumerate(names):
        if name == "lung":
            paths.lengths[..., k] *= aeration


def _shutter(film: Image, shares: tuple[float, float, float, float]) -> Image:
    rows, columns = film.shape
    left, right, top, bottom = shares
    if not any(shares):
        return film
    out = np.zeros_like(film)
    inner = (slice(round(top * rows), rows - round(bottom * rows)),
             slice(round(left * columns), columns - round(right * columns)))  # fmt: skip
    out[inner] = film[inner]
    return out
