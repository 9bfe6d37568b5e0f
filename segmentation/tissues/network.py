"""XNet (Bullock et al. 2019, arXiv:1812.00548): two encoder-decoders in a row for open beam, soft tissue,
bone.

The film is halved three times, brought back to half its size, halved twice more, and brought back to full
size, so that it is never smaller than an eighth although it is pooled five times. After each convolution on
the way back, the encoder's activation of the same size is put in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from segmentation.tissues.layers import ConvBlock, centred, checked_filters, enlarged, pooled
from segmentation.tissues.segnet import SegNetBasic
from segmentation.tissues.unet import UNet

CLASSES = ("open_beam", "soft_tissue", "bone")
"""Classes in the order of the output planes."""

NetworkName = Literal["xnet", "segnet", "unet"]


class XNet(nn.Module):
    """XNet as released: fourteen convolutions and a 1 x 1.

    Args:
        classes: output planes.
        channels: input planes.
        filters: channels at full, half, quarter and eighth size.
        kernel: side of every convolution but the last; the paper's 3, the released script's 5.

    Shape:
        - **input** - (B, channels, H, W) in [0, 1]; H and W divisible by 8
        - **output** - (B, classes, H, W) logits

    Raises:
        RecipeError: not four filters, or an even kernel.
    """

    def __init__(
        self,
        classes: int = 3,
        channels: int = 1,
        filters: Sequence[int] = (64, 128, 256, 512),
        kernel: int = 3,
    ) -> None:
        super().__init__()
        full, half, quarter, eighth = checked_filters(filters, 4, kernel)
        self.conv1 = ConvBlock(channels, full, kernel)
        self.conv2 = ConvBlock(full, half, kernel)
        self.conv3 = ConvBlock(half, quarter, kernel)
        self.conv4 = ConvBlock(quarter, eighth, kernel)
        self.conv5 = ConvBlock(eighth, eighth, kernel)
        self.conv6 = ConvBlock(eighth, quarter, kernel)
        self.conv7 = ConvBlock(2 * quarter, half, kernel)
        self.conv8 = ConvBlock(2 * half, half, kernel)
        self.conv9 = ConvBlock(half, quarter, kernel)
        self.conv10 = ConvBlock(quarter, eighth, kernel)
        self.conv11 = ConvBlock(eighth, eighth, kernel)
        self.conv12 = ConvBlock(eighth, quarter, kernel)
        self.conv13 = ConvBlock(2 * quarter, half, kernel)
        self.conv14 = ConvBlock(2 * half, full, kernel)
        self.head = nn.Conv2d(2 * full, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        # sizes are those of a film of 200 x 200
        act1 = self.conv1(centred(x))  # (B, 64, 200, 200)
        act2 = self.conv2(pooled(act1))  # (B, 128, 100, 100)
        act3 = self.conv3(pooled(act2))  # (B, 256, 50, 50)
        x = self.conv5(self.conv4(pooled(act3)))  # (B, 512, 25, 25)
        x = torch.cat((act3, self.conv6(enlarged(x))), dim=1)  # (B, 512, 50, 50)
        x = torch.cat((act2, self.conv7(enlarged(x))), dim=1)  # (B, 256, 100, 100)

        act8 = self.conv8(x)  # (B, 128, 100, 100): the second module starts at half size
        act9 = self.conv9(pooled(act8))  # (B, 256, 50, 50)
        x = self.conv11(self.conv10(pooled(act9)))  # (B, 512, 25, 25)
        x = torch.cat((act9, self.conv12(enlarged(x))), dim=1)  # (B, 512, 50, 50)
        x = torch.cat((act8, self.conv13(enlarged(x))), dim=1)  # (B, 256, 100, 100)
        x = torch.cat((act1, self.conv14(enlarged(x))), dim=1)  # (B, 128, 200, 200)
        return self.head(x)


NETWORKS: dict[NetworkName, Callable[..., nn.Module]] = {"xnet": XNet, "segnet": SegNetBasic, "unet": UNet}

FILTERS: dict[NetworkName, tuple[int, ...]] = {
    "xnet": (64, 128, 256, 512),
    "segnet": (64, 128, 256, 512),
    "unet": (64, 128, 256, 512, 1024),
}
"""Channels of each level as published, from full size downwards."""


def tissue_network(network: NetworkName, filters: Sequence[int] = (), kernel: int = 3) -> nn.Module:
    """A tissue network by name, (B, 1, H, W) in [0, 1] to (B, 3, H, W) logits.

    Args:
        network: which of the three.
        filters: channels from full size downwards; empty for the published ones.
        kernel: side of the convolutions.

    Raises:
        RecipeError: the filters do not fit the network, or the kernel is even.
    """
    widths = tuple(filters) or FILTERS[network]
    return NETWORKS[network](classes=len(CLASSES), kernel=kernel, filters=widths)
