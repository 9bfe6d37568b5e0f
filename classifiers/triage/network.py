"""The triage network: DenseNet-121 with one output, normal or abnormal."""

from __future__ import annotations

from torch import Tensor, nn

from classifiers.densenet import TRUNK_CHANNELS, branch, imagenet_half, standardise, trunk


class TriageNetwork(nn.Module):
    """DenseNet-121 (6,948,609 parameters at one channel).

    Shape:
        - **input** - (B, 1, H, W) in [0, 1]
        - **output** - (B,) logit of "abnormal"
    """

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.branch = branch(1)
        self.trunk = trunk()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(TRUNK_CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.trunk(self.branch(standardise(x)))  # (B, 1024, H/32, W/32)
        return self.head(self.dropout(x.mean((-2, -1))))[:, 0]

    def start_from_imagenet(self, state: dict[str, Tensor]) -> None:
        """Initialise from timm's ``densenet121``; the head stays as it is."""
        imagenet_half(state, self.branch, 1)
        imagenet_half(state, self.trunk)
