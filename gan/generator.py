"""The generator: MCA-Net's multi-scale U-Net (Zhou et al. 2018), with SAGAN's attention as an addition.

Seven halvings and seven doublings; three side heads at 1/8, 1/4 and 1/2 of the size are added to the output
before its tanh. With ``base=64`` and no addition it has the published 23,134,176 parameters.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

from gan.attention import SelfAttention

DEPTH = 7

NormKind = Literal["instance", "group", "batch"]
GROUPS = 8
"""Groups of a group normalisation: few enough that channels keep their strength relative to each other."""


def _norm(kind: NormKind, channels: int) -> nn.Module:
    """Instance normalisation without weights is the published one."""
    if kind == "group":
        return nn.GroupNorm(min(GROUPS, channels), channels)
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)


def _down(channels: int, out_channels: int, norm: NormKind) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 3, stride=2, padding=1),
        nn.LeakyReLU(0.01),
        _norm(norm, out_channels),
    )


def _up(channels: int, out_channels: int, norm: NormKind) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels, out_channels, 2, stride=2),
        nn.LeakyReLU(0.01),
        _norm(norm, out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.LeakyReLU(0.01),
        _norm(norm, out_channels),
    )


def _side_head(channels: int) -> nn.Sequential:
    """Three 3 x 3 convolutions to one channel, ReLU and instance normalisation between them."""
    return nn.Sequential(
        nn.Conv2d(channels, 1, 3, padding=1),
        nn.ReLU(),
        nn.InstanceNorm2d(1),
        nn.Conv2d(1, 1, 3, padding=1),
        nn.ReLU(),
        nn.InstanceNorm2d(1),
        nn.Conv2d(1, 1, 3, padding=1),
    )


class ConventionScale(nn.Module):
    """A gain and a shift of each channel for each convention of what a bone layer is (B, C, H, W).

    BSE-JSRT's algorithm takes less from a film than the true layer of a computed chest holds, and nothing
    outside the lungs. A network that learns from both needs to know which it is asked for (conditional
    instance normalisation, Dumoulin 2017).
    """

    def __init__(self, channels: int, conventions: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(conventions, channels))
        self.shift = nn.Parameter(torch.zeros(conventions, channels))

    def forward(self, x: Tensor, convention: Tensor) -> Tensor:
        gain, shift = self.gain[convention], self.shift[convention]  # (B, C)
        return x * gain[..., None, None] + shift[..., None, None]


class MultiScaleGenerator(nn.Module):
    """Film in, bone layer out, both on the network's levels.

    Args:
        base: channels of the first block; 64 is the published width.
        attention: self-attention on the 1/16 map of the decoder (32 x 32 for a 512 x 512 film).
        side_heads: add the three side heads.
        normalise: spectral normalisation on every convolution but the heads', which have one channel.
        depth: halvings; 7 are published, 5 is the least.
        norm: what follows each activation. The published instance normalisation forgets how strong each
            channel was in a film; group normalisation keeps that within a group.
        conventions: how many conventions of bone layers it can be asked for.

    Shape:
        - **input** - (B, 1, H, W) in [0, 1]; H and W divisible by 2**depth, at least twice that
        - **convention** - (B,) integers below ``conventions``; the first where left out
        - **output** - (B, 1, H, W) in (-1, 1): what the bones add to the film
    """

    def __init__(
        self,
        base: int = 64,
        attention: bool = True,
        side_heads: bool = True,
        normalise: bool = True,
        depth: int = DEPTH,
        norm: NormKind = "instance",
        conventions: int = 1,
    ) -> None:
        super().__init__()
        widths = [base * min(2**level, 8) for level in range(depth)]
        skips = [0, *reversed(widths[:-1])]
        outs = [8 * base] * (depth - 4) + [4 * base, 2 * base, base, base // 2]
        ins = [widths[-1], *outs[:-1]]
        self.downs = nn.ModuleList(_down(a, b, norm) for a, b in zip([1, *widths[:-1]], widths, strict=True))
        self.ups = nn.ModuleList(
            _up(channels + skip, out, norm) for channels, skip, out in zip(ins, skips, outs, strict=True)
        )
        self.conventions = conventions
        self.scales = (
            nn.ModuleList(ConventionScale(out, conventions) for out in outs) if conventions > 1 else None
        )
        self._attended = depth - 5
        self.attention = SelfAttention(outs[self._attended]) if attention else nn.Identity()
        self._first_side = depth - 4
        self.side_heads = (
            nn.ModuleList(_side_head(outs[self._first_side + k]) for k in range(3)) if side_heads else None
        )
        self.head = nn.Conv2d(outs[-1], 1, 1)
        start_at_nothing(self.head)
        for side_head in self.side_heads or ():
            start_at_nothing(list(side_head.children())[-1])
        if normalise:
            _normalise(self)

    def forward(self, x: Tensor, convention: Tensor | None = None) -> Tensor:
        size = x.shape[-2:]
        if convention is None:
            convention = torch.zeros(len(x), dtype=torch.long, device=x.device)
        x = x * 2.0 - 1.0
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        sides: list[Tensor] = []
        for index, up in enumerate(self.ups):
            if index:
                x = torch.cat((x, skips.pop()), dim=1)
            x = up(x)
            if self.scales is not None:
                x = self.scales[index](x, convention)
            if index == self._attended:
                x = self.attention(x)
            if self.side_heads is not None and 0 <= index - self._first_side < 3:
                sides.append(self.side_heads[index - self._first_side](x))
        out = self.head(x)
        for side in sides:
            out = out + interpolate(side, size=size, mode="bilinear", align_corners=False)
        return torch.tanh(out)


def start_at_nothing(head: nn.Module) -> None:
    """Begin with hardly any bone anywhere.

    Instance normalisation gives every map unit variance, so that heads of the usual size begin with a layer
    twenty times brighter than bone and spend their first thousand steps on unlearning it.
    """
    with torch.no_grad():
        head.get_parameter("weight").normal_(std=1e-3)
        head.get_parameter("bias").zero_()


def _normalise(network: nn.Module) -> None:
    """Spectral normalisation on all convolutions that do not have it yet, but for those to one channel."""
    for module in list(network.modules()):
        if hasattr(module, "parametrizations"):
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.out_channels > 1:
            spectral_norm(module)
