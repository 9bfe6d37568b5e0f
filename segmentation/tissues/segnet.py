"""SegNet-Basic as XNet's authors compared with it: one encoder-decoder without skips."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from segmentation.tissues.layers import ConvBlock, centred, checked_filters, enlarged, pooled


class SegNetBasic(nn.Module):
    """The variant of XNet's repository, 5,466,243 parameters; named after Badrinarayanan et al. 2015.

    The original unpools by the pooling indices and has 64 maps of 7 x 7 throughout; this one enlarges by
    nearest neighbours and widens downwards. Arguments and shapes are those of ``XNet``.
    """

    def __init__(
        self,
        classes: int = 3,
        channels: int = 1,
        filters: Sequence[int] = (64, 128, 256, 512),
        kernel: int = 3,
    ) -> None:
        super().__init__()
        widths = checked_filters(filters, 4, kernel)
        down = zip((channels, *widths), widths, strict=False)
        self.encoder = nn.ModuleList(ConvBlock(before, after, kernel) for before, after in down)
        up = zip((widths[-1], *widths[:0:-1]), widths[::-1], strict=True)
        self.decoder = nn.ModuleList(ConvBlock(before, after, kernel) for before, after in up)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder[0](centred(x))  # (B, 64, 200, 200)
        for block in self.encoder[1:]:
            x = block(pooled(x))  # down to (B, 512, 25, 25)
        x = self.decoder[0](x)
        for block in self.decoder[1:]:
            x = block(enlarged(x))  # up to (B, 64, 200, 200)
        return self.head(x)
