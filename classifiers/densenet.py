"""DenseNet-121 in the two halves the suite uses (Huang 2017, from timm).

The half that reads one view is the stem, dense blocks 1 and 2 and their transitions; the half that decides is
dense blocks 3 and 4. At 512 x 512 the first gives 256 maps of 32 x 32, the second 1024 of 16 x 16.
"""

from __future__ import annotations

from collections import OrderedDict

import timm
from torch import Tensor, nn

BLOCK_CHANNELS = 512
"""Of dense block 2, at an eighth of the input, before transition 2 halves channels and matrix."""

BRANCH_CHANNELS = 256
TRUNK_CHANNELS = 1024
BRANCH_STRIDE = 16

_BRANCH = (
    "conv0",
    "norm0",
    "pool0",
    "denseblock1",
    "transition1",
    "denseblock2",
    "transition2",
)
_TRUNK = ("denseblock3", "transition3", "denseblock4", "norm5")


def _features(channels: int) -> OrderedDict[str, nn.Module]:
    network = timm.create_model("densenet121", in_chans=channels, num_classes=0)
    return OrderedDict(network.get_submodule("features").named_children())


def branch(channels: int) -> nn.Sequential:
    """Stem to transition 2: (B, channels, H, W) to (B, 256, H/16, W/16)."""
    features = _features(channels)
    return nn.Sequential(OrderedDict((name, features[name]) for name in _BRANCH))


def trunk() -> nn.Sequential:
    """Dense blocks 3 and 4: (B, 256, h, w) to (B, 1024, h/2, w/2), after batch normalisation and ReLU."""
    features = _features(1)
    return nn.Sequential(OrderedDict((name, features[name]) for name in _TRUNK))


def standardise(x: Tensor) -> Tensor:
    """Channels in [0, 1] about zero with roughly unit deviation."""
    return (x - 0.5) / 0.25
