"""A computed limb: film, tissue map, and how it was taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from suite.errors import InputError
from suite.phantom import display
from suite.phantom.camera import Camera, frontal_camera
from suite.phantom.detector import Exposure, expose
from suite.phantom.display import Processing
from suite.phantom.filters import fractal
from suite.phantom.limbs import parts
from suite.phantom.limbs.parts import Framing
from suite.phantom.limbs.workshop import YELLOW_MARROW, Physique, Workshop, mirror_scene, rotation
from suite.phantom.materials import FAT, MUSCLE
from suite.phantom.patient import VENDORS
from suite.phantom.projection import Paths, trace
from suite.phantom.scene import Scene
from suite.phantom.spectra import beam
from suite.study import Projection, Radiograph

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]

OPEN_BEAM: Final = 0
SOFT: Final = 1
BONE: Final = 2
METAL: Final = 3

_PROJECTIONS: Final = {"PA": Projection.PA, "AP": Projection.AP, "LL": Projection.LATERAL}


@dataclass(frozen=True, slots=True, eq=False)
class LimbStudy:
    """Everything known about one computed limb.

    Attributes:
        part: hand, wrist, elbow, shoulder, knee, ankle, foot or pelvis.
        view: PA, AP or LL.
        laterality: R or L; U for the pelvis.
        image: float32 (H, W) in [0, 1], bone white.
        tissue: uint8 (H, W): 0 open beam or shutter, 1 soft tissue, 2 bone, 3 metal.
        spacing: mm per pixel at the detector, (row, column).
        implants: kinds of metal in it, empty for none.
        kvp, sid, vendor: technique and display style.
    """

    part: str
    view: str
    laterality: str
    image: Image
    tissue: Mask
    spacing: tuple[float, float]
    implants: tuple[str, ...]
    kvp: float
    sid: float
    vendor: str
    seed: int

    def radiograph(self) -> Radiograph:
        """The film as the suite's intake would hand it on."""
        source = f"phantom-{self.part}-{self.seed}"
        return Radiograph(self.image, _PROJECTIONS[self.view], source, self.spacing)


def render_limb(part: str, seed: int, size: int = 512) -> LimbStudy:
    """Expose one limb; everything about it is drawn from ``seed``.

    Args:
        part: one of ``PARTS``.
        size: rows and columns of the film.

    Raises:
        InputError: an unknown part, a negative seed, or a size outside 64 to 4096.
    """
    if part not in parts.BUILDERS:
        raise InputError(f"body part {part!r} is not known; use one of {', '.join(parts.BUILDERS)}.")
    if not 64 <= size <= 4096:
        raise InputError(f"a limb of {size} pixels cannot be rendered; ask for 64 to 4096.")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; give 0 or more.")
    rng = np.random.default_rng(np.random.SeedSequence([seed, list(parts.BUILDERS).index(part)]))
    workshop = Workshop(rng, Physique.draw(rng))
    framing = parts.BUILDERS[part](workshop)
    laterality = "U" if part == "pelvis" else str(rng.choice(["R", "L"]))
    _pose(workshop, framing, rng, laterality == "L")
    camera, sid = _camera(workshop.scene, framing, size, rng)
    paths = trace(workshop.scene, camera, 2 if size <= 640 else 1)
    tissue = _tissue(paths)
    vendor = str(rng.choice(VENDORS))
    kvp = float(np.clip(framing.kvp + rng.normal(0.0, 3.0), 44.0, 90.0))
    image = _film(paths, camera.spacing, kvp, vendor, tissue, framing.grid, rng)
    _shutter(image, tissue, rng)
    return LimbStudy(
        part, framing.view, laterality, image, tissue, (camera.spacing, camera.spacing),
        tuple(workshop.implants), kvp,
        sid, vendor, seed,
    )  # fmt: skip


def _pose(workshop: Workshop, framing: Framing, rng: np.random.Generator, left: bool) -> None:
    """Turn the limb as it lies on the detector: not quite straight."""
    scene = workshop.scene
    size = workshop.physique.size
    middle = size * np.asarray(framing.middle)
    turns: list[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = [
        rotation("z", framing.turn + float(rng.normal(0.0, framing.wobble)), middle),
        rotation("x", float(rng.normal(0.0, framing.wobble)), middle),
        rotation("y", float(rng.normal(0.0, framing.roll)), middle),
    ]
    for turn in turns:
        scene.move(turn)
    framing.middle = (float(middle[0]), float(middle[1]), float(middle[2]))
    if left:
        mirror_scene(scene)
        framing.middle = (-framing.middle[0], framing.middle[1], framing.middle[2])


def _camera(scene: Scene, framing: Framing, size: int, rng: np.random.Generator) -> tuple[Camera, float]:
    skin = np.concatenate([solid.mesh.vertices for solid in scene.solids if "soft" in solid.labels])
    field = framing.field_mm * float(rng.uniform(0.9, 1.12))
    near = np.hypot(skin[:, 0] - framing.middle[0], skin[:, 2] - framing.middle[2]) < field
    detector = float(skin[near, 1].max()) + float(rng.uniform(3.0, 20.0))
    sid = float(rng.uniform(1000.0, 1150.0))
    shift = rng.normal(0.0, 0.03 * field, 2)
    x, z = framing.middle[0] + float(shift[0]), framing.middle[2] + float(shift[1])
    return frontal_camera("AP", size, field, z, sid, detector, x), sid


def _tissue(paths: Paths) -> Mask:
    gas = [k for k, material in enumerate(paths.materials) if material.density < 0.05]
    dense = paths.lengths.sum(axis=2) - paths.lengths[..., gas].sum(axis=2)
    tissue = np.where(dense > 0.5, SOFT, OPEN_BEAM).astype(np.uint8)
    tissue[paths.mask("bone", *parts.CHEST_BONES) > 0] = BONE
    tissue[paths.mask("metal") > 0] = METAL
    return tissue


def _add_texture(paths: Paths, spacing: float, rng: np.random.Generator) -> None:
    """Trabeculae and fat streaks, in place."""
    shape = paths.lengths.shape[:2]
    finest = max(0, round(np.log2(0.35 / spacing)))
    names = [material.name for material in paths.materials]
    if "marrow" in names and "yellow_marrow" in names:
        trabeculae = fractal(shape, rng, 0.95, levels=5, finest=finest)
        swap = np.clip(0.11 * trabeculae, -0.3, 0.3) * paths.lengths[..., names.index("marrow")]
        paths.lengths[..., names.index("marrow")] -= swap
        paths.lengths[..., paths.materials.index(YELLOW_MARROW)] += swap
    if "muscle" in names and "fat" in names:
        marbling = fractal(shape, rng, 0.7, levels=7, finest=max(0, round(np.log2(1.0 / spacing))))
        swap = np.float32(0.035) * marbling * paths.lengths[..., names.index("muscle")]
        paths.lengths[..., paths.materials.index(MUSCLE)] -= swap
        paths.lengths[..., paths.materials.index(FAT)] += swap


def _film(
    paths: Paths, spacing: float, kvp: float, vendor: str, tissue: Mask, grid: bool, rng: np.random.Generator
) -> Image:
    _add_texture(paths, spacing, rng)
    kerma = float(np.exp(rng.normal(np.log(6.0), 0.4)))
    exposure = Exposure(beam(round(kvp, 1)), (12.0 if grid else 1.0) * kerma, grid, magnification=1.08)
    log = display.log_film(expose(paths, exposure, spacing, rng).noisy)
    return _display(log, tissue, vendor, rng).apply(log)


def _display(log: Image, tissue: Mask, vendor: str, rng: np.random.Generator) -> Processing:
    """A display whose dark anchor is thin flesh and whose bright one is dense bone, as for limbs."""
    soft, bone = log[tissue == SOFT], log[tissue == BONE]
    low = float(np.percentile(soft, rng.uniform(10.0, 40.0))) if soft.size else 0.2
    high = float(np.percentile(bone, rng.uniform(93.0, 98.5))) if bone.size else low + 1.0
    pivot = 0.5 * (low + high)
    how = display.style(vendor)
    # Limb programs keep the open beam black, which is darker than a chest's lungs.
    how = replace(how, dark=0.6 * how.dark, bright=min(how.bright, 0.86))
    # Contrast gains spread the anchors on the working scale too.
    low, high = (pivot + how.coarse * (value - pivot) for value in (low, high))
    gamma = float(np.exp(rng.normal(0.0, 0.15)))
    return Processing(how, low, max(high, low + 0.15), pivot, gamma, float(rng.normal(0.0, 0.03)))


def _shutter(image: Image, tissue: Mask, rng: np.random.Generator) -> None:
    """Cover the margins of a third of all films, in place; what is covered counts as open beam."""
    if rng.random() > 0.35:
        return
    size = len(image)
    left, right, top, bottom = (round(share * size) for share in rng.uniform(0.0, 0.09, 4))
    for picture in (image, tissue):
        picture[:top] = 0
        picture[size - bottom :] = 0
        picture[:, :left] = 0
        picture[:, size - right :] = 0
