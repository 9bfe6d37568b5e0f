"""InvertedNet in both published forms, and the U-Net they are compared with.

All three are encoder-decoders with concatenated skips, two 3 x 3 convolutions a level and ELU (Clevert 2016).
InvertedNet turns the U-Net's widths round, many maps at full resolution and few at depth, and delays
subsampling: a 2 x 2 max-pooling of stride 1 sees every pixel before the next convolution, of stride 2, halves
the map, so that a side of 128 goes 127 | 64, 63 | 32, 31 | 16.

``report``
    128-64-32-16 maps (Aubret, Sharma and Cabrera Gil 2019): batch normalisation at both ends, a convolution
    after each upsampling, dropout a block; 973,320 numbers with 4 outputs, 258 of them running statistics.
``novikov``
    256-128-64-32-16 maps (Novikov 2018, TMI 37:1865): Gaussian dropout after every convolution; 3,140,771
    parameters with 3 outputs.
``unet``
    64-128-256-512-1024 maps (Ronneberger 2015 as Novikov builds it, 31,377,988 parameters with 4 outputs),
    with batch normalisation after every convolution instead of dropout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

NetworkName = Literal["report", "novikov", "unet"]

DROPOUT = 0.1
"""The report's rate; of Novikov's Gaussian dropout it is taken over."""


@dataclass(frozen=True, slots=True)
class Form:
    """What tells the three networks apart.

    Attributes:
        widths: maps at each level, full resolution first.
        delayed: pool with stride 1 and convolve with stride 2, instead of pooling with stride 2.
        rising: a convolution between upsampling and concatenation.
        normalised: where batch normalisation stands.
        gaussian: multiplicative Gaussian noise after every convolution.
        dropout: dropout after every block.
    """

    widths: tuple[int, ...]
    delayed: bool = True
    rising: bool = False
    normalised: Literal["ends", "everywhere", "nowhere"] = "nowhere"
    gaussian: bool = False
    dropout: bool = False


FORMS: dict[NetworkName, Form] = {
    "report": Form((128, 64, 32, 16), rising=True, normalised="ends", dropout=True),
    "novikov": Form((256, 128, 64, 32, 16), gaussian=True),
    "unet": Form((64, 128, 256, 512, 1024), delayed=False, normalised="everywhere"),
}


class GaussianDropout(nn.Module):
    """Multiplies by noise of mean 1 and variance ``rate / (1 - rate)`` in training (Srivastava 2014)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.deviation = (rate / (1.0 - rate)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.0 + self.deviation * torch.randn_like(x)) if self.training else x


def _convolution(form: Form, inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3 x 3 convolution, batch normalisation where the form has it, ELU, and the form's noise."""
    everywhere = form.normalised == "everywhere"
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=not everywhere)]
    if everywhere:
        layers.append(nn.BatchNorm2d(outputs))
    layers.append(nn.ELU(inplace=True))
    if form.gaussian:
        layers.append(GaussianDropout(DROPOUT))
    return layers


def _block(form: Form, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Two convolutions, and dropout where the form has it a block."""
    layers = _convolution(form, inputs, outputs, stride) + _convolution(form, outputs, outputs)
    if form.dropout:
        layers.append(nn.Dropout(DROPOUT))
    return nn.Sequential(*layers)


class Rise(nn.Module):
    """Upsample by 2, convolve where the form does, concatenate the skip, two convolutions."""

    def __init__(self, form: Form, below: int, outputs: int) -> None:
        super().__init__()
        self.before = nn.Sequential(*(_convolution(form, below, outputs) if form.rising else ()))
        self.block = _block(form, outputs + (outputs if form.rising else below), outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.before(interpolate(x, scale_factor=2.0, mode="nearest"))  # (B, C, 2h, 2w)
        return self.block(torch.cat((skip, x), dim=1))


class OrganNetwork(nn.Module):
    """InvertedNet or U-Net.

    Args:
        network: which of ``FORMS``.
        outputs: output planes.
        width: factor on all widths; 1 is the published network.

    Shape:
        - **input** - (B, 1, H, W) float32 in [0, 1]; H and W divisible by 16 (``report``: 8)
        - **output** - (B, outputs, H, W) logits
    """

    def __init__(self, network: NetworkName = "report", outputs: int = 4, width: float = 1.0) -> None:
        super().__init__()
        form = FORMS[network]
        widths = [max(1, round(channels * width)) for channels in form.widths]
        ends = form.normalised == "ends"
        self.enter = nn.BatchNorm2d(1) if ends else nn.Identity()
        self.pool = nn.MaxPool2d(2, stride=1 if form.delayed else 2)
        self.down = nn.ModuleList(
            _block(form, above, channels, 2 if form.delayed and level else 1)
            for level, (above, channels) in enumerate(zip([1, *widths], widths, strict=False))
        )
        self.up = nn.ModuleList(
            Rise(form, below, channels) for below, channels in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.leave = nn.BatchNorm2d(widths[0]) if ends else nn.Identity()
        self.head = nn.Conv2d(widths[0], outputs, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter((x - 0.5) / 0.25)
        skips: list[Tensor] = []
        for block in self.down:
            x = block(self.pool(x) if skips else x)
            skips.append(x)
        for rise, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = rise(x, skip)
        return self.head(self.leave(x))


def _initialise(module: nn.Module) -> None:
    """Glorot's uniform weights and no bias, what Keras gives the report's network."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
