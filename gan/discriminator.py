"""The discriminators: MCA-Net's gradient-conditional PatchGAN (Zhou et al. 2018), and pix2pix's own.

MCA-Net's judges patches of 46 x 46 pixels from six planes: the bone layer with its two Sobel gradients, and
the film with its two. With neither attention nor normalisation it has the published 2,760,129 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.utils.parametrizations import spectral_norm

from gan.attention import SelfAttention

BONE_GAIN = 4.0
"""Factor on the bone layer, whose contrast is a fraction of the film's."""


NORMALISED = (1, 2)
"""Blocks with instance normalisation. The published discriminator has it after its last block too: that makes
the mean of every channel 0, and so the mean logit of any film, real or not, the last convolution's bias. The
hinge loss is linear near 0 and sees nothing but these means: neither side of it would have a slope."""


class SobelPlanes(nn.Module):
    """An image with its horizontal and vertical Sobel gradients: (B, 1, H, W) to (B, 3, H, W)."""

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        horizontal = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4.0
        self.register_buffer("kernels", torch.stack((horizontal, horizontal.T))[:, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat((conv2d(image, self.kernels.to(image.dtype), padding=1), image), dim=1)


class GradientDiscriminator(nn.Module):
    """Patch logits for a bone layer, given its film.

    Args:
        base: channels of the first block; 64 is the published width.
        gradients: give the Sobel planes; without them each image comes alone.
        attention: self-attention on the 1/8 map.
        normalise: spectral normalisation on every convolution.
        gain: factor on the bone layer.

    Shape:
        - **bone**, **film** - (B, 1, H, W)
        - **output** - (B, 1, h, w) logits, high for real
    """

    def __init__(
        self,
        base: int = 64,
        gradients: bool = True,
        attention: bool = True,
        normalise: bool = True,
        gain: float = BONE_GAIN,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.planes: nn.Module = SobelPlanes() if gradients else nn.Identity()
        layers: list[nn.Module] = []
        channels = 6 if gradients else 2
        for index, out_channels in enumerate((base, 2 * base, 4 * base, 8 * base)):
            layers += [
                nn.Conv2d(channels, out_channels, 4, stride=1 if index == 3 else 2, padding=1),
                nn.LeakyReLU(0.01),
            ]
            if index in NORMALISED:
                layers.append(nn.InstanceNorm2d(out_channels))
            if index == 2 and attention:
                layers.append(SelfAttention(out_channels))
            channels = out_channels
        layers.append(nn.Conv2d(channels, 1, 1))
        self.layers = nn.Sequential(*layers)
        if normalise:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, bone: Tensor, film: Tensor) -> Tensor:
        return self.layers(torch.cat((self.planes(self.gain * bone), self.planes(film)), dim=1))


class PatchDiscriminator(nn.Module):
    """pix2pix's discriminator of 70 x 70 patches (Isola et al. 2017): film and layer, batch normalisation.

    With ``base=64`` and three channels each it has the published 2,768,705 parameters.

    Shape:
        - **bone**, **film** - (B, C, H, W)
        - **output** - (B, 1, h, w) logits, high for real
    """

    def __init__(self, base: int = 64, channels: int = 1, gain: float = BONE_GAIN) -> None:
        super().__init__()
        self.gain = gain
        layers: list[nn.Module] = [nn.Conv2d(2 * channels, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for width, stride in ((2, 2), (4, 2), (8, 1)):
            layers += [
                nn.Conv2d(base * width // 2, base * width, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(base * width),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(8 * base, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, bone: Tensor, film: Tensor) -> Tensor:
        return self.layers(torch.cat((self.gain * bone, film), dim=1))
