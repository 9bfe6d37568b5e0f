"""From a scene and a camera to path lengths per material and the structures on every ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from suite.phantom import raycast
from suite.phantom.camera import Camera
from suite.phantom.cloud import Cloud
from suite.phantom.materials import MUSCLE, Material
from suite.phantom.scene import Capsules, Scene, Solid

MAX_BAND_EVENTS = 24_000_000
"""Crossings held at once (8 bytes each): bounds the memory of large films."""


@dataclass(slots=True, eq=False)
class Paths:
    """What every ray of a film went through.

    Attributes:
        materials: the columns of ``lengths``.
        lengths: (H, W, M) float32, mm of each material.
        labels: names of the label bits.
        bits: (H, W, 2) uint64, bit ``k`` of word ``k // 64`` set where the ray crosses label ``k``.
    """

    materials: tuple[Material, ...]
    lengths: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    bits: npt.NDArray[np.uint64]

    def mask(self, *names: str) -> npt.NDArray[np.uint8]:
        """Union of the named structures' projections, (H, W) 0 or 1; names not in the scene are empty."""
        out = np.zeros(self.bits.shape[:2], dtype=bool)
        for word in range(2):
            wanted = sum(
                1 << (k % 64) for k, one in enumerate(self.labels) if one in names and k // 64 == word
            )
            if wanted:
                out |= (self.bits[..., word] & np.uint64(wanted)) != 0
        return out.astype(np.uint8)

    def length(self, *names: str) -> npt.NDArray[np.float32]:
        """Millimetres through the named materials together, (H, W)."""
        out = np.zeros(self.lengths.shape[:2], dtype=np.float32)
        for k, material in enumerate(self.materials):
            if material.name in names:
                out += self.lengths[..., k]
        return out

    def without_bone(self) -> Paths:
        """The same rays with every bone material replaced by muscle of the same length."""
        keep = tuple(material for material in self.materials if not material.bone)
        lengths = self.lengths[..., [k for k, m in enumerate(self.materials) if not m.bone]].copy()
        bone = [k for k, m in enumerate(self.materials) if m.bone]
        if bone:
            if MUSCLE not in keep:
                keep = (*keep, MUSCLE)
                lengths = np.concatenate([lengths, np.zeros_like(lengths[..., :1])], axis=-1)
            for k in bone:
                lengths[..., keep.index(MUSCLE)] += self.lengths[..., k]
        return Paths(keep, lengths, self.labels, self.bits)


def trace(scene: Scene, camera: Camera, rays: int = 1) -> Paths:
    """Path lengths per film pixel, averaged over ``rays`` x ``rays`` rays; labels from the pixel's middle.

    Capsules are drawn at the film's own matrix: their sections already spread over at least a pixel.
    """
    materials = scene.materials()
    labels = scene.label_names()
    fine = replace(
        camera, rows=camera.rows * rays, columns=camera.columns * rays, spacing=camera.spacing / rays
    )
    lengths = np.zeros((fine.rows, fine.columns, max(len(materials), 1)), dtype=np.float32)
    bits = np.zeros((fine.rows, fine.columns, 2), dtype=np.uint64)
    if scene.solids:
        _trace_solids(scene.solids, fine, materials, labels, lengths, bits)
    if rays > 1:
        averaged = np.empty((camera.rows, camera.columns, lengths.shape[2]), dtype=np.float32)
        raycast.average(lengths, rays, averaged)
        lengths, bits = averaged, np.ascontiguousarray(bits[rays // 2 :: rays, rays // 2 :: rays])
    for capsules in scene.capsules:
        _add_capsules(capsules, camera, materials, labels, lengths, bits)
    return Paths(materials, lengths, labels, bits)


def _words(labels: Sequence[str], names: tuple[str, ...]) -> list[int]:
    out = [0, 0]
    for name in labels:
        k = names.index(name)
        out[k // 64] |= 1 << (k % 64)
    return out


def _trace_solids(
    solids: list[Solid], camera: Camera, materials: tuple[Material, ...], labels: tuple[str, ...],
    lengths: npt.NDArray[np.float32], bits: npt.NDArray[np.uint64],
) -> None:  # fmt: skip
    order = sorted(solids, key=lambda solid: solid.priority)
    if len(order) > 32000:
        raise ValueError(f"{len(order)} solids in one scene; at most 32000 fit the sort key")
    start = np.cumsum([0] + [len(solid.mesh.vertices) for solid in order])
    vertices = camera.project(np.concatenate([solid.mesh.vertices for solid in order]))
    faces = np.concatenate(
        [solid.mesh.faces + np.int32(first) for solid, first in zip(order, start, strict=False)]
    )
    owner = np.repeat(np.arange(len(order)), [len(solid.mesh.faces) for solid in order])
    material = np.asarray([materials.index(solid.material) for solid in order])
    words = np.asarray([_words(solid.labels, labels) for solid in order], dtype=np.uint64)
    column, row, depth = (np.ascontiguousarray(vertices[:, k]) for k in range(3))
    obliquity = ray_obliquity(camera)
    enter = _entering_bit(camera)
    width = camera.columns
    step = np.zeros((camera.rows, width + 1), dtype=np.int32)
    raycast.count_crossings(column, row, faces, 0, camera.rows, width, step)
    counts = np.cumsum(step, axis=1)[:, :width]
    for first, last in _bands(counts.sum(axis=1)):
        offsets = np.zeros((last - first) * width + 1, dtype=np.int64)
        np.cumsum(counts[first:last].ravel(), out=offsets[1:])
        events = np.empty(int(offsets[-1]), dtype=np.int64)
        raycast.fill_crossings(
            column, row, depth, faces, owner, first, last, width, offsets[:-1].copy(), events
        )
        raycast.sweep(
            events, offsets, enter, material, words, obliquity[first:last].ravel(),
            lengths[first:last].reshape(-1, lengths.shape[2]), bits[first:last].reshape(-1, 2), len(order),
        )  # fmt: skip


def _bands(per_row: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    bands, first, held = [], 0, 0
    for row, count in enumerate(per_row):
        if held + count > MAX_BAND_EVENTS and row > first:
            bands.append((first, row))
            first, held = row, 0
        held += int(count)
    return [*bands, (first, len(per_row))]


def ray_obliquity(camera: Camera) -> npt.NDArray[np.float64]:
    """(H, W) millimetres of ray per millimetre of depth along the beam's axis."""
    offset = camera.centre - camera.source
    u = (np.arange(camera.columns) - (camera.columns - 1) / 2) * camera.spacing + offset @ camera.right
    v = (np.arange(camera.rows) - (camera.rows - 1) / 2) * camera.spacing + offset @ camera.down
    return np.asarray(np.sqrt(1.0 + (u[None, :] ** 2 + v[:, None] ** 2) / camera.sid**2))


def _entering_bit(camera: Camera) -> int:
    # The sign of a front face's area on the film follows from the handedness of (right, down, axis).
    handed = float(np.cross(camera.right, camera.down) @ camera.axis)
    return 0 if handed > 0.0 else 1


def _add_capsules(
    capsules: Capsules, camera: Camera, materials: tuple[Material, ...], labels: tuple[str, ...],
    lengths: npt.NDArray[np.float32], bits: npt.NDArray[np.uint64],
) -> None:  # fmt: skip
    if not len(capsules.starts):
        return
    # They can only stand where their surroundings are.
    around = lengths[..., materials.index(capsules.instead)]
    chords = _chords(capsules, camera, around)
    lengths[..., materials.index(capsules.instead)] -= chords
    lengths[..., materials.index(capsules.material)] += chords
    if capsules.labels:
        word = np.asarray(_words(capsules.labels, labels), dtype=np.uint64)
        bits[chords > raycast.LABEL_THRESHOLD_MM] |= word


def _chords(capsules: Capsules, camera: Camera, around: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Millimetres that capsules or puffs take of what is ``around``, (H, W)."""
    if isinstance(capsules, Cloud):
        return capsules.chords(camera, around)
    ends = camera.project(np.concatenate([capsules.starts, capsules.ends])).reshape(2, -1, 3)
    chords = np.zeros(around.shape, dtype=np.float32)
    size = np.linalg.norm(capsules.ends - capsules.starts, axis=1)
    column, row, depth = (np.ascontiguousarray(ends[:, :, k].T) for k in range(3))
    radii = np.ascontiguousarray(capsules.radii, dtype=np.float64)
    raycast.splat_capsules(column, row, depth, radii, size, camera.sid, camera.spacing, 0.75, chords)
    return np.asarray(np.minimum(chords, around), dtype=np.float32)
