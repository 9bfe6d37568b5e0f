"""What XNet's authors did to their films, and the class-balanced drawing of films they did it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from suite.training.augment import LevelAdjustment, geometry

PIXELS = 200
"""Side of the films the published displacements are meant for."""


class ElasticDeformation(v2.Transform):
    """Simard's elastic deformation (2003): uniform noise in [-1, 1], smoothed by a Gaussian, times ``alpha``.

    Films and masks (..., H, W) move together; films bilinear, masks nearest; what comes from outside is
    black and open beam. At ``sigma`` pixels every displacement has the standard deviation ``alpha / (sigma
    * sqrt(12 pi))``: the released script's alpha of 50 to 60 at sigma 16 is half a pixel of 200, too little
    to see, so that the default goes on to two pixels.

    Args:
        alpha: smallest and largest strength, in pixels of a film of 200 x 200.
        sigma: of the Gaussian, in the same pixels.
        p: probability of any deformation.
    """

    _transformed_types = (tv_tensors.Image, tv_tensors.Mask)

    def __init__(self, alpha: tuple[float, float] = (50, 200), sigma: float = 16, p: float = 0.5) -> None:
        super().__init__()
        self.alpha = alpha
        self.sigma = sigma
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        if float(torch.rand(())) >= self.p:
            return {"displacement": None}
        rows, columns = flat_inputs[0].shape[-2:]
        alpha = float(torch.empty(()).uniform_(*self.alpha))
        return {"displacement": displacement((rows, columns), alpha, self.sigma)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["displacement"] is None:
            return inpt
        rows, columns = inpt.shape[-2:]
        steps = torch.tensor([2.0 / columns, 2.0 / rows])
        y, x = torch.meshgrid(
            (2 * torch.arange(rows) + 1) / rows - 1,
            (2 * torch.arange(columns) + 1) / columns - 1,
            indexing="ij",
        )
        places = torch.stack((x, y), dim=-1) + params["displacement"].permute(1, 2, 0) * steps
        mode = "nearest" if isinstance(inpt, tv_tensors.Mask) else "bilinear"
        planes = inpt.as_subclass(Tensor)[None].to(torch.float32)
        moved = grid_sample(planes, places[None], mode=mode, align_corners=False)[0]
        return tv_tensors.wrap(moved.to(inpt.dtype), like=inpt)


def displacement(shape: tuple[int, int], alpha: float, sigma: float) -> Tensor:
    """A smooth random field (2, H, W): by how many pixels each place looks right and down.

    ``alpha`` and ``sigma`` are in pixels of a film of 200 x 200 and grow with the larger side.
    """
    scale = max(shape) / PIXELS
    noise = torch.empty(*shape, 2).uniform_(-1, 1).numpy()
    radius = max(1, round(3 * sigma * scale))
    field = cv2.GaussianBlur(noise, (2 * radius + 1, 2 * radius + 1), sigma * scale)
    # the noise has one draw a pixel, so that a finer film smooths away more of it
    return torch.from_numpy(field).permute(2, 0, 1) * alpha * scale**2


class RandomCrop(v2.Transform):
    """Cuts away up to ``share`` of height and width and brings the rest to size; films and masks together."""

    _transformed_types = (tv_tensors.Image, tv_tensors.Mask)

    def __init__(self, share: tuple[float, float] = (0.1, 0.4), p: float = 0.5) -> None:
        super().__init__()
        self.share = share
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        rows, columns = flat_inputs[0].shape[-2:]
        if float(torch.rand(())) >= self.p:
            return {"box": None}
        height, width = (
            max(1, round(side * (1 - float(torch.empty(()).uniform_(*self.share)))))
            for side in (rows, columns)
        )
        top = int(torch.randint(0, rows - height + 1, ()))
        left = int(torch.randint(0, columns - width + 1, ()))
        return {"box": (top, left, height, width), "size": (rows, columns)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["box"] is None:
            return inpt
        return v2.functional.resized_crop(inpt, *params["box"], size=list(params["size"]), antialias=True)


def augmentation() -> v2.Compose:
    """Flips, shift, rotation, shear, crop and elastic deformation as published, and one step of our own.

    Tissue has no side, so that here, unlike anywhere else in the suite, films are mirrored too. Our own is
    the change of window and gamma: the authors' films came from one maker's detectors, those of others do
    not.
    """
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomVerticalFlip(0.5),
            geometry(degrees=15, shift=0.01, scale=(1.0, 1.0), shear=2),
            RandomCrop(),
            ElasticDeformation(),
            LevelAdjustment(shift=0.1, gamma=1.6),
        ]
    )


class BalancedFilms(Dataset[Mapping[str, Tensor]]):
    """Each body part as often as every other: its films in turn, ``per_part`` items a part.

    Args:
        films: one item a film.
        parts: the body part of each film.
        per_part: items of each part in an epoch; the paper made 500.
    """

    def __init__(self, films: Dataset[Mapping[str, Tensor]], parts: Sequence[str], per_part: int) -> None:
        self.films = films
        self.order: list[int] = []
        for part in sorted(set(parts)):
            own = [index for index, other in enumerate(parts) if other == part]
            self.order += [own[turn % len(own)] for turn in range(per_part)]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        return self.films[self.order[index]]
