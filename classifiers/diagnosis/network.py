"""The diagnosis network: a dual-branch DenseNet-121 (Avramescu et al.), each branch with a head that maps it.

A branch is the standard stem (stride 4) with dense blocks 1 and 2 and their transitions; both branches meet
in a 1 x 1 convolution and go through the shared dense blocks 3 and 4. The paper's "3 of the 5 dense blocks"
counts the stem: DenseNet-121 has four. The paper takes its maps from the branches' outputs (stride 16, 256
channels); ``map_stride=8`` takes them one layer earlier, from the 512 channels that transition 2 is about to
halve and shrink: the same blocks are read, and a broken rib of a few pixels is still a cell of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from classifiers.cam import BranchHead
from classifiers.densenet import (
    BLOCK_CHANNELS,
    BRANCH_CHANNELS,
    TRUNK_CHANNELS,
    branch,
    imagenet_half,
    standardise,
    trunk,
)
from classifiers.diagnosis.pooling import MapPooling, Pooling
from suite.findings import CODES


class DiagnosisOutput(NamedTuple):
    """Logits (B, 13), branch maps (B, 13, h, w), the branches' own logits (B, 13).

    The lateral's maps and logits are 0 for a study without a lateral film, and ``None`` when no study had
    one. ``uncertain`` (B, 13) are the third logits of the multiclass policy, where the network has them.
    ``alone`` (B, 13) are the logits had no study its lateral, where they were asked for and a study has one.
    """

    logits: Tensor
    frontal_maps: Tensor
    lateral_maps: Tensor | None
    frontal_logits: Tensor
    lateral_logits: Tensor | None
    uncertain: Tensor | None = None
    alone: Tensor | None = None


class DualBranchDenseNet(nn.Module):
    """Frontal channels and lateral x-ray to 13 findings.

    A study without a lateral gets a learned embedding in its place. The defaults are the paper's network.

    Args:
        frontal_channels: 1 to 3, the paper's configurations.
        dropout: before the last layer.
        lateral: without it, a single-branch DenseNet-121 whose one branch has a head of its own, too.
        map_stride: pixels of the input for one cell of the maps, 8 or 16.
        pooling: how a branch's maps become its logits.
        fuse_branches: the final logits are those of the shared blocks plus the branches' own, weighted by
            one learned number for each finding and view: what a map shows also counts.
        multiclass: adds a third logit a finding, "uncertain", for the policy of that name.

    Shape:
        - **frontal** - (B, frontal_channels, H, W) in [0, 1]; H and W divisible by 32
        - **lateral** - (B, 1, H, W) or ``None``
        - **has_lateral** - (B,) bool, which rows of ``lateral`` are films; ``None``: all
        - **use_lateral** - (B,) bool, which of them the shared blocks may see; ``None``: all

    ``compare_lateral`` also runs the shared blocks without the lateral; the frontal branch is read once.
    """

    def __init__(
        self,
        frontal_channels: int = 3,
        dropout: float = 0.2,
        *,
        lateral: bool = True,
        map_stride: int = 16,
        pooling: Pooling = "mean",
        fuse_branches: bool = False,
        multiclass: bool = False,
    ) -> None:
        super().__init__()
        self.frontal_channels = frontal_channels
        self.map_stride = map_stride
        self.fuse_branches = fuse_branches
        map_channels = BRANCH_CHANNELS if map_stride == 16 else BLOCK_CHANNELS
        classes = len(CODES)
        self.frontal = branch(frontal_channels)
        self.frontal_head = BranchHead(map_channels, classes)
        self.frontal_pooling = MapPooling(pooling, classes)
        self.has_lateral_branch = lateral
        if lateral:
            self.lateral = branch(1)
            self.lateral_head = BranchHead(map_channels, classes)
            self.lateral_pooling = MapPooling(pooling, classes)
            self.absent = nn.Parameter(torch.zeros(BRANCH_CHANNELS, 1, 1))
            self.join = nn.Conv2d(2 * BRANCH_CHANNELS, BRANCH_CHANNELS, 1, bias=False)
        self.trunk = trunk()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(TRUNK_CHANNELS, classes)
        if fuse_branches:
            self.frontal_weight = nn.Parameter(torch.full((classes,), 0.5))
            if lateral:
                self.lateral_weight = nn.Parameter(torch.full((classes,), 0.5))
        if multiclass:
            self.uncertain_head = nn.Linear(TRUNK_CHANNELS, classes)

    def forward(
        self,
        frontal: Tensor,
        lateral: Tensor | None = None,
        has_lateral: Tensor | None = None,
        use_lateral: Tensor | None = None,
        *,
        compare_lateral: bool = False,
    ) -> DiagnosisOutput:
        front, frontal_maps = self._read(self.frontal, self.frontal_head, frontal)
        frontal_logits = self.frontal_pooling(frontal_maps)
        lateral_maps = lateral_logits = None
        joined = front
        if self.has_lateral_branch:
            side = self.absent.to(front.dtype).expand_as(front)
            if lateral is not None and (has_lateral is None or bool(has_lateral.any())):
                features, lateral_maps = self._side(lateral, has_lateral)
                there = torch.ones_like(lateral[:, 0, 0, 0], dtype=torch.bool)
                there = there if has_lateral is None else has_lateral
                lateral_logits = torch.where(there[:, None], self.lateral_pooling(lateral_maps), 0.0)
                seen = there if use_lateral is None else there & use_lateral
                side = torch.where(seen[:, None, None, None], features.to(side.dtype), side)
            joined = self.join(torch.cat((front, side), dim=1))
        pooled = self.dropout(self.trunk(joined).mean((-2, -1)))  # (B, 1024)
        logits = self.head(pooled)
        if self.fuse_branches:
            logits = logits + self.frontal_weight * frontal_logits
            if lateral_logits is not None:
                logits = logits + self.lateral_weight * lateral_logits * seen[:, None]
        uncertain = self.uncertain_head(pooled) if hasattr(self, "uncertain_head") else None
        alone = self._alone(front, frontal_logits) if compare_lateral and lateral_maps is not None else None
        return DiagnosisOutput(
            logits, frontal_maps, lateral_maps, frontal_logits, lateral_logits, uncertain, alone
        )

    def _alone(self, front: Tensor, frontal_logits: Tensor) -> Tensor:
        """The logits of studies without a lateral, from the features of their frontal films."""
        side = self.absent.to(front.dtype).expand_as(front)
        joined = self.join(torch.cat((front, side), dim=1))
        logits: Tensor = self.head(self.dropout(self.trunk(joined).mean((-2, -1))))
        return logits + self.frontal_weight * frontal_logits if self.fuse_branches else logits

    def _read(self, view: nn.Sequential, head: nn.Module, film: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 256, H/16, W/16) and maps of one view."""
        *blocks, transition = view
        block = standardise(film)
        for module in blocks:
            block = module(block)  # in the end (B, 512, H/8, W/8)
        features = transition(block)
        return features, head(block if self.map_stride == 8 else features)

    def _side(self, lateral: Tensor, has_lateral: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features and maps of the laterals, 0 in rows without one.

        Only films go through the branch: what stands in the other rows must not reach its statistics.
        """
        if has_lateral is None:
            return self._read(self.lateral, self.lateral_head, lateral)
        features, maps = self._read(self.lateral, self.lateral_head, lateral[has_lateral])
        rows = (has_lateral,)
        return (
            features.new_zeros(len(lateral), *features.shape[1:]).index_put(rows, features),
            maps.new_zeros(len(lateral), *maps.shape[1:]).index_put(rows, maps),
        )

    def start_from_triage(self, state: dict[str, Tensor]) -> None:
        """Initialise from the triage network, as the paper does.

        Channels beyond the x-ray start at zero, so that the network first sees what triage saw; the join
        starts as the identity on the frontal branch.
        """
        first = state["branch.conv0.weight"]
        widened = torch.zeros(first.shape[0], self.frontal_channels, *first.shape[2:])
        widened[:, :1] = first
        half = _under(state, "branch.")
        self.frontal.load_state_dict({**half, "conv0.weight": widened}, strict=False)
        self.trunk.load_state_dict(_under(state, "trunk."), strict=False)
        if self.has_lateral_branch:
            self.lateral.load_state_dict(half, strict=False)
            self._join_is_identity()

    def start_from_imagenet(self, state: dict[str, Tensor]) -> None:
        """Initialise both branches and the shared blocks from timm's ``densenet121``."""
        imagenet_half(state, self.frontal, self.frontal_channels)
        imagenet_half(state, self.trunk)
        if self.has_lateral_branch:
            imagenet_half(state, self.lateral, 1)
            self._join_is_identity()

    def _join_is_identity(self) -> None:
        """The shared blocks first see the frontal branch as it is."""
        with torch.no_grad():
            self.join.weight.zero_()
            self.join.weight[:, :BRANCH_CHANNELS, 0, 0] = torch.eye(BRANCH_CHANNELS)


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def same_start(network: nn.Module, reference: nn.Module) -> None:
    """Give ``network`` the values ``reference`` has under the same names; wider first kernels are cut.

    Configurations that are compared must not differ by luck: each tensor that two of them share starts
    equal, however many channels came before it in the order of drawing.
    """
    values = reference.state_dict()
    state = network.state_dict()
    for name, value in state.items():
        other = values.get(name)
        if other is None:
            continue
        if other.shape == value.shape:
            state[name] = other
        elif other.ndim == value.ndim == 4 and other.shape[1] > value.shape[1]:
            state[name] = other[:, : value.shape[1]]
    network.load_state_dict(state)
