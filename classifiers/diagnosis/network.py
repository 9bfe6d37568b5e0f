"""The diagnosis network: a dual-branch DenseNet-121 (Avramescu et al.), each branch with a head that maps it.

A branch is the standard stem (stride 4) with dense blocks 1 and 2 and their transitions; both branches meet
in a 1 x 1 convolution and go through the shared dense blocks 3 and 4. The paper's "3 of the 5 dense blocks"
counts the stem: DenseNet-121 has four.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from classifiers.cam import BranchHead
from classifiers.densenet import BRANCH_CHANNELS, TRUNK_CHANNELS, branch, standardise, trunk
from suite.findings import CODES


class DiagnosisOutput(NamedTuple):
    """Logits (B, 13); branch maps (B, 13, h, w).

    The lateral's maps are 0 for a study without a lateral film, and ``None`` when no study had one.
    """

    logits: Tensor
    frontal_maps: Tensor
    lateral_maps: Tensor | None


class DualBranchDenseNet(nn.Module):
    """Frontal channels (x-ray, lung-segmented, bone-subtracted) and lateral x-ray to 13 findings.

    A study without a lateral gets a learned embedding in its place.

    Args:
        frontal_channels: 1 to 3, the paper's configurations.
        dropout: before the last layer.

    Shape:
        - **frontal** - (B, frontal_channels, H, W) in [0, 1]; H and W divisible by 32
        - **lateral** - (B, 1, H, W) or ``None``
        - **has_lateral** - (B,) bool, which rows of ``lateral`` are films
    """

    def __init__(self, frontal_channels: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.frontal_channels = frontal_channels
        self.frontal = branch(frontal_channels)
        self.lateral = branch(1)
        self.frontal_head = BranchHead(BRANCH_CHANNELS, len(CODES))
        self.lateral_head = BranchHead(BRANCH_CHANNELS, len(CODES))
        self.absent = nn.Parameter(torch.zeros(BRANCH_CHANNELS, 1, 1))
        self.join = nn.Conv2d(2 * BRANCH_CHANNELS, BRANCH_CHANNELS, 1, bias=False)
        self.trunk = trunk()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(TRUNK_CHANNELS, len(CODES))

    def forward(
        self, frontal: Tensor, lateral: Tensor | None = None, has_lateral: Tensor | None = None
    ) -> DiagnosisOutput:
        front = self.frontal(standardise(frontal))  # (B, 256, H/16, W/16)
        side = self.absent.to(front.dtype).expand_as(front)
        lateral_maps = None
        if lateral is not None and has_lateral is not None and bool(has_lateral.any()):
            # only films go through the branch: what stands in the other rows must not reach its statistics
            features = self.lateral(standardise(lateral[has_lateral]))
            maps = self.lateral_head(features)
            lateral_maps = maps.new_zeros(len(front), *maps.shape[1:]).index_put((has_lateral,), maps)
            side = side.index_put((has_lateral,), features.to(side.dtype))
        joined = self.trunk(self.join(torch.cat((front, side), dim=1)))  # (B, 1024, H/32, W/32)
        logits = self.head(self.dropout(joined.mean((-2, -1))))
        return DiagnosisOutput(logits, self.frontal_head(front), lateral_maps)

    def start_from_triage(self, state: dict[str, Tensor]) -> None:
        """Initialise from the triage network, as the paper does.

        Channels beyond the x-ray start at zero, so that the network first sees what triage saw; the join
        starts as the identity on the frontal branch.
        """
        first = state["branch.conv0.weight"]
        widened = torch.zeros(first.shape[0], self.frontal_channels, *first.shape[2:])
        widened[:, :1] = first
        for module, weight in ((self.frontal, widened), (self.lateral, first)):
            module.load_state_dict({**_under(state, "branch."), "conv0.weight": weight}, strict=False)
        self.trunk.load_state_dict(_under(state, "trunk."), strict=False)
        with torch.no_grad():
            self.join.weight.zero_()
            self.join.weight[:, :BRANCH_CHANNELS, 0, 0] = torch.eye(BRANCH_CHANNELS)


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
