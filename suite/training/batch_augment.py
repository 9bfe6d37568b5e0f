"""Augmentation of whole batches on the training device, every film with parameters of its own.

torchvision's v2 transforms draw one set of parameters for a batch; these draw one for each film and run where
the batch lies. All draw from the default generator of the device, which the training loop seeds each epoch.
Films are float32 (B, C, H, W) in [0, 1]. No horizontal flip: it turns situs solitus into situs inversus.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate


def uniform(like: Tensor, low: float, high: float) -> Tensor:
    """One number in [low, high) for each film of ``like``, (B, 1, 1, 1) on its device."""
    return low + (high - low) * torch.rand((len(like), 1, 1, 1), device=like.device)


def chance(like: Tensor, p: float) -> Tensor:
    """1 with probability ``p``, else 0, for each film of ``like``: (B, 1, 1, 1)."""
    return (torch.rand((len(like), 1, 1, 1), device=like.device) < p).to(torch.float32)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Random rotation, shift, scale, shear and elastic deformation.

    Attributes:
        degrees: largest rotation to either side.
        shift: largest translation as a share of the side.
        scale: smallest and largest magnification.
        shear: largest shear in degrees.
        elastic: largest local displacement as a share of the side; 0: none.
        elastic_cells: cells of the random displacement field along a side; more are more wrinkled.
    """

    degrees: float = 10.0
    shift: float = 0.05
    scale: tuple[float, float] = (0.9, 1.15)
    shear: float = 0.0
    elastic: float = 0.0
    elastic_cells: int = 8

    def grid(self, like: Tensor) -> Tensor:
        """Where each output pixel of ``like`` (B, C, H, W) comes from: (B, H, W, 2) for ``warp``."""
        angle = torch.deg2rad(uniform(like, -self.degrees, self.degrees)).flatten()
        slant = torch.tan(torch.deg2rad(uniform(like, -self.shear, self.shear))).flatten()
        low, high = self.scale
        zoom = torch.exp(uniform(like, 0.0, 1.0).flatten() * torch.log(torch.tensor(high / low))) * low
        cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        across = 2 * uniform(like, -self.shift, self.shift).flatten()
        down = 2 * uniform(like, -self.shift, self.shift).flatten()
        rows = torch.stack((cosine, slant * cosine - sine, across, sine, slant * sine + cosine, down), dim=1)
        grid = affine_grid(rows.view(-1, 2, 3), list(like.shape), align_corners=False)  # (B, H, W, 2)
        return grid + self._wrinkles(like) if self.elastic else grid

    def _wrinkles(self, like: Tensor) -> Tensor:
        cells = torch.rand((len(like), 2, self.elastic_cells, self.elastic_cells), device=like.device) * 2 - 1
        field = interpolate(cells, size=like.shape[-2:], mode="bicubic", align_corners=False)
        return 2 * self.elastic * field.permute(0, 2, 3, 1)  # (B, H, W, 2)


def warp(planes: Tensor, grid: Tensor, *, nearest: bool = False) -> Tensor:
    """Planes (B, C, H, W) seen through ``grid``; 0 outside. ``nearest`` keeps masks' values."""
    mode = "nearest" if nearest else "bilinear"
    return grid_sample(planes, grid, mode=mode, padding_mode="zeros", align_corners=False)


def level_adjustment(film: Tensor, shift: float = 0.15, gamma: float = 1.6) -> Tensor:
    """Random window, level and gamma, as a reader turns the knobs (the paper's "level adjustment").

    Args:
        shift: largest move of the black and of the white point, in film units.
        gamma: largest exponent; its reciprocal is the smallest.
    """
    black = uniform(film, -shift, shift)
    white = 1.0 + uniform(film, -shift, shift)
    exponent = gamma ** uniform(film, -1.0, 1.0)
    return ((film - black) / (white - black)).clamp(0.0, 1.0) ** exponent


def local_contrast(film: Tensor, share: float = 0.6, p: float = 0.4) -> Tensor:
    """Differences between vendors' processing: part of a wide blur is taken away or added."""
    strength = uniform(film, -0.3, share) * chance(film, p)
    small = avg_pool2d(film, 8)
    wide = avg_pool2d(small, 9, stride=1, padding=4, count_include_pad=False)
    wide = interpolate(wide, size=film.shape[-2:], mode="bilinear", align_corners=False)
    return (film - strength * (wide - wide.mean((-2, -1), keepdim=True))).clamp(0.0, 1.0)


def quantum_noise(film: Tensor, sigma: float = 0.03, p: float = 0.5) -> Tensor:
    """Mottle: Gaussian noise with a random standard deviation up to ``sigma``."""
    strength = uniform(film, 0.0, sigma) * chance(film, p)
    return (film + strength * torch.randn_like(film)).clamp(0.0, 1.0)


def blur(film: Tensor, p: float = 0.3) -> Tensor:
    """A soft detector or a resampled copy: the film mixed with its blur over 3 x 3 pixels, by chance."""
    share = uniform(film, 0.3, 1.0) * chance(film, p)
    soft = avg_pool2d(film, 3, stride=1, padding=1, count_include_pad=False)
    return film + share * (soft - film)


def haze(film: Tensor, strength: float = 0.6, p: float = 0.4, most: int = 3) -> Tensor:
    """Up to ``most`` soft white patches, as consolidation and effusion hide a lung; masks stay."""
    rows = torch.linspace(0, 1, film.shape[-2], device=film.device).view(1, 1, -1, 1)
    columns = torch.linspace(0, 1, film.shape[-1], device=film.device).view(1, 1, 1, -1)
    active = chance(film, p)
    for _ in range(most):
        down = (rows - uniform(film, 0.25, 0.9)) / uniform(film, 0.05, 0.2)
        across = (columns - uniform(film, 0.1, 0.9)) / uniform(film, 0.05, 0.2)
        opacity = active * chance(film, 2 / 3) * uniform(film, 0.15, strength)
        film = film + (1.0 - film) * opacity * torch.exp(-(down**2) - across**2)
    return film


def borders(film: Tensor, share: float = 0.12, p: float = 0.2) -> Tensor:
    """Collimator edges: up to ``share`` of each side turns black, each side by chance."""
    return film * exposed(film, share, p)


def exposed(like: Tensor, share: float = 0.12, p: float = 0.2) -> Tensor:
    """What collimators leave of films ``like``, (B, 1, H, W): 1, and 0 beyond their edges."""
    rows = torch.linspace(0, 1, like.shape[-2], device=like.device).view(1, 1, -1, 1)
    columns = torch.linspace(0, 1, like.shape[-1], device=like.device).view(1, 1, 1, -1)
    active, left = chance(like, p), torch.ones_like(like[:, :1])
    for axis in (rows, 1 - rows, columns, 1 - columns):
        edge = uniform(like, 0.0, share) * active * chance(like, 0.5)
        left = left * (axis >= edge).to(like.dtype)
    return left


def light_appearance(film: Tensor) -> Tensor:
    """What differs between two films of one patient: for classification."""
    film = local_contrast(film, p=0.3)
    film = level_adjustment(film, shift=0.12, gamma=1.5)
    return quantum_noise(film, sigma=0.02)


def heavy_appearance(film: Tensor) -> Tensor:
    """What differs between machines and publications: for networks that must hold on other people's films."""
    film = local_contrast(haze(film))
    film = blur(level_adjustment(film, shift=0.2, gamma=2.0))
    return borders(quantum_noise(film))
