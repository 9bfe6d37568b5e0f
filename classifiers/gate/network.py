"""The gate's network: small enough to look at every film before anything else does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

VIEWS = ("frontal", "lateral", "part", "other")
"""A frontal chest, a lateral chest, a chest of which most is missing, and anything else."""

TURNS = (0, 90, 180, 270)
"""Degrees counter-clockwise by which an upright film was turned."""

_CHANNELS = (16, 32, 64, 96, 128)


@dataclass(frozen=True, slots=True)
class GateLogits:
    """Logits for a batch: ``view`` (B, 4), ``turn`` (B, 4), ``inverted`` (B,), ``mirrored`` (B,)."""

    view: Tensor
    turn: Tensor
    inverted: Tensor
    mirrored: Tensor


class Residual(nn.Module):
    """One 3 x 3 convolution with batch normalisation, added to its input: (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.norm(self.convolution(x)))


def _down(channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class GateNetwork(nn.Module):
    """A plain residual network of nine convolutions with four heads (331,226 parameters).

    Average and maximum over the last 4 x 4 maps are both kept, and so is where on the film they were: which
    way up a chest stands is a matter of place.

    Shape:
        - **input** - (B, 1, 128, 128) in [0, 1]
        - **output** - (B, 10): four views, four turns, inverted, mirrored; ``split`` names them
    """

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        first, second, third, fourth, last = _CHANNELS
        self.features = nn.Sequential(
            _down(1, first, 5),
            _down(first, second),
            Residual(second),
            _down(second, third),
            Residual(third),
            _down(third, fourth),
            Residual(fourth),
            _down(fourth, last),
        )
        self.dropout = nn.Dropout(dropout)
        self.place = nn.Sequential(nn.Conv2d(last, 32, 1), nn.ReLU(inplace=True))
        self.head = nn.Linear(2 * last + 32 * 16, len(VIEWS) + len(TURNS) + 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features((x - 0.5) / 0.25)  # (B, 128, 4, 4)
        pooled = torch.cat((x.mean((-2, -1)), x.amax((-2, -1)), self.place(x).flatten(1)), dim=1)  # (B, 768)
        return self.head(self.dropout(pooled))


def split(logits: Tensor) -> GateLogits:
    """The network's output (B, 10) by name."""
    return GateLogits(logits[:, :4], logits[:, 4:8], logits[:, 8], logits[:, 9])
