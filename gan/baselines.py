"""What the multi-scale generator is compared with: pix2pix's U-Net (Isola et al. 2017) and a ResNet-34 U-Net.

Trained by L1 alone, pix2pix's U-Net is the plain U-Net of the comparison; with its own patch discriminator it
is pix2pix. All begin with hardly any bone, as the multi-scale generator does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.generator import start_at_nothing

UNET_DEPTH = 8


class PlainUNet(nn.Module):
    """pix2pix's U-Net: 4 x 4 convolutions of stride 2, batch normalisation, skips; no dropout.

    With ``base=64``, ``depth=8`` and three channels in and out it is the published one (54,413,955
    parameters; one channel each way: 54,407,809).

    Shape:
        - **input** - (B, 1, H, W) in [0, 1], H and W divisible by 2**depth
        - **output** - (B, 1, H, W) in (-1, 1)
    """

    def __init__(self, base: int = 64, depth: int = UNET_DEPTH, channels: int = 1) -> None:
        super().__init__()
        widths = [base * min(2**level, 8) for level in range(depth)]
        self.downs = nn.ModuleList()
        for level, (before, width) in enumerate(zip([channels, *widths[:-1]], widths, strict=True)):
            plain = level in (0, depth - 1)
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False))
            if not plain:
                layers.append(nn.BatchNorm2d(width))
            self.downs.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            before = widths[level] * (1 if level == depth - 1 else 2)
            self.ups.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(before, widths[level - 1], 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(widths[level - 1]),
                )
            )
        self.head = nn.ConvTranspose2d(2 * base, channels, 4, stride=2, padding=1)
        start_at_nothing(self.head)

    def forward(self, x: Tensor, convention: Tensor | None = None) -> Tensor:
        x = x * 2.0 - 1.0
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = torch.cat((up(x), skips.pop()), dim=1)
        return torch.tanh(self.head(torch.relu(x)))


class ResNetUNet(nn.Module):
    """A stock U-Net with a ResNet-34 encoder from segmentation-models-pytorch, without pretrained weights.

    Shape:
        - **input** - (B, 1, H, W) in [0, 1], H and W divisible by 32
        - **output** - (B, 1, H, W) in (-1, 1)
    """

    def __init__(self) -> None:
        super().__init__()
        from segmentation_models_pytorch import Unet

        self.network = Unet("resnet34", encoder_weights=None, in_channels=1, classes=1)
        start_at_nothing(self.network.segmentation_head[0])

    def forward(self, x: Tensor, convention: Tensor | None = None) -> Tensor:
        return torch.tanh(self.network(x * 2.0 - 1.0))
