"""Self-attention over a feature map (SAGAN, Zhang 2019), its gate starting at zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, scaled_dot_product_attention
from torch.nn.utils.parametrizations import spectral_norm


class SelfAttention(nn.Module):
    """``y = x + gate * attention(x)``.

    Queries and keys have C/8 channels, values C/2; keys and values are max-pooled by 2, so a 64 x 64 map has
    4096 queries on 1024 keys. All 1 x 1 convolutions are spectrally normalised.

    Shape:
        - **input**, **output** - (B, C, H, W), H and W even
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner, values = max(1, channels // 8), max(1, channels // 2)
        self.query = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, inner, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, values, 1, bias=False))
        self.out = spectral_norm(nn.Conv2d(values, channels, 1, bias=False))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        query = self.query(x).flatten(2).transpose(1, 2)  # (B, HW, C/8)
        key = max_pool2d(self.key(x), 2).flatten(2).transpose(1, 2)  # (B, HW/4, C/8)
        value = max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)  # (B, HW/4, C/2)
        # SAGAN does not divide the logits by the square root of the channel count
        attended = scaled_dot_product_attention(query, key, value, scale=1.0)  # (B, HW, C/2)
        attended = attended.transpose(1, 2).unflatten(2, (rows, columns))
        return x + self.gate * self.out(attended)
