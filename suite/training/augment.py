"""Joint augmentation of films and their masks on torchvision's v2 transforms.

No horizontal flip anywhere: it turns situs solitus into situs inversus and swaps the patient's lungs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(()).uniform_(low, high))


class _FilmOnly(v2.Transform):
    """A transform of films that leaves masks alone; films are ``tv_tensors.Image`` in [0, 1]."""

    _transformed_types = (tv_tensors.Image,)


class LevelAdjustment(_FilmOnly):
    """Random window, level and gamma, as a reader turns the knobs.

    The paper adds it to He et al.'s augmentations ("level adjustment"). Films (..., H, W) stay in [0, 1].

    Args:
        shift: largest move of the black and of the white point, in film units.
        gamma: largest exponent; its reciprocal is the smallest.
    """

    def __init__(self, shift: float = 0.15, gamma: float = 1.6) -> None:
        super().__init__()
        self.shift = shift
        self.gamma = gamma

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {
            "black": _uniform(-self.shift, self.shift),
            "white": 1.0 + _uniform(-self.shift, self.shift),
            "gamma": self.gamma ** _uniform(-1.0, 1.0),
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        stretched = (inpt - params["black"]) / (params["white"] - params["black"])
        return tv_tensors.wrap(stretched.clamp(0.0, 1.0) ** params["gamma"], like=inpt)


class BlackBorders(_FilmOnly):
    """Collimator edges: up to ``share`` of each side set to black, with probability ``p``."""

    def __init__(self, share: float = 0.12, p: float = 0.2) -> None:
        super().__init__()
        self.share = share
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        active = _uniform(0, 1) < self.p
        return {
            "shares": [_uniform(0, self.share) if active and _uniform(0, 1) < 0.5 else 0.0 for _ in range(4)]
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        rows, columns = inpt.shape[-2:]
        top, bottom, left, right = params["shares"]
        film = inpt.clone()
        film[..., : int(top * rows), :] = 0.0
        film[..., rows - int(bottom * rows) :, :] = 0.0
        film[..., : int(left * columns)] = 0.0
        film[..., columns - int(right * columns) :] = 0.0
        return tv_tensors.wrap(film, like=inpt)


class HazePatches(_FilmOnly):
    """Soft white patches over the film, as consolidation and effusion hide a lung.

    The lung's outline in the mask stays: the network learns to bridge what an opacity hides, the limitation
    the paper shows in its figure 3.
    """

    def __init__(self, most: int = 3, strength: float = 0.6, p: float = 0.4) -> None:
        super().__init__()
        self.most = most
        self.strength = strength
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        if _uniform(0, 1) > self.p:
            return {"patches": []}
        count = int(torch.randint(1, self.most + 1, ()))
        return {"patches": [self._patch() for _ in range(count)]}

    def _patch(self) -> tuple[float, float, float, float, float]:
        return (
            _uniform(0.25, 0.9),
            _uniform(0.1, 0.9),
            _uniform(0.05, 0.2),
            _uniform(0.05, 0.2),
            _uniform(0.15, self.strength),
        )

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params["patches"]:
            return inpt
        rows, columns = inpt.shape[-2:]
        y = torch.linspace(0, 1, rows)[:, None]
        x = torch.linspace(0, 1, columns)[None, :]
        film: Tensor = inpt
        for row, column, height, width, strength in params["patches"]:
            bump = torch.exp(-(((y - row) / height) ** 2 + ((x - column) / width) ** 2))
            film = film + (1.0 - film) * strength * bump
        return tv_tensors.wrap(film.clamp(0.0, 1.0), like=inpt)


class FilmNoise(_FilmOnly):
    """Quantum mottle: Gaussian noise with a random standard deviation up to ``sigma``."""

    def __init__(self, sigma: float = 0.03, p: float = 0.5) -> None:
        super().__init__()
        self.sigma = sigma
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"sigma": _uniform(0, self.sigma) if _uniform(0, 1) < self.p else 0.0}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["sigma"] == 0.0:
            return inpt
        return tv_tensors.wrap((inpt + params["sigma"] * torch.randn_like(inpt)).clamp(0.0, 1.0), like=inpt)


class LocalContrast(_FilmOnly):
    """Differences between vendors' processing: part of a wide blur is taken away or added."""

    def __init__(self, share: float = 0.6, p: float = 0.4) -> None:
        super().__init__()
        self.share = share
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"share": _uniform(-0.3, self.share) if _uniform(0, 1) < self.p else 0.0}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["share"] == 0.0:
            return inpt
        small = torch.nn.functional.avg_pool2d(inpt.as_subclass(Tensor)[None], 8)
        wide = torch.nn.functional.avg_pool2d(small, 9, stride=1, padding=4, count_include_pad=False)
        wide = torch.nn.functional.interpolate(
            wide, size=inpt.shape[-2:], mode="bilinear", align_corners=False
        )[0]
        film = inpt - params["share"] * (wide - wide.mean())
        return tv_tensors.wrap(film.clamp(0.0, 1.0), like=inpt)


def geometry(degrees: float, shift: float, scale: tuple[float, float], shear: float = 0.0) -> v2.Transform:
    """Random rotation, translation, scale and shear; films bilinear, masks nearest, black outside."""
    return v2.RandomAffine(
        degrees=degrees,
        translate=(shift, shift),
        scale=scale,
        shear=[-shear, shear] if shear else None,
        interpolation=v2.InterpolationMode.BILINEAR,
    )


def heavy() -> v2.Compose:
    """For networks that must hold on other machines' films: wide changes of geometry and appearance."""
    return v2.Compose(
        [
            geometry(degrees=12, shift=0.08, scale=(0.8, 1.2), shear=5),
            HazePatches(),
            LocalContrast(),
            LevelAdjustment(shift=0.2, gamma=2.0),
            v2.RandomApply([v2.GaussianBlur(5, sigma=(0.3, 1.5))], p=0.3),
            FilmNoise(),
            BlackBorders(),
        ]
    )


def light() -> v2.Compose:
    """For classification: what differs between two films of one patient, laterality kept."""
    return v2.Compose(
        [
            geometry(degrees=7, shift=0.06, scale=(0.9, 1.15)),
            LocalContrast(p=0.3),
            LevelAdjustment(shift=0.12, gamma=1.5),
            FilmNoise(sigma=0.02),
        ]
    )
