"""The generator: MCA-Net's multi-scale U-Net (Zhou et al. 2018), with SAGAN's attention as an addition.

Seven halvings and seven doublings; three side heads at 1/8, 1/4 and 1/2 of the size are added to the output
before its tanh. With ``base=64`` and no attention it has the published 23,134,176 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

from gan.attention import SelfAttention

DEPTH = 7
OUTPUT_STRIDE = 2**DEPTH


def _down(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 3, stride=2, padding=1),
        nn.LeakyReLU(0.01),
        nn.InstanceNorm2d(out_channels),
    )


def _up(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels, out_channels, 2, stride=2),
        nn.LeakyReLU(0.01),
        nn.InstanceNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.LeakyReLU(0.01),
        nn.InstanceNorm2d(out_channels),
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


class MultiScaleGenerator(nn.Module):
    """Film in, bone layer out, both on the network's levels.

    Args:
        base: channels of the first block; 64 is the published width.
        attention: self-attention on the 1/16 map of the decoder (32 x 32 for a 512 x 512 film).
        side_heads: add the three side heads.
        normalise: spectral normalisation on every convolution but the heads', which have one channel.

    Shape:
        - **input** - (B, 1, H, W) in [0, 1]; H and W divisible by 128, at least 256
        - **output** - (B, 1, H, W) in (-1, 1): what the bones add to the film
    """

    def __init__(
        self, base: int = 64, attention: bool = True, side_heads: bool = True, normalise: bool = True
    ) -> None:
        super().__init__()
        widths = [base, 2 * base, 4 * base, 8 * base, 8 * base, 8 * base, 8 * base]
        self.downs = nn.ModuleList(_down(a, b) for a, b in zip([1, *widths[:-1]], widths, strict=True))
        outs = [8 * base, 8 * base, 8 * base, 4 * base, 2 * base, base, base // 2]
        skips = [0, 8 * base, 8 * base, 8 * base, 4 * base, 2 * base, base]
        ins = [8 * base, *outs[:-1]]
        self.ups = nn.ModuleList(
            _up(channels + skip, out) for channels, skip, out in zip(ins, skips, outs, strict=True)
        )
        self.attention = SelfAttention(outs[2]) if attention else nn.Identity()
        self.side_heads = (
            nn.ModuleList(_side_head(outs[index]) for index in (3, 4, 5)) if side_heads else None
        )
        self.head = nn.Conv2d(outs[-1], 1, 1)
        _start_at_nothing(self.head)
        for side_head in self.side_heads or ():
            _start_at_nothing(list(side_head.children())[-1])
        if normalise:
            _normalise(self)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
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
            if index == 2:
                x = self.attention(x)
            if self.side_heads is not None and 3 <= index <= 5:
                sides.append(self.side_heads[index - 3](x))
        out = self.head(x)
        for side in sides:
            out = out + interpolate(side, size=size, mode="bilinear", align_corners=False)
        return torch.tanh(out)


def _start_at_nothing(head: nn.Module) -> None:
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
