"""A computed study: films, exposures, truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom import display, marks, truth
from suite.phantom.anatomy import build_scene, with_arms
from suite.phantom.camera import Camera, frontal_camera, lateral_camera
from suite.phantom.detector import Exposure, expose
from suite.phantom.filters import fractal
from suite.phantom.materials import FAT, MUSCLE
from suite.phantom.motion import beat
from suite.phantom.pathology.draw import findings_from, labels_of
from suite.phantom.patient import Patient
from suite.phantom.projection import Paths, trace
from suite.phantom.scene import Scene
from suite.phantom.spectra import beam
from suite.study import Projection, Radiograph

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]


class SceneEdit(Protocol):
    """One change of the healthy scene; pathology implements it.

    ``codes`` are the finding labels it makes true. Solids it adds carry the label ``finding:<code>`` so that
    masks and boxes follow in both views.
    """

    @property
    def codes(self) -> tuple[str, ...]:
        """Finding codes this change makes true."""
        ...

    def change_patient(self, patient: Patient, rng: np.random.Generator) -> Patient:
        """The patient with other parameters (a larger heart, a raised dome), before the scene is built."""
        ...

    def change_scene(self, scene: Scene, patient: Patient, rng: np.random.Generator) -> None:
        """Edit the posed scene in place. Called once per view with an identical generator."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PhantomStudy:
    """Everything known about one computed study. Films are float32 (H, W).

    Attributes:
        patient: parameters after the findings' changes.
        frontal, lateral: display films in [0, 1], bone white; ``lateral`` may be ``None``.
        raw: the frontal's linear detector signal, 1 in the open beam.
        low, high: linear signals of the 60 and 120 kVp exposures.
        bone, soft: bone-only and soft-tissue-only films on the frontal's scale; frontal = bone + soft.
        masks, lateral_masks: uint8 (H, W) by name, see ``truth.frontal_masks``.
        labels: the 13 finding codes to 0 or 1.
        boxes: (view, code) to [x0, y0, x1, y1) pixels.
        spacing, lateral_spacing: mm per pixel at the detector, (row, column), of each view.
        cardiothoracic_ratio: measured on the masks.
        measurements: named lengths in mm, from the scene.
    """

    patient: Patient
    frontal: Image
    lateral: Image | None
    raw: Image
    low: Image
    high: Image
    bone: Image
    soft: Image
    masks: dict[str, Mask]
    lateral_masks: dict[str, Mask]
    labels: dict[str, int]
    boxes: dict[tuple[str, str], Box]
    spacing: tuple[float, float]
    cardiothoracic_ratio: float
    measurements: dict[str, float] = field(default_factory=dict)
    lateral_spacing: tuple[float, float] | None = None

    def radiograph(self, view: Literal["frontal", "lateral"] = "frontal") -> Radiograph:
        """One film as the suite's intake would hand it on.

        Raises:
            InputError: the view was not rendered.
        """
        pixels = self.frontal if view == "frontal" else self.lateral
        if pixels is None:
            raise InputError(f"the phantom has no {view} film; render it with lateral=True.")
        kind = Projection(self.patient.technique.projection) if view == "frontal" else Projection.LATERAL
        name = f"phantom-{self.patient.seed}-{view}"
        age = f"{round(self.patient.age):03d}Y"
        headers = {"patient_age": age, "patient_sex": self.patient.sex}
        spacing = self.spacing if view == "frontal" else self.lateral_spacing
        return Radiograph(pixels, kind, name, spacing, headers=headers)


def render_study(
    patient: Patient | int,
    size: int = 512,
    findings: Sequence[SceneEdit | str] | str | None = None,
    lateral: bool = True,
    motion: bool = False,
    oversample: int = 0,
) -> PhantomStudy:
    """Expose one patient and collect the truth.

    Args:
        patient: parameters, or a seed from which they are drawn.
        size: rows and columns of the square films.
        findings: ``None`` for a healthy chest, "draw" for what chance gives this patient, or a sequence of
            finding codes (random cases) and finding objects, applied in order. They draw from streams of
            their own: the same patient without them is the same down to the noise.
        lateral: also expose the left lateral.
        motion: let the heart beat and the body sway between the low and the high exposure.
        oversample: rays per pixel side; 0 chooses 2 for frontals up to 640 pixels and 1 for all other films.

    Raises:
        InputError: a film size below 64 or above 4096, or an unknown display vendor.
    """
    if not 64 <= size <= 4096:
        raise InputError(f"a phantom of {size} pixels cannot be rendered; ask for 64 to 4096.")
    if not isinstance(patient, Patient):
        patient = Patient.draw(np.random.default_rng(patient))
    streams = np.random.SeedSequence([patient.seed, 7]).spawn(4)
    edits = findings_from(findings, patient, np.random.default_rng([patient.seed, 13]))
    patient = _changed(patient, edits, streams[0])
    scene = build_scene(patient)
    raised = _edited(with_arms(scene, patient, "raised"), patient, edits, streams[1]) if lateral else None
    scene = _edited(scene, patient, edits, streams[1])
    rays = oversample or (2 if size <= 640 else 1)
    view = _Frontal(patient, scene, size, rays, np.random.default_rng(streams[2]), motion)
    side = None
    if raised is not None:
        side = _lateral(patient, raised, size, oversample or 1, streams[3])
    labels = labels_of(edits)
    boxes = _boxes({"frontal": view.masks, "lateral": side[1] if side else {}})
    return PhantomStudy(
        patient=patient, frontal=view.film, lateral=side[0] if side else None, raw=view.raw, low=view.low,
        high=view.high, bone=view.bone, soft=view.soft, masks=view.masks,
        lateral_masks=side[1] if side else {},
        labels=labels, boxes=boxes,
        spacing=(view.camera.spacing, view.camera.spacing),
        lateral_spacing=(side[2], side[2]) if side else None,
        cardiothoracic_ratio=truth.cardiothoracic_ratio(view.masks), measurements=dict(scene.measurements),
    )  # fmt: skip


def _changed(patient: Patient, edits: Sequence[SceneEdit], stream: np.random.SeedSequence) -> Patient:
    for edit, rng in zip(edits, _generators(edits, stream), strict=True):
        patient = edit.change_patient(patient, rng)
    return patient


def _edited(
    scene: Scene, patient: Patient, edits: Sequence[SceneEdit], stream: np.random.SeedSequence
) -> Scene:
    """Apply the findings to the scene in place, each with its own generator, the same for every view."""
    for edit, rng in zip(edits, _generators(edits, stream), strict=True):
        edit.change_scene(scene, patient, rng)
    return scene


def _generators(edits: Sequence[SceneEdit], stream: np.random.SeedSequence) -> Iterator[np.random.Generator]:
    """One generator per finding, whichever others are there: keyed by code and how often it came before."""
    before: Counter[str] = Counter()
    for edit in edits:
        code = edit.codes[0]
        key = (*stream.spawn_key, CODES.index(code), before[code])
        before[code] += 1
        yield np.random.default_rng(np.random.SeedSequence(stream.entropy, spawn_key=key))


def _boxes(views: dict[str, dict[str, Mask]]) -> dict[tuple[str, str], Box]:
    out: dict[tuple[str, str], Box] = {}
    for view, masks in views.items():
        for name, mask in masks.items():
            place = truth.box(mask) if name.startswith("finding_") else None
            if place is not None:
                out[view, name.removeprefix("finding_")] = place
    return out


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


def add_texture(paths: Paths, spacing: float, rng: np.random.Generator) -> None:
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


class _Frontal:
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
        add_texture(paths, self.camera.spacing, np.random.default_rng(texture))
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
            add_texture(paths, spacing, np.random.default_rng(texture))
        self.low = marks.shaded(expose(paths, replace(standard, beam=beam(60.0)), spacing, rng).noisy, lead)


def _lateral(
    patient: Patient, scene: Scene, size: int, rays: int, stream: np.random.SeedSequence
) -> tuple[Image, dict[str, Mask], float]:
    rng = np.random.default_rng(stream)
    camera = lateral_view(patient, scene, size)
    paths = trace(scene, camera, rays)
    masks = truth.lateral_masks(paths)
    add_texture(paths, camera.spacing, rng)
    t = patient.technique
    exposure = Exposure(beam(max(t.kvp, 100.0)), 2.5 * t.exposure_ugy, True, magnification=1.15)
    side = replace(t, marker="L" if t.marker else "", marker_place=(t.marker_place[1], t.marker_place[1]))
    signal = marks.shaded(expose(paths, exposure, camera.spacing, rng).noisy, marks.letter(side, size))
    log_film = display.log_film(signal)
    # Lungs take less of a lateral than of a frontal film, and its greys are set darker.
    how = display.choose(log_film, t.vendor, 1.35 * t.gamma, t.level, anchors=(9.0, 88.0))
    return _shutter(how.apply(log_film), t.collimation), masks, camera.spacing


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


def dual_energy(
    study: PhantomStudy, bone_weight: float = 0.812, soft_weight: float = 0.583
) -> dict[str, Any]:
    """Bone and soft-tissue images as dual-energy hardware subtracts them, -ln scale, with its artefacts.

    Weights are the ratios of attenuation at 120 and 60 kVp behind 10 g/cm2: soft tissue cancels in
    ``bone = w_b L - H``, bone in ``soft = H - w_s L``.
    """
    low, high = display.log_film(study.low), display.log_film(study.high)
    return {"bone": bone_weight * low - high, "soft": high - soft_weight * low}
