"""Class activation maps in closed form (Zhou 2016): every finding's map from the one forward pass.

A branch ends in batch normalisation, ReLU, global average pooling and a linear head. The head applied to each
position instead of to the average is the map; its mean is the logit, so map and number cannot disagree.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class BranchHead(nn.Module):
    """The auxiliary head of a branch, which defines its maps.

    Shape:
        - **input** - (B, C, h, w)
        - **output** - maps (B, classes, h, w); ``maps.mean((-2, -1))`` are the logits
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        features = torch.relu(self.norm(features))
        return conv2d(features, self.linear.weight[:, :, None, None], self.linear.bias)


def heatmap_from(maps: Tensor) -> Tensor:
    """Evidence for each finding (..., h, w): the map's positive part, its peak at 1; 0 where it has none."""
    positive = maps.clamp_min(0.0)
    peak = positive.amax((-2, -1), keepdim=True)
    return positive / peak.clamp_min(1e-6)
