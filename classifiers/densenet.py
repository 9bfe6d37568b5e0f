"""DenseNet-121 in the two halves the suite uses (Huang 2017, from timm).

The half that reads one view is the stem, dense blocks 1 and 2 and their transitions; the half that decides is
dense blocks 3 and 4. At 512 x 512 the first gives 256 maps of 32 x 32, the second 1024 of 16 x 16.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from suite.errors import WeightsError

BLOCK_CHANNELS = 512
"""Of dense block 2, at an eighth of the input, before transition 2 halves channels and matrix."""

BRANCH_CHANNELS = 256
TRUNK_CHANNELS = 1024

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


def load_imagenet(path: Path) -> dict[str, Tensor]:
    """The tensors of timm's ``densenet121``, which learned from ImageNet's colour photographs.

    Raises:
        WeightsError: the file is not that.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: is no readable safetensors file ({error}); give timm's densenet121 in that format."
        ) from error
    if "features.conv0.weight" not in state or "features.norm5.weight" not in state:
        raise WeightsError(f"{path}: does not hold timm's densenet121; give that network's weights.")
    return state


def imagenet_half(state: dict[str, Tensor], module: nn.Module, channels: int | None = None) -> None:
    """Load what ``module``, a branch or a trunk, has of ``load_imagenet``'s tensors.

    A grey film is a colour one with three equal planes, so its first kernel is their sum; ``channels``
    planes share it equally.
    """
    names = module.state_dict().keys()
    features = {key.removeprefix("features."): value for key, value in state.items()}
    own = {key: value for key, value in features.items() if key in names}
    if channels is not None:
        grey = own["conv0.weight"].sum(1, keepdim=True)
        own["conv0.weight"] = grey.repeat(1, channels, 1, 1) / channels
    module.load_state_dict(own, strict=False)


def standardise(x: Tensor) -> Tensor:
    """Channels in [0, 1] about zero with roughly unit deviation."""
    return (x - 0.5) / 0.25
