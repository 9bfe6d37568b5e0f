"""U-Net (Ronneberger et al. 2015) on padded convolutions, with its skips.

XNet's repository holds a file of this name that never concatenates anything; no figure of it was published.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from segmentation.tissues.layers import BATCH_NORM_EPSILON, centred, checked_filters, pooled


class UNet(nn.Module):
    """Two convolutions a level, 2 x 2 transposed convolutions on the way up, dropout at the bottom.

    Args:
        classes: output planes. channels: input planes. filters: channels of the five levels, from full size
        downwards. kernel: side of the convolutions. normalised: batch normalisation after each convolution,
        as the networks beside it have; the paper has none.

    Shape:
        - **input** - (B, channels, H, W) in [0, 1], any size
        - **output** - (B, classes, H, W) logits

    Raises:
        RecipeError: not five filters, or an even kernel.
    """

    def __init__(
        self,
        classes: int = 3,
        channels: int = 1,
        filters: Sequence[int] = (64, 128, 256, 512, 1024),
        kernel: int = 3,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        widths = checked_filters(filters, 5, kernel)
        down = zip((channels, *widths), widths, strict=False)
        self.encoder = nn.ModuleList(_level(before, after, kernel, normalised) for before, after in down)
        self.dropout = nn.Dropout(0.5)
        up = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(below, level, 2, stride=2) for below, level in up)
        self.decoder = nn.ModuleList(_level(2 * level, level, kernel, normalised) for _, level in up)
        self.head = nn.Conv2d(widths[0], classes, 1)
        self.stride = 2 ** (len(widths) - 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        margin = (0, -columns % self.stride, 0, -rows % self.stride)
        x = pad(centred(x), margin, mode="replicate")  # 200 x 200 becomes 208 x 208
        skips = []
        for level in self.encoder[:-1]:
            x = level(x)
            skips.append(x)
            x = pooled(x)
        x = self.dropout(self.encoder[-1](x))  # (B, 1024, H / 16, W / 16)
        for enlarge, level, skip in zip(self.enlarge, self.decoder, reversed(skips), strict=True):
            x = level(torch.cat((skip, enlarge(x)), dim=1))
        return self.head(x)[..., :rows, :columns]


def _level(channels: int, out_channels: int, kernel: int, normalised: bool) -> nn.Sequential:
    """Two convolutions with ReLU, each normalised or not."""
    layers: list[nn.Module] = []
    for before in (channels, out_channels):
        layers.append(nn.Conv2d(before, out_channels, kernel, padding=kernel // 2))
        if normalised:
            layers.append(nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
