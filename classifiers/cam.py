"""Class activation maps in closed form (Zhou 2016): every finding's map from the one forward pass.

A branch ends in batch normalisation, ReLU and a linear head that is applied at every position: that is the
map. The branch's logit is the map pooled (``classifiers.diagnosis.pooling``), by its mean or a soft maximum,
so map and number cannot disagree.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class BranchHead(nn.Module):
    """The auxiliary head of a branch, which defines its maps.

    Shape:
        - **input** - (B, C, h, w)
        - **output** - maps (B, classes, h, w), of which the branch's pooling makes its logits
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        features = torch.relu(self.norm(features))
        return conv2d(features, self.linear.weight[:, :, None, None], self.linear.bias)


def heatmap_from(maps: Tensor) -> Tensor:
    """Where the evidence for a finding exceeds the film's average: (..., h, w), its peak at 1.

    The average carries what holds for the whole film, such as how common a finding is; without it taken
    away the map of a rare finding is negative everywhere, and that of a common one bright everywhere. A map
    without differences gives 0.
    """
    above = (maps - maps.mean((-2, -1), keepdim=True)).clamp_min(0.0)
    peak = above.amax((-2, -1), keepdim=True)
    return torch.where(peak > 1e-6, above / peak.clamp_min(1e-6), torch.zeros_like(above))
