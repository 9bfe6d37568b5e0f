"""Breaks drawn into the bones of training films, while film = bone + soft tissue still holds.

No film with a bone layer of a real patient has a broken rib: a network can only learn there to draw whole
ones. Here the layer alone is broken, by a displacement across the bone, a gap and a callus at places where
bone lies over the lungs, and the film is the same soft tissue with the broken layer. Steps, gaps and their
decay along the bone are the phantom's (``suite.phantom.pathology.fracture``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from gan.discriminator import SobelPlanes
from suite.training.batch_augment import uniform

FIELD_MM = 400.0
"""What the side of a framed film shows of a patient, roughly; the breaks vary by far more than it does."""

CELL = 8
"""Pixels along a side of the cells that places are drawn from."""

ACROSS_MM = 10.0
"""Half the width of what moves with a broken rib, and of its gap; at twice the distance neighbours stay."""

ALONG_MM = 45.0
"""Distance from a break at which a displaced bone lies where it lay."""

ZONE_MM = 11.0
"""Bone on either side of a break that counts as broken, as in the phantom's masks."""


@dataclass(frozen=True, slots=True)
class DrawnBreaks:
    """Breaks drawn into whole batches on the training device, each of its own shape.

    Attributes:
        most: breaks of a film; each is drawn with probability ``share``.
        share: see ``most``.
        displaced: share with a step of 1 to 6 mm; the others' is below 1.2 mm.
        healing: share with a callus.
    """

    most: int = 10
    share: float = 0.7
    displaced: float = 0.65
    healing: float = 0.25

    def __call__(self, bone: Tensor, lungs: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Layers with broken bones, and where they are broken.

        Args:
            bone: layers (B, 1, H, W), at least 0 where bone is.
            lungs: 1 in the lungs, (B, 1, H, W); breaks are drawn over them only.
            side: of the whole film in pixels, of which the layers may be squares.

        Returns:
            The broken layers (B, 1, H, W), and 1 around their breaks (B, 1, H, W).
        """
        spacing = FIELD_MM / side
        over_lungs = bone.clamp_min(0.0) * lungs
        places, normals = find_places(over_lungs, self.most)
        shift = torch.zeros((len(bone), 2, *bone.shape[-2:]), device=bone.device)
        factor, zone = torch.ones_like(bone), torch.zeros_like(bone)
        extra = torch.zeros_like(bone)
        smooth = avg_pool2d(bone, 9, stride=1, padding=4)
        for k in range(self.most):
            frame = LocalFrame.of(bone, places[:, k], normals[:, k], spacing)
            shape = self._shape(bone, frame)
            shift = shift + shape.shift
            factor = factor * shape.factor
            extra = extra + shape.callus * _at(smooth, places[:, k])
            zone = torch.maximum(zone, shape.zone)
        return moved(bone, shift) * factor + extra, zone

    def _shape(self, like: Tensor, frame: LocalFrame) -> BreakShape:
        """One break of each film, or none."""
        there = (uniform(like, 0.0, 1.0) < self.share).float()
        displaced = (uniform(like, 0.0, 1.0) < self.displaced).float()
        healing = (uniform(like, 0.0, 1.0) < self.healing).float() * uniform(like, 0.3, 1.0)
        step = displaced * uniform(like, 1.0, 6.0) + (1.0 - displaced) * uniform(like, 0.1, 1.2)
        step = step * torch.where(uniform(like, 0.0, 1.0) < 0.5, -1.0, 1.0)
        gap = displaced * uniform(like, 0.4, 3.0) + (1.0 - displaced) * uniform(like, 0.3, 0.9)
        depth = uniform(like, 0.3, 0.9) * (1.0 - healing)
        return frame.shape(there, step, gap, depth, healing, torch.tan(uniform(like, -0.7, 0.7)))


@dataclass(frozen=True, slots=True)
class BreakShape:
    """What a break of each film does to its layer.

    Attributes:
        shift: of what lies there, in pixels across and down (B, 2, H, W).
        factor: on it (B, 1, H, W).
        callus: added, in units of the bone's own brightness (B, 1, H, W).
        zone: 1 around the break (B, 1, H, W).
    """

    shift: Tensor
    factor: Tensor
    callus: Tensor
    zone: Tensor


@dataclass(frozen=True, slots=True)
class LocalFrame:
    """Where pixels lie about a place, in millimetres.

    Attributes:
        along, across: of the bone, (B, 1, H, W).
        normal: unit vectors (B, 2, 1, 1), across and down the film, at right angles to the bone.
        spacing: mm a pixel.
    """

    along: Tensor
    across: Tensor
    normal: Tensor
    spacing: float

    @classmethod
    def of(cls, like: Tensor, place: Tensor, angle: Tensor, spacing: float) -> LocalFrame:
        """About places (B, 2), column and row, whose bones' normals have ``angle`` (B,) in radians."""
        rows = torch.arange(like.shape[-2], device=like.device, dtype=torch.float32).view(1, 1, -1, 1)
        columns = torch.arange(like.shape[-1], device=like.device, dtype=torch.float32).view(1, 1, 1, -1)
        right = (columns - place[:, 0].view(-1, 1, 1, 1)) * spacing
        down = (rows - place[:, 1].view(-1, 1, 1, 1)) * spacing
        cosine, sine = torch.cos(angle).view(-1, 1, 1, 1), torch.sin(angle).view(-1, 1, 1, 1)
        normal = torch.cat((cosine, sine), dim=1)
        return cls(cosine * down - sine * right, cosine * right + sine * down, normal, spacing)

    def shape(
        self, there: Tensor, step: Tensor, gap: Tensor, depth: Tensor, healing: Tensor, slant: Tensor
    ) -> BreakShape:
        """A break of each film; all arguments are (B, 1, 1, 1).

        Args:
            there: 0 where there is none.
            step: how far the ends are apart across the bone, mm.
            gap: between them, mm.
            depth: share of the bone that the gap lacks.
            healing: size of the callus, 0 to 1.
            slant: mm along the bone for each mm across it.
        """
        line = self.along + slant * self.across  # 0 on the break
        beyond = (self.across.abs() / ACROSS_MM - 1.0).clamp_min(0.0)
        wide = torch.cos(beyond.clamp_max(1.0) * (math.pi / 2)) ** 2
        near = (1.0 - self.along.abs() / ALONG_MM).clamp_min(0.0) ** 1.5 * wide * there
        side = torch.tanh(line / self.spacing)
        across = (0.5 / self.spacing) * step * side * near
        cut = there * depth * torch.exp(-((3.0 * beyond) ** 2))
        factor = 1.0 - cut * torch.exp(-((2.0 * line / gap.clamp_min(self.spacing)) ** 4))
        reach = 6.0 + 4.0 * healing
        bulge = torch.exp(-((self.along / reach) ** 2) - (self.across / (0.9 * reach)) ** 2)
        zone = ((self.along.abs() < ZONE_MM) & (self.across.abs() < ACROSS_MM)).float() * there
        return BreakShape(across * self.normal, factor, 0.6 * there * healing * bulge, zone)


def find_places(over_lungs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Places on bone, the brighter the likelier, and the direction across the bone there.

    Args:
        over_lungs: layers (B, 1, H, W), 0 outside the lungs.
        count: of places for each film.

    Returns:
        Column and row in pixels (B, count, 2), and angles in radians (B, count) from the film's columns.
    """
    chosen, places = draw_places(over_lungs, count)
    return places, directions(over_lungs).flatten(1).gather(1, chosen)


def draw_places(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Places drawn by chance, those of large weights (B, 1, H, W), at least 0, the likelier.

    Returns:
        The cells (B, count), and a place in each: column and row in pixels (B, count, 2).
    """
    chances = avg_pool2d(weights, CELL)  # (B, 1, h, w)
    columns = chances.shape[-1]
    chosen = torch.multinomial(chances.flatten(1) + 1e-9, count)
    cells = torch.stack((chosen % columns, chosen // columns), dim=-1)
    return chosen, (cells + torch.rand(cells.shape, device=cells.device)) * CELL


def directions(bone: Tensor) -> Tensor:
    """The angle across the bone, (B, 1, H / CELL, W / CELL): the structure tensor's first axis."""
    half = CELL // 2
    small = avg_pool2d(bone, half)
    right, down, _ = SobelPlanes().to(bone.device)(small).split(1, dim=1)
    tensor = torch.cat((right * right, right * down, down * down), dim=1)
    xx, xy, yy = avg_pool2d(avg_pool2d(tensor, 2), 3, stride=1, padding=1).split(1, dim=1)
    return 0.5 * torch.atan2(2.0 * xy, xx - yy)


def _at(planes: Tensor, place: Tensor) -> Tensor:
    """Values of planes (B, 1, H, W) at places (B, 2), column and row: (B, 1, 1, 1)."""
    rows, columns = planes.shape[-2:]
    column = place[:, 0].long().clamp(0, columns - 1)
    row = place[:, 1].long().clamp(0, rows - 1)
    return planes[torch.arange(len(planes), device=planes.device), 0, row, column].view(-1, 1, 1, 1)


def moved(planes: Tensor, shift: Tensor) -> Tensor:
    """Planes (B, 1, H, W) whose content moved by ``shift`` (B, 2, H, W) pixels, across and down."""
    rows, columns = planes.shape[-2:]
    down = torch.arange(rows, device=planes.device, dtype=torch.float32).view(1, -1, 1)
    right = torch.arange(columns, device=planes.device, dtype=torch.float32).view(1, 1, -1)
    grid = torch.stack(
        (
            (2.0 * (right - shift[:, 0]) + 1.0) / columns - 1.0,
            (2.0 * (down - shift[:, 1]) + 1.0) / rows - 1.0,
        ),
        dim=-1,
    )
    return grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
