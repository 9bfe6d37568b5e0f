"""A computed study: films, exposures, truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom import display, truth
from suite.phantom.anatomy import build_scene, with_arms
from suite.phantom.pathology.draw import findings_from, labels_of
from suite.phantom.patient import Patient
from suite.phantom.scene import Scene
from suite.phantom.truth import Mask
from suite.phantom.views import FrontalFilms, Image, expose_lateral
from suite.study import Projection, Radiograph

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
    view = FrontalFilms(patient, scene, size, rays, np.random.default_rng(streams[2]), motion)
    side = None
    if raised is not None:
        side = expose_lateral(patient, raised, size, oversample or 1, streams[3])
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


def dual_energy(
    study: PhantomStudy, bone_weight: float = 0.812, soft_weight: float = 0.583
) -> dict[str, Any]:
    """``subtract_exposures`` of a study's own two."""
    return subtract_exposures(study.low, study.high, bone_weight, soft_weight)


def subtract_exposures(
    low: Image, high: Image, bone_weight: float = 0.812, soft_weight: float = 0.583
) -> dict[str, Image]:
    """Bone and soft-tissue images as dual-energy hardware subtracts them, -ln scale, with its artefacts.

    Weights are the ratios of attenuation at 120 and 60 kVp behind 10 g/cm2: soft tissue cancels in
    ``bone = w_b L - H``, bone in ``soft = H - w_s L``.

    Args:
        low, high: what the detector received at 60 and 120 kVp, (H, W), as a share of the open beam's.
    """
    low, high = display.log_film(low), display.log_film(high)
    return {"bone": bone_weight * low - high, "soft": high - soft_weight * low}
